//! The `model-inference` span and its stages, built whole from a request's recorded times.
//!
//! Begun by [`RequestTrace::begin_inference`](super::RequestTrace::begin_inference), ended by
//! `service/`. Invariant: no input text and no vector ever becomes an attribute.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status};
use opentelemetry_sdk::trace::Span;
use opentelemetry_semantic_conventions::attribute::ERROR_TYPE;

use super::Tracer;
use super::request::CLIENT_GONE;
use crate::telemetry::labels::{Outcome, Stage};

pub(super) const BATCH_SIZE: &str = "inference.batch.size";
pub(super) const BATCH_INDEX: &str = "inference.batch.index";
pub(super) const INPUT_LENGTH: &str = "input.length";

/// A request's `model-inference` span; empty when the request is not sampled.
#[derive(Debug)]
pub struct InferenceTrace {
    tracer: Tracer,
    span: Option<Span>,
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
    pub(super) fn new(tracer: Tracer, span: Option<Span>) -> Self {
        Self { tracer, span }
    }

    /// What a batch links to; none when the request is not sampled.
    pub fn context(&self) -> Option<SpanContext> {
        self.span.as_ref().map(|span| span.span_context().clone())
    }

    /// Builds the stage spans and ends this one.
    pub fn finish(mut self, record: &InferenceRecord<'_>) {
        let Some(mut span) = self.span.take() else { return };
        let context = span.span_context().clone();
        let last = record.stages.iter().rposition(|(stage, ..)| stage.span_name().is_some());
        for (position, (stage, from, to)) in record.stages.iter().enumerate() {
            let Some(name) = stage.span_name() else { continue };
            let mut builder =
                SpanBuilder::from_name(name).with_kind(SpanKind::Internal).with_start_time(*from);
            let mut attributes = stage_attributes(*stage, record);
            // The stage that was under way is the one that failed.
            let failed = Some(position) == last;
            attributes
                .extend(record.error_type.filter(|_| failed).map(|error| KeyValue::new(ERROR_TYPE, error)));
            builder.attributes = Some(attributes);
            if let (Stage::Execute, Some(batch)) = (stage, &record.batch) {
                builder.links = Some(vec![Link::with_context(batch.clone())]);
            }
            let status = if failed { status(record) } else { Status::Unset };
            self.tracer.record(&context, builder, status, *to);
        }
        span.set_attributes(attributes(record));
        span.set_status(status(record));
        span.end_with_timestamp(record.ended);
    }
}

impl Drop for InferenceTrace {
    /// Dropped before its end: the client went away.
    fn drop(&mut self) {
        if let Some(mut span) = self.span.take() {
            span.set_attribute(KeyValue::new(ERROR_TYPE, CLIENT_GONE));
            span.end();
        }
    }
}

fn status(record: &InferenceRecord<'_>) -> Status {
    match record.outcome {
        Outcome::Error | Outcome::Timeout => Status::error(""),
        Outcome::Ok | Outcome::ClientError | Outcome::Rejected | Outcome::Cancelled => Status::Unset,
    }
}

fn attributes(record: &InferenceRecord<'_>) -> Vec<KeyValue> {
    let mut list = vec![
        KeyValue::new("model.name", record.model.to_owned()),
        KeyValue::new("model.version", record.version.to_owned()),
        KeyValue::new("model.digest", record.digest.to_owned()),
        KeyValue::new("inference.device", record.device.to_owned()),
        KeyValue::new("inference.request.id", record.request_id.to_owned()),
        KeyValue::new("inference.outcome", record.outcome.as_str()),
        KeyValue::new(INPUT_LENGTH, integer(record.input_length)),
    ];
    if record.batch_size > 0 {
        list.push(KeyValue::new(BATCH_SIZE, integer(record.batch_size)));
    }
    if let Some((_, from, to)) = record.stages.iter().find(|(stage, ..)| *stage == Stage::Queue) {
        let wait = to.duration_since(*from).unwrap_or_default();
        list.push(KeyValue::new("inference.queue.wait_ms", wait.as_secs_f64() * 1e3));
    }
    if let Some(confidence) = record.confidence.filter(|value| value.is_finite()) {
        list.push(KeyValue::new("prediction.confidence", confidence));
    }
    list.extend(batch_trace(record));
    list.extend(record.error_type.map(|error| KeyValue::new(ERROR_TYPE, error)));
    list
}

fn stage_attributes(stage: Stage, record: &InferenceRecord<'_>) -> Vec<KeyValue> {
    match stage {
        Stage::Preprocess => {
            let mut list = vec![KeyValue::new("input.truncated", record.input_truncated)];
            list.extend(record.input_tokens.map(|tokens| KeyValue::new("input.tokens", integer(tokens))));
            list
        }
        Stage::Queue => {
            vec![KeyValue::new("inference.queue.depth_at_enqueue", integer(record.queue_depth_at_enqueue))]
        }
        Stage::Execute => {
            let mut list = vec![KeyValue::new(BATCH_INDEX, integer(record.batch_index))];
            list.extend(batch_trace(record));
            list
        }
        Stage::Batch | Stage::Postprocess => Vec::new(),
    }
}

/// Not every backend shows links: the batch's trace id is an attribute as well.
fn batch_trace(record: &InferenceRecord<'_>) -> Option<KeyValue> {
    let batch = record.batch.as_ref()?;
    Some(KeyValue::new("inference.batch.trace_id", batch.trace_id().to_string()))
}

/// Attributes have signed integers only.
pub(super) fn integer(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
