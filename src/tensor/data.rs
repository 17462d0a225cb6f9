//! A tensor: a shape and its elements in row-major order, one buffer per element type.

use half::{bf16, f16};

use super::{Buffer, DataType};

/// Runs `$body` with `$buffer` bound to the typed buffer of any [`Data`] variant.
///
/// One place lists the variants; everything generic over the element type goes through here.
macro_rules! with_buffer {
    ($data:expr, $buffer:ident => $body:expr) => {
        match $data {
            $crate::tensor::Data::Bool($buffer) => $body,
            $crate::tensor::Data::Uint8($buffer) => $body,
            $crate::tensor::Data::Uint16($buffer) => $body,
            $crate::tensor::Data::Uint32($buffer) => $body,
            $crate::tensor::Data::Uint64($buffer) => $body,
            $crate::tensor::Data::Int8($buffer) => $body,
            $crate::tensor::Data::Int16($buffer) => $body,
            $crate::tensor::Data::Int32($buffer) => $body,
            $crate::tensor::Data::Int64($buffer) => $body,
            $crate::tensor::Data::Fp16($buffer) => $body,
            $crate::tensor::Data::Bf16($buffer) => $body,
            $crate::tensor::Data::Fp32($buffer) => $body,
            $crate::tensor::Data::Fp64($buffer) => $body,
            $crate::tensor::Data::Bytes($buffer) => $body,
        }
    };
}

pub(crate) use with_buffer;

/// The elements of a tensor, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// `BOOL`
    Bool(Buffer<bool>),
    /// `UINT8`
    Uint8(Buffer<u8>),
    /// `UINT16`
    Uint16(Buffer<u16>),
    /// `UINT32`
    Uint32(Buffer<u32>),
    /// `UINT64`
    Uint64(Buffer<u64>),
    /// `INT8`
    Int8(Buffer<i8>),
    /// `INT16`
    Int16(Buffer<i16>),
    /// `INT32`
    Int32(Buffer<i32>),
    /// `INT64`
    Int64(Buffer<i64>),
    /// `FP16`
    Fp16(Buffer<f16>),
    /// `BF16`
    Bf16(Buffer<bf16>),
    /// `FP32`
    Fp32(Buffer<f32>),
    /// `FP64`
    Fp64(Buffer<f64>),
    /// `BYTES`, which ONNX restricts to UTF-8 strings.
    Bytes(Buffer<String>),
}

impl Data {
    /// The element type.
    pub const fn data_type(&self) -> DataType {
        match self {
            Self::Bool(_) => DataType::Bool,
            Self::Uint8(_) => DataType::Uint8,
            Self::Uint16(_) => DataType::Uint16,
            Self::Uint32(_) => DataType::Uint32,
            Self::Uint64(_) => DataType::Uint64,
            Self::Int8(_) => DataType::Int8,
            Self::Int16(_) => DataType::Int16,
            Self::Int32(_) => DataType::Int32,
            Self::Int64(_) => DataType::Int64,
            Self::Fp16(_) => DataType::Fp16,
            Self::Bf16(_) => DataType::Bf16,
            Self::Fp32(_) => DataType::Fp32,
            Self::Fp64(_) => DataType::Fp64,
            Self::Bytes(_) => DataType::Bytes,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        with_buffer!(self, buffer => buffer.len())
    }

    /// True without elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first element that is NaN or infinite, if any. Integers, strings and truth values never are.
    pub fn first_non_finite(&self) -> Option<usize> {
        match self {
            Self::Fp16(values) => first_not(values, f16::is_finite),
            Self::Bf16(values) => first_not(values, bf16::is_finite),
            Self::Fp32(values) => first_not(values, f32::is_finite),
            Self::Fp64(values) => first_not(values, f64::is_finite),
            _ => None,
        }
    }

    /// Element `index` as a double; none for strings. 64-bit integers may lose low bits.
    pub fn float_at(&self, index: usize) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "documented: a double holds 53 bits")]
        Some(match self {
            Self::Bool(values) => f64::from(u8::from(values[index])),
            Self::Uint8(values) => f64::from(values[index]),
            Self::Uint16(values) => f64::from(values[index]),
            Self::Uint32(values) => f64::from(values[index]),
            Self::Uint64(values) => values[index] as f64,
            Self::Int8(values) => f64::from(values[index]),
            Self::Int16(values) => f64::from(values[index]),
            Self::Int32(values) => f64::from(values[index]),
            Self::Int64(values) => values[index] as f64,
            Self::Fp16(values) => values[index].to_f64(),
            Self::Bf16(values) => values[index].to_f64(),
            Self::Fp32(values) => f64::from(values[index]),
            Self::Fp64(values) => values[index],
            Self::Bytes(_) => return None,
        })
    }

    /// The elements `range`, sharing memory.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        match self {
            Self::Bool(buffer) => Self::Bool(buffer.slice(range)),
            Self::Uint8(buffer) => Self::Uint8(buffer.slice(range)),
            Self::Uint16(buffer) => Self::Uint16(buffer.slice(range)),
            Self::Uint32(buffer) => Self::Uint32(buffer.slice(range)),
            Self::Uint64(buffer) => Self::Uint64(buffer.slice(range)),
            Self::Int8(buffer) => Self::Int8(buffer.slice(range)),
            Self::Int16(buffer) => Self::Int16(buffer.slice(range)),
            Self::Int32(buffer) => Self::Int32(buffer.slice(range)),
            Self::Int64(buffer) => Self::Int64(buffer.slice(range)),
            Self::Fp16(buffer) => Self::Fp16(buffer.slice(range)),
            Self::Bf16(buffer) => Self::Bf16(buffer.slice(range)),
            Self::Fp32(buffer) => Self::Fp32(buffer.slice(range)),
            Self::Fp64(buffer) => Self::Fp64(buffer.slice(range)),
            Self::Bytes(buffer) => Self::Bytes(buffer.slice(range)),
        }
    }
}

/// The first of `values` that is not as `is_right` says. A block is looked at to its end, so that it
/// is a matter of a few vector instructions.
fn first_not<T: Copy>(values: &[T], is_right: impl Fn(T) -> bool) -> Option<usize> {
    const BLOCK: usize = 1024;
    let is_all_right = |block: &[T]| block.iter().fold(true, |all, &value| all & is_right(value));
    let start = BLOCK * values.chunks(BLOCK).position(|block| !is_all_right(block))?;
    values[start..].iter().position(|&value| !is_right(value)).map(|index| start + index)
}

/// A type of elements, so that code over all of them can be written once.
pub(super) trait Element: Clone {
    /// The elements of `data`; empty when they are of another type.
    fn slice_of(data: &Data) -> &[Self];
}

macro_rules! elements {
    ($($variant:ident($element:ty)),* $(,)?) => {$(
        impl From<Vec<$element>> for Data {
            fn from(elements: Vec<$element>) -> Self {
                Self::$variant(elements.into())
            }
        }

        impl From<Buffer<$element>> for Data {
            fn from(elements: Buffer<$element>) -> Self {
                Self::$variant(elements)
            }
        }

        impl Element for $element {
            fn slice_of(data: &Data) -> &[Self] {
                if let Data::$variant(buffer) = data { buffer } else { &[] }
            }
        }
    )*};
}

elements!(
    Bool(bool),
    Uint8(u8),
    Uint16(u16),
    Uint32(u32),
    Uint64(u64),
    Int8(i8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Fp16(f16),
    Bf16(bf16),
    Fp32(f32),
    Fp64(f64),
    Bytes(String),
);

/// A shape whose product is not the number of elements, or overflows.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("shape {shape:?} holds {expected:?} elements, the data {actual}")]
pub struct TensorError {
    shape: Vec<usize>,
    expected: Option<usize>,
    actual: usize,
}

/// A typed, row-major tensor. Cloning and splitting share the elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Data,
}

impl Tensor {
    /// A tensor of `shape` (empty = a scalar) over `data`.
    ///
    /// # Errors
    /// When the product of `shape` is not the number of elements.
    pub fn new(shape: Vec<usize>, data: impl Into<Data>) -> Result<Self, TensorError> {
        let data = data.into();
        let expected = shape.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
        if expected == Some(data.len()) {
            Ok(Self { shape, data })
        } else {
            Err(TensorError { shape, expected, actual: data.len() })
        }
    }

    /// Dimensions, outermost first; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The element type.
    pub fn data_type(&self) -> DataType {
        self.data.data_type()
    }

    /// The first dimension; a scalar has one row.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Elements per row: the product of all dimensions but the first.
    pub fn row_len(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// Shape and elements, by value.
    pub fn into_parts(self) -> (Vec<usize>, Data) {
        (self.shape, self.data)
    }
}
