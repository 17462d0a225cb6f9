//! What a model is, before anything runs it: manifest, folder layout, signature, version, digest.
//!
//! Pure description: reads files, never runs a graph. Used by `engine/`, `task/` and `service/`.

mod digest;
mod discover;
mod execution;
mod inside;
mod manifest;
mod name;
mod problem;
mod recognise;
mod signature;
mod tolerance;

pub use digest::{DigestError, sha256_file, verify_digests};
pub use discover::{Discovered, ModelPath, ModelSource, VersionSource, discover};
pub use execution::{
    Batching, Execution, GraphOptimization, ManifestDefaults, Precision, ProviderKind, Queue,
};
pub use inside::resolve_inside;
pub use manifest::{
    Activation, Digests, Feature, FeatureType, Golden, ImageInput, InputLimits, Manifest, NamedPolicy,
    OutputNames, Pooling, TaskKind, VersionPolicy, Warmup,
};
pub use name::{ModelName, NameError, Version};
pub use problem::ModelProblem;
pub use recognise::task_kind;
pub use signature::{Dim, Signature, SignatureError, TensorSpec};
pub use tolerance::Tolerance;
