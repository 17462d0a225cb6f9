//! The request that is nothing but the bytes of one tensor.

use bytes::Bytes;

use crate::model::{Dim, TensorSpec};
use crate::service::{ErrorCode, InferInputs, InputRules, InputSlots, ServiceError, raw_tensor};
use crate::task::DecodeLimits;
use crate::tensor::{Data, DataType, Tensor};

/// Reads a body that is the bytes of the model's only input, as a batch of one where it is
/// batchable: its shape follows from the signature, of which one size may be free.
///
/// # Errors
/// `invalid_input` for a model whose input can't be told from bytes; what [`raw_tensor`] refuses.
pub(super) fn decode(
    body: &Bytes,
    rules: InputRules<'_>,
    limits: &DecodeLimits,
) -> Result<InferInputs, ServiceError> {
    let [spec] = rules.signature.inputs.as_slice() else {
        let count = rules.signature.inputs.len();
        let detail = format!("a body without JSON needs a model of one input, this one has {count}");
        return Err(ServiceError::new(ErrorCode::InvalidInput, detail));
    };
    let tensor = if spec.data_type == DataType::Bytes {
        text(spec, body, rules.batchable)?
    } else {
        let shape = shape(spec, body.len(), rules.batchable)?;
        raw_tensor(spec.data_type, shape, body.clone())?
    };
    let mut slots = InputSlots::new(rules);
    slots.put(0, 0, tensor);
    slots.finish(limits)
}

/// The whole body as the one element of an input of texts.
fn text(spec: &TensorSpec, body: &Bytes, batchable: bool) -> Result<Tensor, ServiceError> {
    let is_one = |(axis, dim): (usize, &Dim)| match dim {
        Dim::Fixed(size) => *size == 1,
        Dim::Free(_) | Dim::AnyRank => axis == 0 || batchable,
    };
    if !spec.dims.iter().enumerate().all(is_one) {
        let detail =
            format!("a body without JSON is one text, and this model takes them as {}", spec.shape_text());
        return Err(ServiceError::new(ErrorCode::InvalidInput, detail));
    }
    let text = std::str::from_utf8(body)
        .map_err(|_| ServiceError::new(ErrorCode::InvalidInput, "expected text in UTF-8, got other bytes"))?;
    let data: Data = vec![text.to_owned()].into();
    Tensor::new(vec![1; spec.dims.len()], data)
        .map_err(|error| ServiceError::new(ErrorCode::ShapeMismatch, error.to_string()))
}

/// The shape of which `length` bytes are: the batch is 1, one other size may follow from them.
fn shape(spec: &TensorSpec, length: usize, batchable: bool) -> Result<Vec<usize>, ServiceError> {
    let refuse = |code, detail: String| ServiceError::new(code, detail);
    let mut shape = Vec::with_capacity(spec.dims.len());
    let mut free = None;
    for (axis, dim) in spec.dims.iter().enumerate() {
        match dim {
            Dim::Fixed(size) => shape.push(*size),
            Dim::Free(_) if axis == 0 && batchable => shape.push(1),
            Dim::Free(_) | Dim::AnyRank if free.is_none() => {
                free = Some(axis);
                shape.push(1);
            }
            Dim::Free(_) | Dim::AnyRank => {
                let detail = format!(
                    "a body without JSON can have one free size, and the input has more: {}",
                    spec.shape_text()
                );
                return Err(refuse(ErrorCode::InvalidInput, detail));
            }
        }
    }
    let width = spec.data_type.width().unwrap_or(1);
    let step = shape.iter().try_fold(width, |product, &size| product.checked_mul(size));
    if let (Some(axis), Some(step)) = (free, step)
        && step > 0
    {
        if !length.is_multiple_of(step) {
            let detail = format!(
                "expected a multiple of {step} bytes for {} {}, got {length}",
                spec.data_type,
                spec.shape_text()
            );
            return Err(refuse(ErrorCode::ShapeMismatch, detail));
        }
        shape[axis] = length / step;
    }
    Ok(shape)
}
