//! Telemetry: metrics, traces, logs; three outputs, one start and one flush.
//!
//! `app` calls [`start`] first of all and [`Telemetry::flush`] last; every other room is handed the
//! typed handles. Invariant: nothing here delays or fails a request, the start or (beyond its limit)
//! the exit; no client's text becomes a label; this room knows none of the others.

mod exports;
mod gpu;
mod labels;
mod logs;
mod metrics;
mod options;
mod otel;
mod otlp;
mod trace;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use gpu::GpuWatch;
pub use labels::{ConnectionError, LoadResult, Outcome, Stage, known_method};
pub use logs::{LIFECYCLE, LogLevel, is_log_filter};
pub use metrics::{
    BatchStatistics, DurationTotal, Exposition, FeatureMetrics, GpuMetrics, HttpMetrics, HttpObservation,
    Metrics, ModelMetrics, ObservedEnd, Quality, SampledSpan, SemanticMetrics, Spoken, Statistics,
    StatisticsSnapshot, WorkerMetrics,
};
pub use opentelemetry::propagation::Extractor;
pub use opentelemetry::trace::{SpanContext, SpanId, TraceId};
pub use options::{LogFormat, LogOptions, Options, TailOptions};
pub use otel::{
    LimitOptions, LogExport, MetricExport, OtelOptions, OtlpOptions, OtlpProtocol, Propagator, QueueOptions,
    RootSampler, SamplerKind, TlsOptions, TraceExporter,
};
pub use trace::{
    BatchMember, BatchRecord, HttpSpanEnd, InferenceRecord, InferenceTrace, Operation, RequestTrace,
    Sampling, Tracer, push_hex,
};

use exports::Exports;
use otlp::Origin;

/// What is running.
#[derive(Clone, Debug, Default)]
pub struct BuildInfo {
    /// The service's version.
    pub version: &'static str,
    /// The source's revision.
    pub revision: String,
    /// The compiler.
    pub rustc: String,
    /// ONNX Runtime's version.
    pub runtime_version: String,
}

/// The started telemetry.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// Metrics, for everyone who counts.
    pub metrics: Arc<Metrics>,
    /// Traces, for the request's way.
    pub tracer: Tracer,
    /// What is logged, for who may change it.
    pub log_level: LogLevel,
    exports: Exports,
}

/// Starts metrics, traces and logs. Never fails: what cannot be had is off, and a log line says so.
pub fn start(options: &Options, version: &BuildInfo) -> Telemetry {
    let service = options.service_label.then_some(options.service_name.as_str());
    let metrics = Arc::new(Metrics::new(service, version).with_semantic(options.semantic_metrics()));
    let tracer = Tracer::new(options, &metrics);
    let origin = Origin::new(options, version.version);
    let mut exports = Exports::new(&options.otel, &metrics);
    let log_level = logs::install(&options.log, tracer.sdk(), exports.records(&options.otel));
    // The exporters start last: only now is there a log to tell their state in.
    tracer.start_export(&options.otel, &origin, &metrics);
    exports.start(&options.otel, &origin, &metrics);
    Telemetry { metrics, tracer, log_level, exports }
}

impl Telemetry {
    /// Waits for the spans ended, the lines logged and the metrics counted so far, at most `timeout`; true when all of
    /// them were exported.
    ///
    /// Blocks: call it off the async workers.
    pub fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        // All at once: a collector of one signal that never answers takes nothing from the others.
        let (spans, others) = (self.tracer.begin_flush(), self.exports.begin_flush());
        let arrived = self.tracer.await_flush(spans, deadline);
        let spans = (!arrived).then_some(labels::Signal::Traces);
        let missing: Vec<&str> =
            spans.into_iter().chain(others.missing(deadline)).map(labels::Signal::as_str).collect();
        if !missing.is_empty() {
            let signals = missing.join(", ");
            tracing::warn!(
                timeout_ms = timeout.as_millis(),
                signals,
                "the last of these could not be exported"
            );
        }
        missing.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn starting_twice_is_harmless() {
        let (options, _) =
            Options::from_environment(&BTreeMap::from([("RUST_LOG".to_owned(), "=bad=".to_owned())]));
        let version = BuildInfo {
            version: "1",
            revision: String::new(),
            rustc: String::new(),
            runtime_version: String::new(),
        };
        for _ in 0..2 {
            assert!(start(&options, &version).flush(Duration::ZERO));
        }
    }
}
