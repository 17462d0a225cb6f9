//! The few spans that are made through `tracing` (start-up, loading, administration): the SDK's tracer over our queue.
//!
//! Requests have their own way: they are many, and their spans are known whole at their end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    SamplingDecision, SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample, Span, SpanData, SpanLimits,
    SpanProcessor,
};

use super::encode::{Encoder, Head};
use super::sampler::Sampler;
use crate::telemetry::otlp::ExportQueue;
use crate::telemetry::otlp::wire::Value;

/// A tracer whose spans end in `queue`.
pub(super) fn tracer(queue: &ExportQueue, encoder: Encoder, sampler: &Arc<Sampler>) -> SdkTracer {
    let limits = &encoder.limits;
    let limits = SpanLimits {
        max_events_per_span: limits.events,
        max_attributes_per_span: limits.attributes,
        max_links_per_span: limits.links,
        max_attributes_per_event: limits.attributes_per_event,
        max_attributes_per_link: limits.attributes_per_link,
    };
    let provider = SdkTracerProvider::builder()
        .with_sampler(Configured(Arc::clone(sampler)))
        .with_span_limits(limits)
        // What is exported has the real one; the default would ask the environment.
        .with_resource(Resource::builder_empty().build())
        .with_span_processor(Bridge { queue: queue.clone(), encoder })
        .build();
    provider.tracer_with_scope(InstrumentationScope::builder("ml-inference-api").build())
}

/// The configured sampler, as the SDK asks for it.
#[derive(Clone, Debug)]
struct Configured(Arc<Sampler>);

impl ShouldSample for Configured {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let parent = parent.filter(|context| context.span().span_context().is_valid());
        let asked = parent.map(|context| context.span().span_context().is_sampled());
        let decision = if self.0.decides(asked, trace_id) {
            SamplingDecision::RecordAndSample
        } else {
            SamplingDecision::Drop
        };
        let trace_state =
            parent.map_or(TraceState::NONE, |context| context.span().span_context().trace_state().clone());
        SamplingResult { decision, attributes: Vec::new(), trace_state }
    }
}

/// Writes the SDK's spans as ours are.
struct Bridge {
    queue: ExportQueue,
    encoder: Encoder,
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").finish_non_exhaustive()
    }
}

impl SpanProcessor for Bridge {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.queue.put(1, |out| {
                self.encoder.write_sdk_span(out, &span);
                1
            });
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    /// Whoever wants to wait flushes the queue, within a limit of its own.
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.queue.close();
        Ok(())
    }
}

impl Encoder {
    fn write_sdk_span(&self, out: &mut Vec<u8>, span: &SpanData) {
        let parent = (span.parent_span_id != SpanId::INVALID).then(|| {
            let (trace, flags) = (span.span_context.trace_id(), TraceFlags::SAMPLED);
            SpanContext::new(trace, span.parent_span_id, flags, span.parent_span_is_remote, TraceState::NONE)
        });
        let head = Head {
            context: &span.span_context,
            parent: parent.as_ref(),
            name: [&span.name, "", ""],
            kind: &span.span_kind,
            began: span.start_time,
            ended: span.end_time,
        };
        self.span(out, &head, |fields| {
            for attribute in &span.attributes {
                let key = attribute.key.as_str();
                match &attribute.value {
                    opentelemetry::Value::Bool(yes) => fields.attribute(key, *yes),
                    opentelemetry::Value::I64(number) => fields.attribute(key, *number),
                    opentelemetry::Value::F64(number) => fields.attribute(key, *number),
                    other => fields.attribute(key, &*other.as_str()),
                }
            }
            for link in span.links.iter() {
                fields.link(&link.span_context, &[]);
            }
            for event in span.events.iter() {
                let texts: Vec<_> =
                    event.attributes.iter().map(|pair| (pair.key.as_str(), pair.value.as_str())).collect();
                let list: Vec<(&str, Value<'_>)> =
                    texts.iter().map(|(key, text)| (*key, Value::Text(text))).collect();
                fields.event(event.timestamp, &event.name, &list);
            }
            if matches!(span.status, Status::Error { .. }) {
                fields.failed();
            }
        });
    }
}
