//! Tensors to and from the runtime's values.
//!
//! Numbers go in as views of our buffers, without a copy; large outputs come out as the runtime's own
//! memory, which lives as long as its last reader, small ones with a copy. Strings are copied both
//! ways, because the runtime keeps its own.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytemuck::Pod;
use bytes::Bytes;
use half::{bf16, f16};
use ort::session::SessionInputValue;
use ort::value::{
    DynValue, PrimitiveTensorElementType, Shape, Tensor as OrtTensor, TensorElementType, TensorRef, ValueType,
};

use super::{RunError, zip_map};
use crate::tensor::{Buffer, Data, Tensor, with_buffer};

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

/// An output of the runtime, whose own memory is used when it is large. `class_labels` are the
/// columns of a ZipMap's scores.
pub(super) fn output(value: DynValue, given: Given<'_>, class_labels: &[String]) -> Result<Tensor, RunError> {
    let ValueType::Tensor { ty, .. } = value.dtype() else {
        return zip_map::scores(&value, class_labels);
    };
    match ty {
        TensorElementType::Bool => copied::<bool>(&value),
        TensorElementType::Uint8 => numbers::<u8>(value, given),
        TensorElementType::Uint16 => numbers::<u16>(value, given),
        TensorElementType::Uint32 => numbers::<u32>(value, given),
        TensorElementType::Uint64 => numbers::<u64>(value, given),
        TensorElementType::Int8 => numbers::<i8>(value, given),
        TensorElementType::Int16 => numbers::<i16>(value, given),
        TensorElementType::Int32 => numbers::<i32>(value, given),
        TensorElementType::Int64 => numbers::<i64>(value, given),
        TensorElementType::Float16 => numbers::<f16>(value, given),
        TensorElementType::Bfloat16 => numbers::<bf16>(value, given),
        TensorElementType::Float32 => numbers::<f32>(value, given),
        TensorElementType::Float64 => numbers::<f64>(value, given),
        TensorElementType::String => {
            let (shape, strings) = value.try_extract_strings().map_err(|error| failed(&error))?;
            tensor(shape, strings)
        }
        other => Err(RunError::Failed(format!("an output has element type {other}"))),
    }
}

/// What a run was given: memory that the runtime borrows, and that nobody keeps for an output.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) inputs: &'a [Tensor],
    pub(super) optional: &'a [(usize, Tensor)],
}

impl<'a> Given<'a> {
    fn all(self) -> impl Iterator<Item = &'a Tensor> {
        self.inputs.iter().chain(self.optional.iter().map(|(_, tensor)| tensor))
    }

    /// True when a tensor lies at `address`: an output there is an input handed through.
    fn holds(self, address: usize) -> bool {
        self.all().any(|tensor| {
            with_buffer!(tensor.data(), buffer => {
                let range = buffer.as_ptr_range();
                (range.start.addr()..range.end.addr()).contains(&address)
            })
        })
    }

    /// The elements of the input that was handed through whole as `elements`: they are shared.
    fn same<T: Pod>(self, elements: &[T]) -> Option<Data> {
        let is_same = |tensor: &&Tensor| {
            with_buffer!(tensor.data(), buffer => {
                buffer.as_ptr().addr() == elements.as_ptr().addr()
                    && size_of_val::<[_]>(buffer) == size_of_val(elements)
            })
        };
        self.all().find(is_same).map(|tensor| tensor.data().clone())
    }
}

/// Outputs of at least this many bytes are kept where the runtime has put them. Below, a copy costs
/// next to nothing (0.2 us for this many bytes) and leaves no hole in the runtime's arena.
const KEPT_BYTES: usize = 8 << 10;

/// Values of the runtime that live on as the memory of tensors.
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// How many outputs of the runtime are still somebody's tensors. While there are any, the process
/// must not run exit handlers: the runtime's are among them, and the values are freed through it.
pub fn kept_outputs() -> usize {
    KEPT.load(Ordering::Acquire)
}

/// A value of the runtime as the owner of its elements' bytes.
struct Kept<T> {
    value: DynValue,
    /// Behind the value, so that it is dropped after it.
    _counted: Counted,
    element: PhantomData<fn() -> T>,
}

struct Counted;

impl Counted {
    fn new() -> Self {
        KEPT.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        KEPT.fetch_sub(1, Ordering::Release);
    }
}

impl<T: PrimitiveTensorElementType + Pod> AsRef<[u8]> for Kept<T> {
    fn as_ref(&self) -> &[u8] {
        // Whoever keeps a value has read these elements from it.
        self.value.try_extract_tensor::<T>().map_or(&[], |(_, elements)| bytemuck::cast_slice(elements))
    }
}

fn numbers<T>(value: DynValue, given: Given<'_>) -> Result<Tensor, RunError>
where
    T: PrimitiveTensorElementType + Pod,
    Data: From<Vec<T>> + From<Buffer<T>>,
{
    let (shape, elements) = value.try_extract_tensor::<T>().map_err(|error| failed(&error))?;
    if size_of_val(elements) < KEPT_BYTES {
        return tensor(shape, elements.to_vec());
    }
    if given.holds(elements.as_ptr().addr()) {
        let of_this_type = Data::from(Vec::<T>::new()).data_type();
        let same = given.same(elements).filter(|data| data.data_type() == of_this_type);
        return tensor(shape, same.unwrap_or_else(|| elements.to_vec().into()));
    }
    let shape = shape.clone();
    let kept = Kept::<T> { value, _counted: Counted::new(), element: PhantomData };
    tensor(&shape, Buffer::<T>::from_raw(Bytes::from_owner(kept)))
}

fn copied<T>(value: &DynValue) -> Result<Tensor, RunError>
where
    T: PrimitiveTensorElementType + Clone,
    Data: From<Vec<T>>,
{
    let (shape, elements) = value.try_extract_tensor::<T>().map_err(|error| failed(&error))?;
    tensor(shape, elements.to_vec())
}

fn tensor(shape: &Shape, elements: impl Into<Data>) -> Result<Tensor, RunError> {
    let sizes: Result<Vec<usize>, _> = shape.iter().map(|&size| usize::try_from(size)).collect();
    let sizes = sizes.map_err(|_| RunError::Failed(format!("an output has shape {shape:?}")))?;
    Tensor::new(sizes, elements).map_err(|error| RunError::Failed(error.to_string()))
}

fn failed(error: &ort::Error) -> RunError {
    RunError::Failed(error.to_string())
}
