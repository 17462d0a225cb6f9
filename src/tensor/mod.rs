//! Tensors as the rest of the program passes them around: a type, a shape, a typed buffer.
//!
//! Made by `task/` (from requests) and `engine/` (from the runtime); read by both. This room knows
//! no wire format, no runtime and nothing asynchronous.

mod batch_axis;
mod buffer;
mod data;
mod data_type;

pub use batch_axis::{AxisError, concatenate, pad_to, split};
pub use buffer::Buffer;
pub use data::{Data, Tensor, TensorError};
pub use data_type::DataType;
