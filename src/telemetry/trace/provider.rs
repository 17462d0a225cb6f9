//! Builds the SDK's tracer over our queue, from explicit values only.
//!
//! Called once by [`crate::telemetry::start`]. Invariant: whatever is wrong with the configuration or
//! the collector, the result is tracing off and a log line, not a failed start.

use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, SpanLimits};
use opentelemetry_semantic_conventions::SCHEMA_URL;
use opentelemetry_semantic_conventions::resource::{SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION};

use super::queue::SpanQueue;
use super::sampler::ConfiguredSampler;
use super::sink::{ConsoleSink, OtlpSink};
use crate::telemetry::metrics::SpanMetrics;
use crate::telemetry::options::Options;
use crate::telemetry::otel::{OtelOptions, TraceExporter};

/// What a recording tracer consists of.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    pub(super) tracer: SdkTracer,
    pub(super) queue: SpanQueue,
}

impl Recorder {
    /// A recorder whose queue nobody empties yet.
    pub(super) fn new(otel: &OtelOptions, version: &'static str, metrics: SpanMetrics) -> Self {
        let queue = SpanQueue::new(otel.queue, otel.limits.value_length, metrics);
        let provider = SdkTracerProvider::builder()
            .with_sampler(ConfiguredSampler::new(otel.sampler))
            .with_span_limits(limits(otel))
            // The exporter is given the real one; the default would ask the environment.
            .with_resource(Resource::builder_empty().build())
            .with_span_processor(queue.clone())
            .build();
        let scope = InstrumentationScope::builder("ml-inference-api")
            .with_version(version)
            .with_schema_url(SCHEMA_URL)
            .build();
        Self { tracer: provider.tracer_with_scope(scope), queue }
    }

    /// Starts the thread that empties the queue.
    pub(super) fn start_export(&self, options: &Options, version: &'static str) {
        let otel = &options.otel;
        let spawned = match &otel.exporter {
            TraceExporter::Off => return,
            TraceExporter::Console => self.queue.spawn(|| Ok(ConsoleSink)),
            TraceExporter::Otlp(otlp) => {
                let (otlp, limit) = (otlp.clone(), otel.queue.export_timeout);
                let resource = resource(options, version);
                tracing::info!(endpoint = otlp.endpoint, protocol = ?otlp.protocol, "spans are exported");
                self.queue.spawn(move || OtlpSink::open(&otlp, limit, &resource))
            }
        };
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread to export spans: they are dropped and counted");
        }
    }
}

fn limits(otel: &OtelOptions) -> SpanLimits {
    let limits = &otel.limits;
    SpanLimits {
        max_events_per_span: limits.events,
        max_attributes_per_span: limits.attributes,
        max_links_per_span: limits.links,
        max_attributes_per_event: limits.attributes_per_event,
        max_attributes_per_link: limits.attributes_per_link,
    }
}

/// Ours first, so that `OTEL_RESOURCE_ATTRIBUTES` may say better; the service's name was settled before.
fn resource(options: &Options, version: &'static str) -> Resource {
    let instance = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let given = options.otel.resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attribute(KeyValue::new(SERVICE_VERSION, version))
        .with_attribute(KeyValue::new(SERVICE_INSTANCE_ID, instance))
        .with_attributes(given)
        .with_attribute(KeyValue::new(SERVICE_NAME, options.service_name.clone()))
        .build()
}
