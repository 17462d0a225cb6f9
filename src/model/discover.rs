//! Placeholder.
use std::path::PathBuf;
use super::{Manifest, ModelName, ModelProblem, Version};

/// `[NAME=]PATH` as given to `--models`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPath { pub name: Option<ModelName>, pub path: PathBuf }
/// One version of a model on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionSource { pub version: Version, pub graph: PathBuf }
/// A model found on disk, described but not loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSource {
    /// The name it is served under.
    pub name: ModelName,
    /// Every file of the model must resolve inside this folder.
    pub folder: PathBuf,
    /// `model.toml`, or all defaults.
    pub manifest: Manifest,
    /// The versions to load, ascending.
    pub versions: Vec<VersionSource>,
    /// What was recognised, assumed or ignored, for people.
    pub notes: Vec<String>,
}
/// Placeholder.
pub fn discover(_path: &ModelPath) -> Result<Vec<ModelSource>, Vec<ModelProblem>> { Ok(Vec::new()) }
