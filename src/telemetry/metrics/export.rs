//! What exports count about themselves, under the names of the semantic conventions for SDKs.
//!
//! Taken by the threads that export. Invariant: a signal that is not exported has no series here, but for the size and
//! capacity of the spans' queue.

use std::time::Duration;

use prometheus::{IntCounter, IntGauge};

use super::Metrics;
use super::family::Family;
use super::histogram::Histogram;
use crate::telemetry::labels::Signal;
use crate::telemetry::otlp::{Accepted, ExportError, ExportErrorKind};

/// Handles of a queue and of the exports out of it.
#[derive(Clone, Debug)]
pub(in crate::telemetry) struct QueueMetrics {
    /// Items handed to the exporter.
    pub(in crate::telemetry) processed: IntCounter,
    /// Items dropped because the queue was full.
    pub(in crate::telemetry) full: IntCounter,
    pub(in crate::telemetry) size: IntGauge,
    pub(in crate::telemetry) capacity: IntGauge,
    /// Items in the export under way.
    pub(in crate::telemetry) inflight: IntGauge,
    pub(in crate::telemetry) exported: ExportedMetrics,
}

/// Items whose export ended, by error.
#[derive(Clone, Debug)]
pub(in crate::telemetry) struct ExportedMetrics {
    pub(in crate::telemetry) ok: IntCounter,
    pub(in crate::telemetry) timeout: IntCounter,
    pub(in crate::telemetry) unavailable: IntCounter,
    pub(in crate::telemetry) rejected: IntCounter,
}

impl ExportedMetrics {
    fn new(family: &Family<IntCounter>) -> Self {
        let error = |kind: ExportErrorKind| family.with_label_values(&[kind.as_str()]);
        Self {
            ok: family.with_label_values(&[""]),
            timeout: error(ExportErrorKind::Timeout),
            unavailable: error(ExportErrorKind::Unavailable),
            rejected: error(ExportErrorKind::Rejected),
        }
    }

    /// Counts an export of so many items, and says how many of them are lost.
    pub(in crate::telemetry) fn count(&self, result: &Result<Accepted, ExportError>, items: u64) -> u64 {
        let (failed, lost) = match result {
            Ok(accepted) => (&self.rejected, accepted.rejected.min(items)),
            Err(error) => match error.kind {
                ExportErrorKind::Timeout => (&self.timeout, items),
                ExportErrorKind::Unavailable => (&self.unavailable, items),
                ExportErrorKind::Rejected => (&self.rejected, items),
            },
        };
        failed.inc_by(lost);
        self.ok.inc_by(items - lost);
        lost
    }
}

/// How long exports of a signal take.
#[derive(Clone, Debug)]
pub(in crate::telemetry) struct OperationMetrics {
    signal: Signal,
    durations: Family<Histogram>,
}

impl OperationMetrics {
    /// An export ended, retries included.
    pub(in crate::telemetry) fn observe(&self, error: Option<ExportErrorKind>, duration: Duration) {
        let error = error.map_or("", ExportErrorKind::as_str);
        self.durations.with_label_values(&[self.signal.as_str(), error]).observe(duration.as_secs_f64());
    }
}

impl Metrics {
    /// The handles of the queue of spans.
    pub(in crate::telemetry) fn span_queue(&self) -> QueueMetrics {
        let c = &*self.catalogue;
        QueueMetrics {
            processed: c.spans_processed.with_label_values(&[""]),
            full: c.spans_processed.with_label_values(&["queue_full"]),
            size: c.span_queue_size.clone(),
            capacity: c.span_queue_capacity.clone(),
            inflight: c.span_inflight.with_label_values::<&str>(&[]),
            exported: ExportedMetrics::new(&c.spans_exported),
        }
    }

    /// The handles of the queue of log records.
    pub(in crate::telemetry) fn log_queue(&self) -> QueueMetrics {
        let c = &*self.catalogue;
        let gauge = |family: &Family<IntGauge>| family.with_label_values::<&str>(&[]);
        QueueMetrics {
            processed: c.logs_processed.with_label_values(&[""]),
            full: c.logs_processed.with_label_values(&["queue_full"]),
            size: gauge(&c.log_queue_size),
            capacity: gauge(&c.log_queue_capacity),
            inflight: gauge(&c.log_inflight),
            exported: ExportedMetrics::new(&c.logs_exported),
        }
    }

    /// The handles of pushed metrics.
    pub(in crate::telemetry) fn pushed_points(&self) -> ExportedMetrics {
        ExportedMetrics::new(&self.catalogue.points_exported)
    }

    /// The durations of a signal's exports.
    pub(in crate::telemetry) fn operations(&self, signal: Signal) -> OperationMetrics {
        let durations = self.catalogue.export_duration.clone();
        // There from the start, so that no rate misses the first export.
        durations.with_label_values(&[signal.as_str(), ""]);
        OperationMetrics { signal, durations }
    }
}
