//! What a model is, before anything runs it: manifest, folder layout, signature, version, digest.
//!
//! Pure description: reads files, never runs a graph. Used by `engine/`, `task/` and `service/`.

mod description;
mod digest;
mod discover;
mod execution;
mod folder;
mod image;
mod inside;
mod manifest;
mod name;
mod problem;
mod recognise;
mod signature;
mod source;
mod stamp;
mod tolerance;
mod versions;

pub use description::{Description, Fill, WarmupSample};
pub use digest::{DigestError, sha256_file, verify_digests};
pub use discover::discover;
pub use execution::{
    Batching, Execution, GraphOptimization, ManifestDefaults, Precision, ProviderKind, Queue,
};
pub use image::{ColorOrder, ImageInput, ImageLayout, ResizeFilter, ResizeTo};
pub use inside::resolve_inside;
pub use manifest::{
    Activation, Digests, Feature, FeatureType, Golden, InputLimits, Manifest, NamedPolicy, OutputNames,
    Pooling, Side, TaskKind, VersionPolicy, Warmup,
};
pub use name::{ModelName, NameError, Version};
pub use problem::ModelProblem;
pub use recognise::{pooled_output, task_kind};
pub use signature::{Dim, Signature, SignatureError, TensorSpec};
pub use source::{Discovered, ModelPath, ModelSource, VersionSource};
pub use stamp::Stamp;
pub use tolerance::Tolerance;
