//! Models found on disk, described and not loaded; and what `--models` may be given.

use std::path::PathBuf;
use std::str::FromStr;

use super::{Description, ModelName, ModelProblem, Version, VersionPolicy};

/// `[NAME=]PATH` as given to `--models`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPath {
    /// The name to serve a single model under.
    pub name: Option<ModelName>,
    /// A model, or a folder of models.
    pub path: PathBuf,
}

/// One version of a model on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionSource {
    /// The version.
    pub version: Version,
    /// The graph's file, resolved.
    pub graph: PathBuf,
    /// What all files beside the graph say of it.
    pub description: Description,
}

/// A model found on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSource {
    /// The name it is served under.
    pub name: ModelName,
    /// Every file of the model must resolve inside this folder: the path that was given.
    pub root: PathBuf,
    /// Paths of the manifest are relative to this folder.
    pub folder: PathBuf,
    /// Which versions are loaded.
    pub version_policy: VersionPolicy,
    /// The versions to load, ascending.
    pub versions: Vec<VersionSource>,
}

/// What was found behind all of the paths.
#[derive(Clone, Debug, Default)]
pub struct Discovered {
    /// Models with distinct names, sorted by name.
    pub models: Vec<ModelSource>,
    /// Every problem of every other model, and paths that hold none.
    pub problems: Vec<ModelProblem>,
    /// Entries that are no models: dot entries, READMEs, folders and files without one.
    pub ignored: Vec<String>,
}

impl FromStr for ModelPath {
    type Err = ModelProblem;

    fn from_str(text: &str) -> Result<Self, ModelProblem> {
        let problem = |message: &str| ModelProblem::new(text, message);
        // A `/` before the first `=` can only be part of a path.
        let (name, path) = match text.split_once('=') {
            Some((name, path)) if !name.contains('/') => {
                let parsed = name.parse().map_err(|error| problem(&format!("name {name:?}: {error}")))?;
                (Some(parsed), path)
            }
            _ => (None, text),
        };
        if path.is_empty() {
            return Err(problem("expected [NAME=]PATH, got an empty path"));
        }
        if path.contains("://") {
            return Err(problem("models are read from local paths; remote sources are not supported yet"));
        }
        Ok(Self { name, path: path.into() })
    }
}
