//! What the Open Inference Protocol and Triton's extensions say of the server and its models, as values
//! that each protocol writes in its own form: JSON by serde, gRPC by its messages.
//!
//! Invariant: facts come from the registry as it is now, and an extension is named only when it is
//! served. The names of the fields are the protocol's.
#![expect(missing_docs, reason = "fields are the protocol's own")]

mod config;
mod index;
mod metadata;
mod statistics;

use serde::Serialize;

pub use config::*;
pub use index::{Entry, Listed, full_index, index};
pub use metadata::{Metadata, Properties, Tensor as TensorMetadata, metadata};
pub use statistics::{InferenceStatistics, ModelStatistics, OfSize, Statistics, statistics};

use crate::model::Dim;

/// Triton's names of what is served beyond the protocol itself.
const EXTENSIONS: [&str; 6] = [
    "classification",
    "schedule_policy",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
];

#[derive(Serialize)]
pub struct Server {
    pub name: &'static str,
    pub version: &'static str,
    pub extensions: [&'static str; EXTENSIONS.len()],
}

/// What serves.
pub fn server() -> Server {
    Server { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION"), extensions: EXTENSIONS }
}

/// Dimensions as the protocol writes them: -1 is free.
fn shape(dims: &[Dim]) -> Vec<i64> {
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => i64::try_from(*size).unwrap_or(i64::MAX),
        Dim::Free(_) | Dim::AnyRank => -1,
    };
    dims.iter().map(size).collect()
}
