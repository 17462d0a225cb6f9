//! An input as a request of the Open Inference Protocol declares it, held against the signature
//! before its elements are read; and elements that come as raw bytes.

use bytes::Bytes;

use super::{ErrorCode, ServiceError};
use crate::model::TensorSpec;
use crate::tensor::{DataType, RawError, Tensor};

/// What a request says of an input beside its elements.
#[derive(Clone, Copy, Debug)]
pub struct DeclaredInput<'a> {
    /// Where it stands in the request.
    pub position: usize,
    /// The protocol's word for its type.
    pub datatype: &'a str,
    /// Sizes, outermost first.
    pub shape: &'a [i64],
    /// Its elements are said to lie in shared memory.
    pub shared_memory: bool,
}

impl DeclaredInput<'_> {
    /// Its shape and how many elements it holds, when it is what `spec` takes.
    ///
    /// # Errors
    /// `invalid_input` for a word that is no type and for shared memory, `shape_mismatch` for another
    /// type or shape; at `/inputs/{position}/...`.
    pub fn fit(&self, spec: &TensorSpec) -> Result<(Vec<usize>, usize), ServiceError> {
        let misshapen = |detail| self.refused(ErrorCode::ShapeMismatch, "/shape", detail);
        self.check_type(spec.data_type)?;
        let (shape, elements) = self.sizes().map_err(misshapen)?;
        spec.check_shape(&shape).map_err(misshapen)?;
        Ok((shape, elements))
    }

    /// A refusal at a member of this input; "" = the input itself.
    pub fn refused(&self, code: ErrorCode, member: &str, detail: impl Into<String>) -> ServiceError {
        ServiceError::new(code, detail).at(format!("/inputs/{}{member}", self.position))
    }

    /// Refuses what is not in the request.
    fn check_type(&self, expected: DataType) -> Result<(), ServiceError> {
        let Some(data_type) = DataType::from_name(self.datatype) else {
            let detail =
                "expected a datatype of the protocol, such as FP32, INT64 or BYTES, got another word";
            return Err(self.refused(ErrorCode::InvalidInput, "/datatype", detail));
        };
        if data_type != expected {
            let detail = format!("expected {expected}, got {data_type}");
            return Err(self.refused(ErrorCode::ShapeMismatch, "/datatype", detail));
        }
        if self.shared_memory {
            let detail = "shared memory is not served: send the data with the request";
            return Err(self.refused(ErrorCode::InvalidInput, "/parameters/shared_memory_region", detail));
        }
        Ok(())
    }

    fn sizes(&self) -> Result<(Vec<usize>, usize), String> {
        let mut elements = Some(1_usize);
        let mut shape = Vec::with_capacity(self.shape.len().min(64));
        for &size in self.shape {
            let Ok(size) = usize::try_from(size) else {
                return Err("expected sizes of 0 or more, got a negative one".to_owned());
            };
            elements = elements.and_then(|elements| elements.checked_mul(size));
            shape.push(size);
        }
        // A zero behind sizes that overflow is no way around them.
        let elements = elements.ok_or("expected a shape that fits into memory, got one beyond it")?;
        Ok((shape, elements))
    }
}

/// The tensor of `bytes`, little-endian and without padding.
///
/// # Errors
/// `shape_mismatch` where they are not as many as the shape says, `invalid_input` for bytes that
/// are no such elements.
pub fn raw_tensor(data_type: DataType, shape: Vec<usize>, bytes: Bytes) -> Result<Tensor, ServiceError> {
    Tensor::from_raw(data_type, shape, bytes).map_err(|error| {
        let code = match error {
            RawError::Length { .. } | RawError::Overflow => ErrorCode::ShapeMismatch,
            RawError::Boolean { .. } | RawError::Framing { .. } | RawError::Utf8 { .. } => {
                ErrorCode::InvalidInput
            }
        };
        ServiceError::new(code, error.to_string())
    })
}
