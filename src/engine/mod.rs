//! Loads ONNX graphs into sessions of ONNX Runtime, checks them, and runs them.
//!
//! `service/` loads through [`load()`], `scheduler/` runs through [`Run`]. This is the only room that
//! names the `ort` crate; it knows nothing of queues, requests or wire formats. Nothing that the
//! runtime says goes to a client from here: [`RunError`]'s text is for logs.

mod advice;
mod attempt;
mod batch_check;
mod beside;
mod bound;
#[cfg(test)]
mod bound_tests;
mod class_labels;
mod core;
mod devices;
mod external_data;
mod graph_file;
mod graphs;
mod interrupt;
mod library;
mod load;
mod load_error;
mod loaded;
mod made_inputs;
#[cfg(test)]
mod memory_tests;
mod message;
mod outlets;
mod placement;
mod plan;
mod profile;
mod protobuf;
mod providers;
mod reason;
mod run;
mod runtime;
mod sample_inputs;
mod session;
mod shared_weights;
mod stream;
#[cfg(test)]
mod tests;
mod values;
mod zip_map;

pub use advice::{InUse, advice};
pub use batch_check::{BatchCheck, padding_changes, rows_are_independent};
pub use bound::Capturing;
pub use interrupt::Interrupt;
pub use load::{SessionOptions, load};
pub use load_error::LoadError;
pub use loaded::{GraphMetadata, LoadedGraph};
pub use made_inputs::{different_rows, made_inputs};
pub use placement::Placement;
pub use profile::LargestShape;
pub use run::{Run, RunError};
pub use runtime::{Runtime, RuntimeError, RuntimeOptions};
pub use sample_inputs::sample_inputs;
pub use session::{Session, device_lost, is_device_lost};
pub use values::kept_outputs;

#[cfg(test)]
pub(crate) use tests::runtime as test_runtime;
