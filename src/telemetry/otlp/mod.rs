//! The way to a collector, for all signals: what travels, and how it is sent.
//!
//! [`Origin`] makes requests of items, a [`Collector`] sends them, an [`Exporter`] does both and tells what comes of it;
//! [`ExportQueue`] and [`Pusher`] are threads that export what is queued, or what is asked for. Invariant: a send ends
//! within its time limit, retries included.

mod answer;
mod collector;
mod connection;
mod exporter;
mod origin;
mod push;
mod queue;
mod tls;
pub(super) mod wire;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub(super) use collector::Collector;
pub(super) use exporter::Exporter;
pub(super) use origin::{ITEM, Origin};
pub(super) use push::Pusher;
pub(super) use queue::{ExportQueue, Flush};

/// Why what was exported is lost.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct ExportError {
    pub(super) kind: ExportErrorKind,
    pub(super) message: String,
}

impl ExportError {
    fn unavailable(message: String) -> Self {
        Self { kind: ExportErrorKind::Unavailable, message }
    }

    fn timeout(limit: Duration) -> Self {
        Self { kind: ExportErrorKind::Timeout, message: format!("no answer within {limit:?}") }
    }
}

/// The `error_type` of what is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExportErrorKind {
    Timeout,
    Unavailable,
    Rejected,
}

impl ExportErrorKind {
    /// The label value.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Rejected => "rejected",
        }
    }
}

/// What a collector took in: all, but for what it rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    /// Items that it did not take in.
    pub(super) rejected: u64,
    /// Why, or a warning; mostly empty.
    pub(super) message: String,
}
