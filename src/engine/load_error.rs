//! Why a graph can't be served.

use crate::model::ProviderKind;

/// Why a graph can't be served. Texts name no absolute path and no source line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The graph's file is missing, unreadable or outside the folder.
    #[error("{file}: {reason}")]
    File {
        /// The graph's file name.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is not an ONNX graph that the runtime understands.
    #[error("{file} is not an ONNX graph that can be loaded: {reason}")]
    Graph {
        /// The graph's file name.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The graph refers to a file that it must not use.
    #[error("external data {location:?}: {reason}")]
    External {
        /// The file, as the graph writes it.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An input or output that can't be served.
    #[error("{0}")]
    Unsupported(String),
    /// A provider that was asked for can't be had.
    #[error("provider {provider} can't be had: {reason}")]
    Provider {
        /// The provider.
        provider: ProviderKind,
        /// Driver, library or version that is missing.
        reason: String,
    },
    /// A precision that the provider does not have.
    #[error("provider {provider} has no precision {precision}: {hint}")]
    Precision {
        /// The provider.
        provider: ProviderKind,
        /// The precision asked for.
        precision: &'static str,
        /// What to do instead.
        hint: String,
    },
    /// The runtime failed otherwise.
    #[error("no session could be made of {file}: {reason}")]
    Session {
        /// The graph's file name.
        file: String,
        /// What the runtime says.
        reason: String,
    },
}

impl LoadError {
    /// True where another provider might do.
    pub(super) const fn is_of_provider(&self) -> bool {
        matches!(self, Self::Provider { .. } | Self::Precision { .. })
    }

    /// What is wrong, without the file's name and the step at which it showed.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Graph { reason, .. } | Self::Session { reason, .. } => reason.clone(),
            other => other.to_string(),
        }
    }
}
