//! Tensors as nested arrays of numbers, truth values and strings.
//!
//! Singles are written as the shortest decimal that reads back the same; half types as the single
//! of equal value; integers by their own digits.

use std::fmt;

use half::{bf16, f16};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use crate::tensor::Data;
use crate::tensor::with_buffer;

/// All elements of a tensor, flat, in row-major order. Floats must be finite: others become null.
pub struct Elements<'a>(pub &'a Data);

impl Serialize for Elements<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        with_buffer!(self.0, buffer => serializer.collect_seq(buffer.iter().map(Written::written)))
    }
}

/// Some elements of a tensor under a shape.
pub(super) struct Nested<'a> {
    pub(super) data: &'a Data,
    pub(super) shape: &'a [usize],
    /// The first element.
    pub(super) start: usize,
}

/// How an element is written.
trait Written {
    type As<'a>: Serialize
    where
        Self: 'a;

    fn written(&self) -> Self::As<'_>;
}

macro_rules! written {
    ($($element:ty),*) => {$(
        impl Written for $element {
            type As<'a> = $element;

            #[inline]
            fn written(&self) -> $element {
                *self
            }
        }
    )*};
}

written!(bool, u8, u16, u32, u64, i8, i16, i32, i64, f32, f64);

impl Written for f16 {
    type As<'a> = f32;

    fn written(&self) -> f32 {
        self.to_f32()
    }
}

impl Written for bf16 {
    type As<'a> = f32;

    fn written(&self) -> f32 {
        self.to_f32()
    }
}

impl Written for String {
    type As<'a> = &'a str;

    fn written(&self) -> &str {
        self
    }
}

impl Serialize for Nested<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { data, shape, start } = *self;
        match shape {
            [] => ElementAt { data, index: start }.serialize(serializer),
            [len] => {
                with_buffer!(data, buffer => {
                    serializer.collect_seq(buffer[start..start + len].iter().map(Written::written))
                })
            }
            [len, inner @ ..] => {
                let step: usize = inner.iter().product();
                let mut sequence = serializer.serialize_seq(Some(*len))?;
                for index in 0..*len {
                    sequence.serialize_element(&Nested {
                        data,
                        shape: inner,
                        start: start + index * step,
                    })?;
                }
                sequence.end()
            }
        }
    }
}

/// One element of a tensor.
pub(super) struct ElementAt<'a> {
    pub(super) data: &'a Data,
    pub(super) index: usize,
}

impl Serialize for ElementAt<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        with_buffer!(self.data, buffer => buffer[self.index].written().serialize(serializer))
    }
}

impl fmt::Display for ElementAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_buffer!(self.data, buffer => buffer[self.index].written().fmt(f))
    }
}
