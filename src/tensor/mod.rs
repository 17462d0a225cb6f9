//! Tensors as the rest of the program passes them around: a type, a shape, a typed buffer.
//!
//! Made by `task/` (from requests) and `engine/` (from the runtime); read by both. Of wire formats this
//! room knows only the plainest, elements as they lie in memory; no runtime, nothing asynchronous.

mod batch_axis;
mod buffer;
mod data;
mod data_type;
mod finite;
mod raw;

pub use batch_axis::{AxisError, concatenate, gather, split, with_width};
pub use buffer::{Buffer, Stored};
pub(crate) use data::with_buffer;
pub use data::{Data, Tensor, TensorError};
pub use data_type::DataType;
pub use finite::non_finite_rows;
pub use raw::RawError;
