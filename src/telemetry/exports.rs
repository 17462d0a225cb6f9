//! Logs and metrics on their way to a collector, beside stderr and scrapes.
//!
//! Made by [`super::start`]. Invariant: a signal that nobody asked for costs nothing: no queue, no thread, no series.

use std::sync::Arc;
use std::time::Instant;

use super::labels::Signal;
use super::logs::{self, Records};
use super::metrics::Metrics;
use super::otel::{LogExport, MetricExport, OtelOptions, OtlpOptions};
use super::otlp::{ExportQueue, Exporter, Flush, Origin, Pusher};

/// The exports under way.
#[derive(Clone, Debug)]
pub(super) struct Exports {
    logs: Option<ExportQueue>,
    push: Option<Pusher>,
}

/// A flush of them that has begun.
#[derive(Debug)]
pub(super) struct Flushing<'e> {
    logs: Option<(&'e ExportQueue, Flush)>,
    push: Option<(&'e Pusher, u64)>,
}

impl Exports {
    /// A queue for the records, which nobody empties yet.
    pub(super) fn new(otel: &OtelOptions, metrics: &Metrics) -> Self {
        let logs = otel.logs.as_ref().map(|wanted| ExportQueue::new(wanted.queue, metrics.log_queue()));
        Self { logs, push: None }
    }

    /// What fills that queue.
    pub(super) fn records(&self, otel: &OtelOptions) -> Option<Records> {
        let (queue, wanted) = self.logs.as_ref().zip(otel.logs.as_ref())?;
        Some(Records::new(queue.clone(), wanted))
    }

    /// Starts the threads, and logs where they send to.
    pub(super) fn start(&mut self, otel: &OtelOptions, origin: &Origin, metrics: &Arc<Metrics>) {
        if let Some((queue, wanted)) = self.logs.as_ref().zip(otel.logs.as_ref()) {
            export_logs(queue, wanted, origin, metrics);
        }
        self.push = otel.metrics.as_ref().and_then(|wanted| push_metrics(wanted, origin, metrics));
    }

    /// Has everything exported without delay.
    pub(super) fn begin_flush(&self) -> Flushing<'_> {
        Flushing {
            logs: self.logs.as_ref().map(|queue| (queue, queue.begin_flush())),
            push: self.push.as_ref().map(|pusher| (pusher, pusher.begin_flush())),
        }
    }
}

impl Flushing<'_> {
    /// Waits until `deadline`; what did not arrive.
    pub(super) fn missing(self, deadline: Instant) -> Vec<Signal> {
        let logs = self.logs.is_none_or(|(queue, flush)| queue.await_flush(flush, deadline));
        let push = self.push.is_none_or(|(pusher, asked)| pusher.await_flush(asked, deadline));
        let both = [(Signal::Logs, logs), (Signal::Metrics, push)];
        both.into_iter().filter(|(_, arrived)| !arrived).map(|(signal, _)| signal).collect()
    }
}

fn export_logs(queue: &ExportQueue, wanted: &LogExport, origin: &Origin, metrics: &Metrics) {
    let open = exporter(Signal::Logs, &wanted.otlp, origin, metrics);
    let spawned = queue.spawn("log-export", || {
        logs::silence_this_thread();
        let mut exporter = open();
        move |items: &[u8]| exporter.export(items)
    });
    if let Err(error) = spawned {
        tracing::error!(%error, "no thread to export logs: they are dropped and counted");
    }
}

fn push_metrics(wanted: &MetricExport, origin: &Origin, metrics: &Arc<Metrics>) -> Option<Pusher> {
    let open = exporter(Signal::Metrics, &wanted.otlp, origin, metrics);
    let source = Arc::clone(metrics);
    let items = move || source.otlp_items();
    let pusher = Pusher::spawn(wanted.interval, metrics.pushed_points(), items, || {
        let mut exporter = open();
        move |items: &[u8]| exporter.export(items)
    });
    pusher.inspect_err(|error| tracing::error!(%error, "no thread to push metrics: they can be scraped")).ok()
}

/// What makes a signal's exporter; tells where it will send to.
fn exporter(
    signal: Signal,
    otlp: &OtlpOptions,
    origin: &Origin,
    metrics: &Metrics,
) -> impl FnOnce() -> Exporter + Send + use<> {
    let (endpoint, protocol) = (&otlp.endpoint, otlp.protocol);
    tracing::info!(signal = signal.as_str(), endpoint, ?protocol, "exported to a collector");
    Exporter::later(otlp, signal, origin, metrics)
}
