//! `ModelInfer` and `ModelStreamInfer`: tensors in, tensors out.

mod decode;
mod encode;
mod parameters;
mod stream;
mod typed;
mod unary;

pub use decode::decode_inference;
pub(super) use stream::stream;
pub(super) use unary::unary;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::Grpc;
use super::answer::Encoded;
use super::proto::inference::ModelInferResponse;
use super::wire::{Outline, weight};
use crate::exchange::{HeldBytes, RequestContext, too_large};
use crate::service::{Model, PredictRequest, Schedule, Service, ServiceError, Timeline, Wanted};

/// What an inference is told beside its message.
struct Told<'a> {
    grpc: &'a Grpc,
    context: &'a RequestContext,
    /// When its first byte came.
    started: Instant,
    /// What its metadata ask for, or why not.
    schedule: Result<Schedule, ServiceError>,
}

/// Bytes of a message, and what it will take beside them.
struct Weighed<'a> {
    message: &'a Bytes,
    bytes: u64,
}

impl Told<'_> {
    /// Runs the inference of one message, which `held` counts; `finish` writes the answer. Without times
    /// where it was refused before it began.
    async fn infer(
        &self,
        message: &Bytes,
        held: &mut HeldBytes,
        finish: fn(ModelInferResponse) -> Encoded,
    ) -> (Result<Encoded, ServiceError>, Option<Timeline>) {
        let service = &self.grpc.service;
        let outline = Outline::of(message);
        let found = service.resolve(outline.model, outline.version);
        let model = found.as_ref().ok().cloned();
        let (request, weighed) = match self.admit(found, (message, outline), held) {
            Ok(admitted) => admitted,
            Err(error) => {
                service.refused(model.as_deref(), &error);
                return (Err(error), None);
            }
        };
        let read = |model: &Model, limits: &_| {
            let decoded = decode::decode(weighed.message, model.facts.input_rules(), limits)?;
            held.hold_more(decoded.0.bytes().saturating_sub(weighed.bytes))?;
            Ok(decoded)
        };
        let write =
            |model: &Model, wanted: &Wanted, outputs| encode::response(model, wanted, outputs).map(finish);
        let inferred = service.infer(request, read, (Wanted::work, write)).await;
        (inferred.result, Some(inferred.timeline))
    }

    fn admit<'m>(
        &self,
        found: Result<Arc<Model>, ServiceError>,
        (message, outline): (&'m Bytes, Outline<'_>),
        held: &mut HeldBytes,
    ) -> Result<(PredictRequest, Weighed<'m>), ServiceError> {
        let model = found?;
        self.grpc.service.accepting()?;
        let schedule = self.schedule.clone()?;
        let bytes = weight(message);
        if bytes > self.grpc.options.max_message_bytes {
            return Err(too_large(self.grpc.options.max_message_bytes));
        }
        held.hold_more(bytes)?;
        let request = PredictRequest {
            body_bytes: model.facts.bytes_to_decode(outline.raw_at, message.len()),
            model,
            started: self.started,
            schedule,
            trace: self.context.begin_inference(),
            request_id: Arc::clone(&self.context.id),
        };
        Ok((request, Weighed { message, bytes }))
    }
}

/// What the beginning of a message tells: which of its bytes should be aligned, and which model it is for,
/// which goes into `model`.
///
/// # Errors
/// `overloaded` where the model's queue is full and the message is large.
fn foresee(
    service: &Service,
    model: &mut Option<Arc<Model>>,
    (beginning, length): (&[u8], u64),
) -> Result<usize, ServiceError> {
    let outline = Outline::of(beginning);
    if let Ok(found) = service.resolve(outline.model, outline.version) {
        let found = model.insert(found);
        service.early_refusal(found, Some(length))?;
    }
    Ok(outline.raw_at.unwrap_or(0))
}
