//! Tensors to and from the runtime's values.
//!
//! Numbers go in as views of our buffers, without a copy, and come out with one. Strings are copied
//! both ways, because the runtime keeps its own.

use half::{bf16, f16};
use ort::session::SessionInputValue;
use ort::value::{DynValue, Shape, Tensor as OrtTensor, TensorElementType, TensorRef, ValueType};

use super::{RunError, zip_map};
use crate::tensor::{Data, Tensor};

/// `tensor` as an input of the runtime that borrows its elements.
pub(super) fn input(tensor: &Tensor) -> Result<SessionInputValue<'_>, RunError> {
    macro_rules! view {
        ($buffer:expr) => {
            TensorRef::from_array_view((tensor.shape(), &**$buffer)).map(Into::into)
        };
    }
    let value: ort::Result<SessionInputValue<'_>> = match tensor.data() {
        Data::Bool(buffer) => view!(buffer),
        Data::Uint8(buffer) => view!(buffer),
        Data::Uint16(buffer) => view!(buffer),
        Data::Uint32(buffer) => view!(buffer),
        Data::Uint64(buffer) => view!(buffer),
        Data::Int8(buffer) => view!(buffer),
        Data::Int16(buffer) => view!(buffer),
        Data::Int32(buffer) => view!(buffer),
        Data::Int64(buffer) => view!(buffer),
        Data::Fp16(buffer) => view!(buffer),
        Data::Bf16(buffer) => view!(buffer),
        Data::Fp32(buffer) => view!(buffer),
        Data::Fp64(buffer) => view!(buffer),
        Data::Bytes(buffer) => {
            if buffer.iter().any(|text| text.contains('\0')) {
                return Err(RunError::InvalidInput("a string holds a NUL character".into()));
            }
            OrtTensor::from_string_array((tensor.shape(), &**buffer)).map(Into::into)
        }
    };
    value.map_err(|error| RunError::InvalidInput(error.to_string()))
}

/// A copy of an output of the runtime. `class_labels` are the columns of a ZipMap's scores.
pub(super) fn output(value: &DynValue, class_labels: &[String]) -> Result<Tensor, RunError> {
    let ValueType::Tensor { ty, .. } = value.dtype() else {
        return zip_map::scores(value, class_labels);
    };
    match ty {
        TensorElementType::Bool => copied::<bool>(value),
        TensorElementType::Uint8 => copied::<u8>(value),
        TensorElementType::Uint16 => copied::<u16>(value),
        TensorElementType::Uint32 => copied::<u32>(value),
        TensorElementType::Uint64 => copied::<u64>(value),
        TensorElementType::Int8 => copied::<i8>(value),
        TensorElementType::Int16 => copied::<i16>(value),
        TensorElementType::Int32 => copied::<i32>(value),
        TensorElementType::Int64 => copied::<i64>(value),
        TensorElementType::Float16 => copied::<f16>(value),
        TensorElementType::Bfloat16 => copied::<bf16>(value),
        TensorElementType::Float32 => copied::<f32>(value),
        TensorElementType::Float64 => copied::<f64>(value),
        TensorElementType::String => {
            let (shape, strings) = value.try_extract_strings().map_err(|error| failed(&error))?;
            tensor(shape, strings)
        }
        other => Err(RunError::Failed(format!("an output has element type {other}"))),
    }
}

fn copied<T>(value: &DynValue) -> Result<Tensor, RunError>
where
    T: ort::value::PrimitiveTensorElementType + Clone,
    Data: From<Vec<T>>,
{
    let (shape, elements) = value.try_extract_tensor::<T>().map_err(|error| failed(&error))?;
    tensor(shape, elements.to_vec())
}

fn tensor<T>(shape: &Shape, elements: Vec<T>) -> Result<Tensor, RunError>
where
    Data: From<Vec<T>>,
{
    let sizes: Result<Vec<usize>, _> = shape.iter().map(|&size| usize::try_from(size)).collect();
    let sizes = sizes.map_err(|_| RunError::Failed(format!("an output has shape {shape:?}")))?;
    Tensor::new(sizes, elements).map_err(|error| RunError::Failed(error.to_string()))
}

fn failed(error: &ort::Error) -> RunError {
    RunError::Failed(error.to_string())
}
