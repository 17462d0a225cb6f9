//! The places that encoded items can go: a collector, or stderr.

use std::io::Write;
use std::sync::Arc;

use super::queue::Sink;
use super::{Collector, ExportError, ExportErrorKind, Origin, Signal};
use crate::telemetry::otel::OtlpOptions;

/// An open way to a collector.
pub(in crate::telemetry) struct CollectorSink {
    collector: Collector,
    origin: Arc<Origin>,
}

impl CollectorSink {
    /// Prepares it; nothing is connected before the first export.
    pub(in crate::telemetry) fn open(
        options: &OtlpOptions,
        signal: Signal,
        origin: Arc<Origin>,
    ) -> Result<Self, ExportError> {
        Ok(Self { collector: Collector::open(options, signal)?, origin })
    }
}

impl Sink for CollectorSink {
    fn send(&mut self, items: &[u8]) -> Result<u64, ExportError> {
        let accepted = self.collector.send(self.origin.request(items))?;
        Ok(accepted.rejected)
    }
}

/// For items that are lines of text: a first look without a collector.
pub(in crate::telemetry) struct Stderr;

impl Sink for Stderr {
    fn send(&mut self, items: &[u8]) -> Result<u64, ExportError> {
        std::io::stderr()
            .write_all(items)
            .map(|()| 0)
            .map_err(|error| ExportError { kind: ExportErrorKind::Unavailable, message: error.to_string() })
    }
}
