//! A signal's exporter: makes requests of items, sends them, times each, and tells when exports begin to fail.
//!
//! Made and used on the thread that exports. Invariant: a state that lasts is told once.

use std::time::Instant;

use super::{Accepted, Collector, ExportError, Origin};
use crate::telemetry::labels::Signal;
use crate::telemetry::metrics::{Metrics, OperationMetrics};
use crate::telemetry::otel::OtlpOptions;

/// A way to a collector, and what is known of it.
#[derive(Debug)]
pub(in crate::telemetry) struct Exporter {
    signal: Signal,
    origin: Origin,
    collector: Result<Collector, ExportError>,
    metrics: OperationMetrics,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Works,
    /// The collector takes part, or has something to say.
    Complains,
    Fails,
}

impl Exporter {
    /// What makes one, on the thread that will use it. Nothing is connected yet; what is wrong with the options is the
    /// error of every export.
    pub(in crate::telemetry) fn later(
        options: &OtlpOptions,
        signal: Signal,
        origin: &Origin,
        metrics: &Metrics,
    ) -> impl FnOnce() -> Self + Send + use<> {
        let (options, origin, operations) = (options.clone(), origin.clone(), metrics.operations(signal));
        move || {
            let collector = Collector::open(&options, signal);
            Self { signal, origin, collector, metrics: operations, state: State::Works }
        }
    }

    /// Sends items, each of which is a field [`super::ITEM`]; returns within the time limit of the options.
    pub(in crate::telemetry) fn export(&mut self, items: &[u8]) -> Result<Accepted, ExportError> {
        let started = Instant::now();
        let request = self.origin.request(items);
        let result = match &mut self.collector {
            Ok(collector) => collector.send(request),
            Err(error) => Err(error.clone()),
        };
        self.metrics.observe(result.as_ref().err().map(|error| error.kind), started.elapsed());
        self.tell(&result);
        result
    }

    fn tell(&mut self, result: &Result<Accepted, ExportError>) {
        let signal = self.signal.as_str();
        let state = match result {
            Err(_) => State::Fails,
            Ok(accepted) if *accepted != Accepted::default() => State::Complains,
            Ok(_) => State::Works,
        };
        if state == self.state {
            return;
        }
        self.state = state;
        match result {
            Err(error) => {
                tracing::warn!(signal, %error, "export fails; what is lost is counted until it works again");
            }
            Ok(Accepted { rejected, message }) if state == State::Complains => {
                tracing::warn!(
                    signal,
                    rejected,
                    reason = message,
                    "the collector did not take all that it was sent"
                );
            }
            Ok(_) => tracing::info!(signal, "export works again"),
        }
    }
}
