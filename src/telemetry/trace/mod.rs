//! Traces, built by the OpenTelemetry API from recorded times.
//!
//! `http/` begins a [`RequestTrace`] per request, `service/` an [`InferenceTrace`] in it, the
//! scheduler records batches. Invariant: the sampling decision comes first; a request that is not
//! sampled pays for its ids and nothing else, and nothing here waits or fails.

mod batch;
mod inference;
mod propagation;
mod provider;
mod queue;
mod request;
mod sampler;
mod sink;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::Context;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, TraceState,
    Tracer as _,
};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracer, Span};

pub use batch::{BatchMember, BatchRecord};
pub use inference::{InferenceRecord, InferenceTrace};
pub use request::{HttpSpanEnd, Operation, RequestTrace, push_hex};

use provider::Recorder;
use sampler::Decided;

use super::metrics::Metrics;
use super::options::Options;
use super::otel::TraceExporter;

/// Makes request and batch traces. Cheap to clone, and cheap when tracing is off.
#[derive(Clone, Debug)]
pub struct Tracer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    recorder: Option<Recorder>,
    trust_parent: bool,
    trace_context: bool,
}

impl Tracer {
    /// The tracer that `options` ask for; its spans wait until [`Self::start_export`].
    pub(super) fn new(options: &Options, version: &'static str, metrics: &Metrics) -> Self {
        let wanted = match &options.otel.exporter {
            TraceExporter::Off => false,
            TraceExporter::Console => true,
            TraceExporter::Otlp(otlp) => !otlp.needs_tls(),
        };
        let recorder = wanted.then(|| Recorder::new(&options.otel, version, metrics.spans()));
        let (trust_parent, trace_context) = (options.trust_parent, options.otel.trace_context);
        Self { inner: Arc::new(Inner { recorder, trust_parent, trace_context }) }
    }

    /// A tracer that records nothing: requests still get ids.
    pub fn disabled() -> Self {
        Self { inner: Arc::new(Inner { recorder: None, trust_parent: true, trace_context: true }) }
    }

    /// Begins to export, and logs where to.
    pub(super) fn start_export(&self, options: &Options, version: &'static str) {
        if let Some(recorder) = &self.inner.recorder {
            recorder.start_export(options, version);
        } else if let TraceExporter::Otlp(otlp) = &options.otel.exporter {
            let endpoint = otlp.endpoint.as_str();
            tracing::error!(endpoint, "TLS to the collector is not supported yet: tracing is off");
        }
    }

    /// The SDK's tracer, for spans made through `tracing`.
    pub(super) fn sdk(&self) -> Option<SdkTracer> {
        self.inner.recorder.as_ref().map(|recorder| recorder.tracer.clone())
    }

    /// Waits for the spans ended so far, at most `timeout`; true when all were exported.
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        self.inner.recorder.as_ref().is_none_or(|recorder| recorder.queue.flush(timeout))
    }

    /// Begins a request's trace: takes the caller's context, decides on sampling, starts the SERVER
    /// span when sampled.
    pub fn begin_request(
        &self,
        headers: &impl Extractor,
        operation: Operation,
        started: SystemTime,
    ) -> RequestTrace {
        let inner = &*self.inner;
        let caller = inner.trace_context.then(|| propagation::remote_parent(headers)).flatten();
        let (parent, linked) = if inner.trust_parent { (caller, None) } else { (None, caller) };
        let span = inner.recorder.as_ref().map(|recorder| {
            let mut builder = SpanBuilder::from_name(operation.label())
                .with_kind(SpanKind::Server)
                .with_start_time(started);
            builder.links = linked.map(|caller| vec![Link::with_context(caller)]);
            let context = parent.as_ref().map_or_else(Context::new, |parent| child_of(parent.clone()));
            recorder.tracer.build_with_context(builder, &context)
        });
        match span {
            Some(span) if span.is_recording() => RequestTrace::recording(self.clone(), span, operation),
            Some(span) => RequestTrace::silent(self.clone(), span.span_context().clone()),
            None => RequestTrace::silent(self.clone(), unrecorded(parent.as_ref())),
        }
    }

    /// A span whole: begun and ended at recorded times, recorded because its parent is.
    fn record(&self, parent: &SpanContext, builder: SpanBuilder, status: Status, ended: SystemTime) {
        if let Some(mut span) = self.begin_decided(Some(parent), builder) {
            span.set_status(status);
            span.end_with_timestamp(ended);
        }
    }

    /// A span that is recorded because the decision was taken; `parent` none makes a new root.
    fn begin_decided(&self, parent: Option<&SpanContext>, builder: SpanBuilder) -> Option<Span> {
        let recorder = self.inner.recorder.as_ref()?;
        let context = parent.map_or_else(Context::new, |parent| child_of(parent.clone()));
        Some(recorder.tracer.build_with_context(builder, &context.with_value(Decided)))
    }
}

/// A context in which `parent` is the current span. Never the thread's own: nothing ambient leaks in.
fn child_of(parent: SpanContext) -> Context {
    Context::new().with_remote_span_context(parent)
}

/// Ids for a request that is not traced: logs and the client still get one to ask about.
fn unrecorded(parent: Option<&SpanContext>) -> SpanContext {
    let ids = RandomIdGenerator::default();
    let trace_id = parent.map_or_else(|| ids.new_trace_id(), SpanContext::trace_id);
    SpanContext::new(trace_id, ids.new_span_id(), TraceFlags::NOT_SAMPLED, false, TraceState::NONE)
}
