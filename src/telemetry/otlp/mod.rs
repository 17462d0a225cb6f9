//! The way to a collector, for all signals: what travels, and how it is sent.
//!
//! Invariant: a send ends within its time limit, retries included.

mod origin;
mod queue;
mod sink;
pub(super) mod wire;

pub(super) use origin::{ITEM, Origin};
pub(super) use queue::ExportQueue;
#[cfg(test)]
pub(super) use queue::Sink;
pub(super) use sink::{CollectorSink, Stderr};

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

/// STAND-IN
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    Traces,
}
/// STAND-IN
pub(super) struct Collector;
/// STAND-IN
pub(super) struct Accepted {
    pub(super) rejected: u64,
}
impl Collector {
    pub(super) fn open(_: &super::otel::OtlpOptions, _: Signal) -> Result<Self, ExportError> {
        Ok(Self)
    }
    pub(super) fn send(&mut self, _: Vec<u8>) -> Result<Accepted, ExportError> {
        Ok(Accepted { rejected: 0 })
    }
}
