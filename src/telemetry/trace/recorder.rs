//! What a recording tracer consists of: sampler, encoder, queue, and the SDK's tracer over them.
//!
//! Made once by [`crate::telemetry::start`]. Invariant: whatever is wrong with the configuration or the
//! collector, spans are lost and counted, and a log line says so; the start does not fail.

use std::io::Write;
use std::sync::Arc;

use opentelemetry_sdk::trace::SdkTracer;

use super::encode::{Encoder, Form};
use super::sampler::Sampler;
use super::sdk;
use crate::telemetry::labels::Signal;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::otel::{OtelOptions, TraceExporter};
use crate::telemetry::otlp::{Accepted, ExportError, ExportErrorKind, ExportQueue, Exporter, Origin};

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
    pub(super) fn new(otel: &OtelOptions, metrics: &Metrics) -> Option<Self> {
        let form = match &otel.exporter {
            TraceExporter::Off => return None,
            TraceExporter::Console => Form::Text,
            TraceExporter::Otlp(_) => Form::Protobuf,
        };
        let encoder = Encoder { form, limits: otel.limits };
        let sampler = Arc::new(Sampler::new(otel.sampler));
        let queue = ExportQueue::new(otel.queue, metrics.span_queue());
        Some(Self { tracer: sdk::tracer(&queue, encoder, &sampler), queue, encoder, sampler })
    }

    /// Starts the thread that empties the queue.
    pub(super) fn start_export(&self, otel: &OtelOptions, origin: &Origin, metrics: &Metrics) {
        let spawned = match &otel.exporter {
            TraceExporter::Off => return,
            TraceExporter::Console => self.queue.spawn("span-export", || to_stderr),
            TraceExporter::Otlp(otlp) => {
                let open = Exporter::later(otlp, Signal::Traces, origin, metrics);
                tracing::info!(endpoint = otlp.endpoint, protocol = ?otlp.protocol, "spans are exported");
                self.queue.spawn("span-export", || {
                    let mut exporter = open();
                    move |items: &[u8]| exporter.export(items)
                })
            }
        };
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread to export spans: they are dropped and counted");
        }
    }
}

/// A first look without a collector: the items are lines of text.
fn to_stderr(items: &[u8]) -> Result<Accepted, ExportError> {
    std::io::stderr()
        .write_all(items)
        .map(|()| Accepted::default())
        .map_err(|error| ExportError { kind: ExportErrorKind::Unavailable, message: error.to_string() })
}
