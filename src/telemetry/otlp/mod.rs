//! The way to a collector, for all signals: what travels, and how it is sent.
//!
//! Invariant: a send ends within its time limit, retries included.

mod origin;
pub(super) mod wire;

pub(super) use origin::{ITEM, Origin};

/// Why what was exported is lost.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct ExportError {
    pub(super) kind: ExportErrorKind,
    pub(super) message: String,
}

/// The `error_type` of what is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExportErrorKind {
    Timeout,
    Unavailable,
    Rejected,
}
