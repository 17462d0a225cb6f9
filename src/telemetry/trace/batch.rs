//! A batch's own trace, linked to the requests that it served.
//!
//! The scheduler records a batch after it ran and hands the context back to the members. Invariant:
//! it is exported exactly when a member is sampled, so that no link points to nothing.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status};
use opentelemetry_semantic_conventions::attribute::ERROR_TYPE;

use super::Tracer;
use super::inference::{BATCH_INDEX, BATCH_SIZE, INPUT_LENGTH, integer};

/// What is known of a batch after it ran.
#[derive(Clone, Copy, Debug)]
pub struct BatchRecord<'a> {
    /// The model's name.
    pub model: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Where it ran.
    pub device: &'a str,
    /// The execution provider.
    pub provider: &'a str,
    /// Rows in it.
    pub size: usize,
    /// Why it was closed: `full`, `timeout`, `drain`, `single`.
    pub reason: &'static str,
    /// The share of padding, where it has any meaning.
    pub padding_ratio: Option<f64>,
    /// The requests in it.
    pub members: &'a [BatchMember],
    /// When it was put together.
    pub assembled: (SystemTime, SystemTime),
    /// When the model ran.
    pub executed: (SystemTime, SystemTime),
    /// When the outputs were handed back.
    pub scattered: (SystemTime, SystemTime),
    /// The error code, only on error.
    pub error_type: Option<&'static str>,
}

/// A request in a batch.
#[derive(Clone, Debug)]
pub struct BatchMember {
    /// Its `model-inference` span, when sampled.
    pub context: Option<SpanContext>,
    /// The place of its first row.
    pub index: usize,
    /// Its `input.length`.
    pub input_length: u64,
}

impl Tracer {
    /// Records a batch; none when no member is sampled.
    pub fn record_batch(&self, batch: &BatchRecord<'_>) -> Option<SpanContext> {
        let links: Vec<Link> = batch.members.iter().filter_map(link).collect();
        if links.is_empty() {
            return None;
        }
        let mut builder = internal("inference.batch", batch.assembled.0);
        builder.links = Some(links);
        builder.attributes = Some(attributes(batch));
        let mut span = self.begin_decided(None, builder)?;
        let context = span.span_context().clone();
        let assemble = internal("batch.assemble", batch.assembled.0);
        self.record(&context, assemble, Status::Unset, batch.assembled.1);
        let mut execute = internal("model.execute", batch.executed.0);
        let mut list = vec![
            KeyValue::new("ort.provider", batch.provider.to_owned()),
            KeyValue::new("inference.device", batch.device.to_owned()),
        ];
        list.extend(batch.error_type.map(|error| KeyValue::new(ERROR_TYPE, error)));
        execute.attributes = Some(list);
        let status = batch.error_type.map_or(Status::Unset, |_| Status::error(""));
        span.set_status(status.clone());
        self.record(&context, execute, status, batch.executed.1);
        self.record(&context, internal("batch.scatter", batch.scattered.0), Status::Unset, batch.scattered.1);
        span.end_with_timestamp(batch.scattered.1);
        Some(context)
    }
}

fn internal(name: &'static str, started: SystemTime) -> SpanBuilder {
    SpanBuilder::from_name(name).with_kind(SpanKind::Internal).with_start_time(started)
}

fn link(member: &BatchMember) -> Option<Link> {
    let context = member.context.as_ref().filter(|context| context.is_sampled())?;
    let list = vec![
        KeyValue::new(BATCH_INDEX, integer(member.index)),
        KeyValue::new(INPUT_LENGTH, integer(member.input_length)),
    ];
    Some(Link::new(context.clone(), list, 0))
}

fn attributes(batch: &BatchRecord<'_>) -> Vec<KeyValue> {
    let mut list = vec![
        KeyValue::new("model.name", batch.model.to_owned()),
        KeyValue::new("model.version", batch.version.to_owned()),
        KeyValue::new("inference.device", batch.device.to_owned()),
        KeyValue::new(BATCH_SIZE, integer(batch.size)),
        KeyValue::new("inference.batch.reason", batch.reason),
    ];
    if let Some(ratio) = batch.padding_ratio.filter(|ratio| ratio.is_finite()) {
        list.push(KeyValue::new("inference.batch.padding_ratio", ratio));
    }
    list.extend(batch.error_type.map(|error| KeyValue::new(ERROR_TYPE, error)));
    list
}
