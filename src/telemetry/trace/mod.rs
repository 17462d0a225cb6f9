//! Traces, written whole from recorded times.
//!
//! `http/` begins a [`RequestTrace`] per request, `service/` an [`InferenceTrace`] in it, the
//! scheduler records batches. Invariant: the sampling decision comes first; a request that is not
//! sampled pays for its ids and nothing else (unless failed or slow ones are to be kept: then also for its
//! facts), one that comes while the queue is full hardly more, and nothing here waits or fails.

mod batch;
mod encode;
mod inference;
mod propagation;
mod recorder;
mod request;
mod sampler;
mod sdk;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::SdkTracer;

pub use batch::{BatchMember, BatchRecord};
pub use inference::{InferenceRecord, InferenceTrace};
pub use request::{HttpSpanEnd, Operation, RequestTrace, push_hex};

use encode::Encoder;
use recorder::Recorder;
use request::Origin;

use super::metrics::Metrics;
use super::options::{Options, TailOptions};
use super::otel::{OtelOptions, Propagator};
use super::otlp::{self, Flush};

/// Makes request and batch traces. Cheap to clone, and cheap when tracing is off.
#[derive(Clone, Debug)]
pub struct Tracer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    recorder: Option<Recorder>,
    trust_parent: bool,
    propagators: Vec<Propagator>,
    tail: TailOptions,
}

/// Which traces are recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// The share of traces, where no caller has decided: 0 to 1.
    pub ratio: f64,
    /// Whether a caller's decision is followed.
    pub parent_based: bool,
}

impl Tracer {
    /// The tracer that `options` ask for; its spans wait until [`Self::start_export`].
    pub(super) fn new(options: &Options, metrics: &Metrics) -> Self {
        let recorder = Recorder::new(&options.otel, metrics);
        let (trust_parent, tail) = (options.trust_parent, options.tail);
        let propagators = options.otel.propagators.clone();
        Self { inner: Arc::new(Inner { recorder, trust_parent, propagators, tail }) }
    }

    /// A tracer that records nothing: requests still get ids.
    pub fn disabled() -> Self {
        let (propagators, tail) = (vec![Propagator::TraceContext], TailOptions::default());
        Self { inner: Arc::new(Inner { recorder: None, trust_parent: true, propagators, tail }) }
    }

    /// Begins to export, and logs where to.
    pub(super) fn start_export(&self, options: &OtelOptions, origin: &otlp::Origin, metrics: &Metrics) {
        if let Some(recorder) = &self.inner.recorder {
            recorder.start_export(options, origin, metrics);
        }
    }

    /// The SDK's tracer, for spans made through `tracing`.
    pub(super) fn sdk(&self) -> Option<SdkTracer> {
        self.inner.recorder.as_ref().map(|recorder| recorder.tracer.clone())
    }

    /// Has the spans ended so far exported without delay.
    pub(super) fn begin_flush(&self) -> Option<Flush> {
        self.inner.recorder.as_ref().map(|recorder| recorder.queue.begin_flush())
    }

    /// Waits for that until `deadline`; true when all of them arrived.
    pub(super) fn await_flush(&self, flush: Option<Flush>, deadline: Instant) -> bool {
        let flushing = self.inner.recorder.as_ref().zip(flush);
        flushing.is_none_or(|(recorder, flush)| recorder.queue.await_flush(flush, deadline))
    }

    /// Which traces are recorded; none when there is no tracing.
    pub fn sampling(&self) -> Option<Sampling> {
        let sampler = &self.inner.recorder.as_ref()?.sampler;
        Some(Sampling { ratio: sampler.ratio(), parent_based: sampler.is_parent_based() })
    }

    /// Changes the share of traces that is recorded; callers' decisions count as before. Without tracing
    /// it does nothing.
    pub fn set_sampling_ratio(&self, ratio: f64) {
        if let Some(recorder) = &self.inner.recorder {
            recorder.sampler.set_ratio(ratio);
        }
    }

    /// Begins a request's trace: takes the caller's context, and decides on sampling.
    pub fn begin_request(
        &self,
        headers: &impl Extractor,
        operation: Operation,
        started: SystemTime,
    ) -> RequestTrace {
        let inner = &*self.inner;
        let caller = propagation::caller(headers, &inner.propagators);
        let (parent, linked, asked) = if inner.trust_parent {
            (caller.context, None, caller.sampled)
        } else {
            (None, caller.context, None)
        };
        let trace_id = parent.as_ref().map_or_else(new_trace_id, SpanContext::trace_id);
        let decided =
            inner.recorder.as_ref().is_some_and(|recorder| recorder.sampler.decides(asked, trace_id));
        let flags = if decided { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
        let is_lost = decided && inner.recorder.as_ref().is_some_and(|recorder| recorder.queue.loses(1));
        let state = parent.as_ref().map_or(TraceState::NONE, |parent| parent.trace_state().clone());
        let context = SpanContext::new(trace_id, new_span_id(), flags, false, state);
        RequestTrace::new(self.clone(), context, Origin { operation, parent, linked, started, is_lost })
    }

    fn is_on(&self) -> bool {
        self.inner.recorder.is_some()
    }

    /// Whether requests that were not sampled may be exported after all.
    fn keeps_some(&self) -> bool {
        self.is_on() && self.inner.tail != TailOptions::default()
    }

    /// Whether what has ended is exported: it was sampled, or it turned out to be worth it.
    fn keeps(&self, context: &SpanContext, is_fault: bool, times: (SystemTime, SystemTime)) -> bool {
        self.keeps_one(context, is_fault, times.1.duration_since(times.0).unwrap_or_default())
    }

    fn keeps_one(&self, context: &SpanContext, is_fault: bool, took: Duration) -> bool {
        let tail = &self.inner.tail;
        let is_slow = || tail.keep_slower_than.is_some_and(|limit| took > limit);
        context.is_sampled() || (tail.keep_failed && is_fault) || is_slow()
    }

    /// Counts spans that were not made because there was no room.
    fn lost(&self, spans: u64) {
        if let Some(recorder) = &self.inner.recorder {
            recorder.queue.lost(spans);
        }
    }

    /// Has `write` append spans and say how many, unless there is no room for the `expected` ones.
    fn record(&self, expected: u64, write: impl FnOnce(&Encoder, &mut Vec<u8>) -> u64) {
        if let Some(recorder) = &self.inner.recorder {
            recorder.queue.put(expected, |out| write(&recorder.encoder, out));
        }
    }
}

/// Ids need to differ, not to be secret.
fn new_trace_id() -> TraceId {
    TraceId::from(fastrand::u128(1..))
}

fn new_span_id() -> SpanId {
    SpanId::from(fastrand::u64(1..))
}

/// The context of a trace that begins here.
fn new_root(flags: TraceFlags) -> SpanContext {
    SpanContext::new(new_trace_id(), new_span_id(), flags, false, TraceState::NONE)
}

/// The context of a new span under `parent`.
fn child_of(parent: &SpanContext) -> SpanContext {
    let state = parent.trace_state().clone();
    SpanContext::new(parent.trace_id(), new_span_id(), parent.trace_flags(), false, state)
}
