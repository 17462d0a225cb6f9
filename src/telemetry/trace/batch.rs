//! A batch's own trace, linked to the requests that it served.
//!
//! The scheduler records a batch after it ran and hands the context back to the members. Invariant:
//! it is exported exactly when a member is sampled, so that no link points to nothing.

use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, TraceFlags};
use opentelemetry_semantic_conventions::attribute::ERROR_TYPE;

use super::Tracer;
use super::encode::Fields;
use super::inference::{BATCH_INDEX, BATCH_SIZE, INPUT_LENGTH, integer, internal};

/// Spans of a batch.
const SPANS: u64 = 4;

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
        let is_sampled = |member: &BatchMember| member.context.as_ref().is_some_and(SpanContext::is_sampled);
        if !self.is_on() || !batch.members.iter().any(is_sampled) {
            return None;
        }
        let context = super::new_root(TraceFlags::SAMPLED);
        self.record(SPANS, |encoder, out| {
            let whole = (batch.assembled.0, batch.scattered.1);
            encoder.span(out, &internal(&context, None, "inference.batch", whole), |fields| {
                write_batch(fields, batch);
            });
            for (name, times) in [
                ("batch.assemble", batch.assembled),
                ("model.execute", batch.executed),
                ("batch.scatter", batch.scattered),
            ] {
                let own = super::child_of(&context);
                encoder.span(out, &internal(&own, Some(&context), name, times), |fields| {
                    if name == "model.execute" {
                        fields.attribute("ort.provider", batch.provider);
                        fields.attribute("inference.device", batch.device);
                        write_error(fields, batch);
                    }
                });
            }
            SPANS
        });
        Some(context)
    }
}

fn write_batch(fields: &mut Fields<'_>, batch: &BatchRecord<'_>) {
    fields.attribute("model.name", batch.model);
    fields.attribute("model.version", batch.version);
    fields.attribute("inference.device", batch.device);
    fields.attribute(BATCH_SIZE, integer(batch.size));
    fields.attribute("inference.batch.reason", batch.reason);
    fields.optional("inference.batch.padding_ratio", batch.padding_ratio.filter(|ratio| ratio.is_finite()));
    for member in batch.members {
        if let Some(context) = member.context.as_ref().filter(|context| context.is_sampled()) {
            let index = (BATCH_INDEX, integer(member.index).into());
            fields.link(context, &[index, (INPUT_LENGTH, integer(member.input_length).into())]);
        }
    }
    write_error(fields, batch);
}

fn write_error(fields: &mut Fields<'_>, batch: &BatchRecord<'_>) {
    if let Some(error) = batch.error_type {
        fields.attribute(ERROR_TYPE, error);
        fields.failed();
    }
}
