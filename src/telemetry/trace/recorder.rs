//! What a recording tracer consists of: sampler, encoder, queue, and the SDK's tracer over them.
//!
//! Made once by [`crate::telemetry::start`]. Invariant: whatever is wrong with the configuration or the
//! collector, spans are lost and counted, and a log line says so; the start does not fail.

use std::sync::Arc;

use opentelemetry_sdk::trace::SdkTracer;

use super::encode::{Encoder, Form};
use super::sampler::Sampler;
use super::sdk;
use crate::telemetry::metrics::QueueMetrics;
use crate::telemetry::otel::{OtelOptions, TraceExporter};
use crate::telemetry::otlp::{CollectorSink, ExportQueue, Origin, Signal, Stderr};

/// What records spans.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) tracer: SdkTracer,
    pub(super) queue: ExportQueue,
    pub(super) encoder: Encoder,
    pub(super) sampler: Arc<Sampler>,
}

impl Recorder {
    /// A recorder whose queue nobody empties yet; none where no spans are wanted.
    pub(super) fn new(otel: &OtelOptions, metrics: impl FnOnce() -> QueueMetrics) -> Option<Self> {
        let form = match &otel.exporter {
            TraceExporter::Off => return None,
            TraceExporter::Console => Form::Text,
            TraceExporter::Otlp(_) => Form::Protobuf,
        };
        let encoder = Encoder { form, limits: otel.limits };
        let sampler = Arc::new(Sampler::new(otel.sampler));
        let queue = ExportQueue::new("spans", otel.queue, metrics());
        Some(Self { tracer: sdk::tracer(&queue, encoder, &sampler), queue, encoder, sampler })
    }

    /// Starts the thread that empties the queue.
    pub(super) fn start_export(&self, otel: &OtelOptions, origin: &Arc<Origin>) {
        let spawned = match &otel.exporter {
            TraceExporter::Off => return,
            TraceExporter::Console => self.queue.spawn("span-export", || Ok(Stderr)),
            TraceExporter::Otlp(otlp) => {
                let mut otlp = otlp.clone();
                otlp.timeout = otlp.timeout.min(otel.queue.export_timeout);
                let origin = Arc::clone(origin);
                tracing::info!(endpoint = otlp.endpoint, protocol = ?otlp.protocol, "spans are exported");
                self.queue.spawn("span-export", move || CollectorSink::open(&otlp, Signal::Traces, origin))
            }
        };
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread to export spans: they are dropped and counted");
        }
    }
}
