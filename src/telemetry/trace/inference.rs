//! The `model-inference` span and its stages, built whole from a request's recorded times.
//!
//! Begun by [`RequestTrace::begin_inference`](super::RequestTrace::begin_inference), ended by
//! `service/`. Invariant: no input text and no vector ever becomes an attribute.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanKind};
use opentelemetry_semantic_conventions::attribute::ERROR_TYPE;

use super::Tracer;
use super::encode::{Fields, Head};
use super::request::{CLIENT_GONE, push_hex};
use crate::telemetry::labels::{Outcome, Stage};
use crate::telemetry::metrics::SampledSpan;

pub(super) const BATCH_SIZE: &str = "inference.batch.size";
pub(super) const BATCH_INDEX: &str = "inference.batch.index";
pub(super) const INPUT_LENGTH: &str = "input.length";

/// A request's `model-inference` span; empty when the request is not recorded.
#[derive(Debug)]
pub struct InferenceTrace {
    tracer: Tracer,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    context: SpanContext,
    parent: SpanContext,
    started: SystemTime,
}

/// What is known of an inference at its end.
#[derive(Clone, Debug)]
pub struct InferenceRecord<'a> {
    /// The model's name.
    pub model: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its graph's digest.
    pub digest: &'a str,
    /// Where it ran.
    pub device: &'a str,
    /// The request's id.
    pub request_id: &'a str,
    /// Characters, features, bytes or elements, summed over the instances.
    pub input_length: u64,
    /// Tokens, where there are any.
    pub input_tokens: Option<u64>,
    /// Whether the input was cut to fit.
    pub input_truncated: bool,
    /// The prediction's confidence, the lowest of several.
    pub confidence: Option<f64>,
    /// Rows in the batch it ran in; 0 if it did not run.
    pub batch_size: usize,
    /// The place of its first row there.
    pub batch_index: usize,
    /// Rows waiting when it came.
    pub queue_depth_at_enqueue: usize,
    /// The stages it reached, with their times.
    pub stages: &'a [(Stage, SystemTime, SystemTime)],
    /// The batch's span, as [`Tracer::record_batch`] returned it.
    pub batch: Option<SpanContext>,
    /// The error code, only on error.
    pub error_type: Option<&'static str>,
    /// How it ended.
    pub outcome: Outcome,
    /// When it ended.
    pub ended: SystemTime,
}

impl InferenceTrace {
    /// A span under `parent`, whose request may be exported; without one there is nothing to record.
    pub(super) fn begin(tracer: Tracer, parent: Option<SpanContext>, started: SystemTime) -> Self {
        let open = parent.map(|parent| Open { context: super::child_of(&parent), parent, started });
        Self { tracer, open }
    }

    /// What a batch links to; none when the request is not sampled.
    pub fn context(&self) -> Option<SpanContext> {
        self.open.as_ref().map(|open| &open.context).filter(|context| context.is_sampled()).cloned()
    }

    /// The span that will be exported, for which a record of the end is wanted; none: the trace is over.
    pub fn keeps(&mut self, outcome: Outcome, took: Duration) -> Option<SampledSpan> {
        let tracer = &self.tracer;
        drop(self.open.take_if(|open| !tracer.keeps_one(&open.context, is_error(outcome), took)));
        self.open.as_ref().map(|open| SampledSpan::new(open.context.trace_id(), open.context.span_id()))
    }

    /// Writes the stage spans and this one.
    pub fn finish(mut self, record: &InferenceRecord<'_>) {
        let Some(open) = self.open.take() else { return };
        let last = record.stages.iter().rposition(|(stage, ..)| stage.span_name().is_some());
        self.tracer.record(1 + record.stages.len() as u64, |encoder, out| {
            let mut spans = 1;
            for (position, (stage, began, ended)) in record.stages.iter().enumerate() {
                let Some(name) = stage.span_name() else { continue };
                let context = super::child_of(&open.context);
                let head = internal(&context, Some(&open.context), name, (*began, *ended));
                // The stage that was under way is the one that failed.
                let failed = Some(position) == last;
                encoder.span(out, &head, |fields| write_stage(fields, *stage, record, failed));
                spans += 1;
            }
            let head =
                internal(&open.context, Some(&open.parent), "model-inference", (open.started, record.ended));
            encoder.span(out, &head, |fields| write_inference(fields, record));
            spans
        });
    }
}

impl Drop for InferenceTrace {
    /// Dropped before its end: the client went away.
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        let ended = SystemTime::now();
        if self.tracer.keeps(&open.context, false, (open.started, ended)) {
            let head = internal(&open.context, Some(&open.parent), "model-inference", (open.started, ended));
            self.tracer.record(1, |encoder, out| {
                encoder.span(out, &head, |fields| fields.attribute(ERROR_TYPE, CLIENT_GONE));
                1
            });
        }
    }
}

/// What an internal span has before its attributes.
pub(super) fn internal<'a>(
    context: &'a SpanContext,
    parent: Option<&'a SpanContext>,
    name: &'a str,
    (began, ended): (SystemTime, SystemTime),
) -> Head<'a> {
    Head { context, parent, name: [name, "", ""], kind: &SpanKind::Internal, began, ended }
}

fn is_error(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Error | Outcome::Timeout => true,
        Outcome::Ok | Outcome::ClientError | Outcome::Rejected | Outcome::Cancelled => false,
    }
}

fn write_inference(fields: &mut Fields<'_>, record: &InferenceRecord<'_>) {
    fields.attribute("model.name", record.model);
    fields.attribute("model.version", record.version);
    fields.attribute("model.digest", record.digest);
    fields.attribute("inference.device", record.device);
    fields.attribute("inference.request.id", record.request_id);
    fields.attribute("inference.outcome", record.outcome.as_str());
    fields.attribute(INPUT_LENGTH, integer(record.input_length));
    fields.optional(BATCH_SIZE, (record.batch_size > 0).then(|| integer(record.batch_size)));
    if let Some((_, from, to)) = record.stages.iter().find(|(stage, ..)| *stage == Stage::Queue) {
        let wait = to.duration_since(*from).unwrap_or_default();
        fields.attribute("inference.queue.wait_ms", wait.as_secs_f64() * 1e3);
    }
    fields.optional("prediction.confidence", record.confidence.filter(|value| value.is_finite()));
    write_batch_trace(fields, record);
    fields.optional(ERROR_TYPE, record.error_type);
    if is_error(record.outcome) {
        fields.failed();
    }
}

fn write_stage(fields: &mut Fields<'_>, stage: Stage, record: &InferenceRecord<'_>, failed: bool) {
    match stage {
        Stage::Preprocess => {
            fields.attribute("input.truncated", record.input_truncated);
            fields.optional("input.tokens", record.input_tokens.map(integer));
        }
        Stage::Queue => {
            fields.attribute("inference.queue.depth_at_enqueue", integer(record.queue_depth_at_enqueue));
        }
        Stage::Execute => {
            fields.attribute(BATCH_INDEX, integer(record.batch_index));
            write_batch_trace(fields, record);
            if let Some(batch) = &record.batch {
                fields.link(batch, &[]);
            }
        }
        Stage::Batch | Stage::Postprocess => {}
    }
    if failed {
        fields.optional(ERROR_TYPE, record.error_type);
        if is_error(record.outcome) {
            fields.failed();
        }
    }
}

/// Not every backend shows links: the batch's trace id is an attribute as well.
fn write_batch_trace(fields: &mut Fields<'_>, record: &InferenceRecord<'_>) {
    if let Some(batch) = &record.batch {
        let mut id = String::new();
        push_hex(&mut id, &batch.trace_id().to_bytes());
        fields.attribute("inference.batch.trace_id", id.as_str());
    }
}

/// Attributes have signed integers only.
pub(super) fn integer(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
