//! Elements under collection: the typed vectors that bodies stream into.

use half::{bf16, f16};

use crate::tensor::{Data, DataType};

/// Elements under collection: one growing vector of the tensor's type.
#[derive(Clone, Debug)]
pub(super) enum Column {
    Bool(Vec<bool>),
    Uint8(Vec<u8>),
    Uint16(Vec<u16>),
    Uint32(Vec<u32>),
    Uint64(Vec<u64>),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Fp16(Vec<f16>),
    Bf16(Vec<bf16>),
    Fp32(Vec<f32>),
    Fp64(Vec<f64>),
    Bytes(Vec<String>),
}

/// Runs `$body` with `$vector` bound to the typed vector of any [`Column`].
macro_rules! with_column {
    ($column:expr, $vector:ident => $body:expr) => {
        match $column {
            $crate::task::column::Column::Bool($vector) => $body,
            $crate::task::column::Column::Uint8($vector) => $body,
            $crate::task::column::Column::Uint16($vector) => $body,
            $crate::task::column::Column::Uint32($vector) => $body,
            $crate::task::column::Column::Uint64($vector) => $body,
            $crate::task::column::Column::Int8($vector) => $body,
            $crate::task::column::Column::Int16($vector) => $body,
            $crate::task::column::Column::Int32($vector) => $body,
            $crate::task::column::Column::Int64($vector) => $body,
            $crate::task::column::Column::Fp16($vector) => $body,
            $crate::task::column::Column::Bf16($vector) => $body,
            $crate::task::column::Column::Fp32($vector) => $body,
            $crate::task::column::Column::Fp64($vector) => $body,
            $crate::task::column::Column::Bytes($vector) => $body,
        }
    };
}

pub(super) use with_column;

impl Column {
    pub(super) fn new(data_type: DataType) -> Self {
        match data_type {
            DataType::Bool => Self::Bool(Vec::new()),
            DataType::Uint8 => Self::Uint8(Vec::new()),
            DataType::Uint16 => Self::Uint16(Vec::new()),
            DataType::Uint32 => Self::Uint32(Vec::new()),
            DataType::Uint64 => Self::Uint64(Vec::new()),
            DataType::Int8 => Self::Int8(Vec::new()),
            DataType::Int16 => Self::Int16(Vec::new()),
            DataType::Int32 => Self::Int32(Vec::new()),
            DataType::Int64 => Self::Int64(Vec::new()),
            DataType::Fp16 => Self::Fp16(Vec::new()),
            DataType::Bf16 => Self::Bf16(Vec::new()),
            DataType::Fp32 => Self::Fp32(Vec::new()),
            DataType::Fp64 => Self::Fp64(Vec::new()),
            DataType::Bytes => Self::Bytes(Vec::new()),
        }
    }

    /// Appends `count` zeros (false, empty strings).
    pub(super) fn grow(&mut self, count: usize) {
        fn grow<T: Clone + Default>(vector: &mut Vec<T>, count: usize) {
            vector.resize(vector.len() + count, T::default());
        }
        with_column!(self, vector => grow(vector, count));
    }

    /// Writes NaN, which is how floats say that a value is missing; false where other types can't.
    pub(super) fn set_missing(&mut self, index: usize) -> bool {
        match self {
            Self::Fp16(vector) => vector[index] = f16::NAN,
            Self::Bf16(vector) => vector[index] = bf16::NAN,
            Self::Fp32(vector) => vector[index] = f32::NAN,
            Self::Fp64(vector) => vector[index] = f64::NAN,
            _ => return false,
        }
        true
    }

    /// Bytes that one element takes.
    pub(super) fn element_bytes(&self) -> u64 {
        fn of<T>(_: &[T]) -> u64 {
            size_of::<T>() as u64
        }
        with_column!(self, vector => of(vector))
    }

    pub(super) fn into_data(self) -> Data {
        with_column!(self, vector => vector.into())
    }
}
