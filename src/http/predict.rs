//! `POST /predict...`: decode, call, encode.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::HeaderName;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request};

use super::body::{BodyError, HeldBody};
use super::media::BodyFormat;
use super::problem::Failure;
use super::target::Target;
use super::{Api, answer, body, decode, media, observe};
use crate::exchange::{RequestContext, claimed_length, discard, requested_schedule};
use crate::model::TaskKind;
use crate::service::{ErrorCode, Model, PredictRequest, Predicted, Schedule, ServiceError, Timeline};
use crate::task::{DecodeLimits, Decoded, Predictions, Task};

/// Name of the header that tells the caller where the time went.
pub(super) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Answers a prediction.
pub(super) async fn predict(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    target: Target,
    request: Request<Body>,
) -> Response {
    handle(&api, &context, &target, request).await
}

/// The same for who has found by itself what the router would have told.
pub(super) async fn handle(
    api: &Api,
    context: &RequestContext,
    target: &Target,
    request: Request<Body>,
) -> Response {
    answer_by::<Plain>(api, context, target, request).await
}

/// How a protocol writes predictions on the wire, and reads what it asks.
pub(super) trait Wire {
    /// What the headers say of the body and of the answer.
    type Format: Copy;

    /// Reads the headers, for a model of this task where it is known.
    fn format(headers: &HeaderMap, task: Option<TaskKind>) -> Result<Self::Format, ServiceError>;

    /// Reads the body.
    fn read(
        body: &[u8],
        format: Self::Format,
        task: &Task,
        limits: &DecodeLimits,
    ) -> Result<Decoded, ServiceError>;

    /// Writes the answer.
    fn write(
        format: Self::Format,
        model: &Model,
        predictions: &Predictions<'_>,
    ) -> Result<Response, ServiceError>;
}

/// `/predict`.
struct Plain;

impl Wire for Plain {
    type Format = BodyFormat;

    fn format(headers: &HeaderMap, task: Option<TaskKind>) -> Result<BodyFormat, ServiceError> {
        media::body_format(headers, task)
    }

    fn read(
        body: &[u8],
        format: BodyFormat,
        task: &Task,
        limits: &DecodeLimits,
    ) -> Result<Decoded, ServiceError> {
        decode::prediction(body, format, task, limits)
    }

    fn write(_: BodyFormat, model: &Model, predictions: &Predictions<'_>) -> Result<Response, ServiceError> {
        answer::encode_prediction(&model.facts, predictions).map(answer::json)
    }
}

/// Answers a prediction that comes and goes by the wire `W`.
pub(super) async fn answer_by<W: Wire>(
    api: &Api,
    context: &RequestContext,
    target: &Target,
    request: Request<Body>,
) -> Response {
    match take(api, context, target, request, (W::format, 0)).await {
        Ok((_, taken)) => run::<W>(api, context, taken).await,
        Err(response) => response,
    }
}

/// Runs what was taken.
async fn run<W: Wire>(api: &Api, context: &RequestContext, taken: Taken<W::Format>) -> Response {
    let Taken { model, format, mut held, schedule } = taken;
    let prediction = inference(context, model, schedule, held.bytes.len());
    let read = |task: &Task, limits: &DecodeLimits| {
        let decoded = W::read(&held.bytes, format, task, limits)?;
        held.hold_more(decoded.bytes())?;
        Ok(decoded)
    };
    let write = |model: &Model, predictions: &Predictions<'_>| W::write(format, model, predictions);
    answered(api.service.predict(prediction, read, write).await)
}

/// The answer, or the problem, with the header that tells where the time went.
pub(super) fn answered(predicted: Predicted<Response>) -> Response {
    let mut response = predicted.result.unwrap_or_else(|error| Failure::from(error).into_response());
    tell_timing(&mut response, &predicted.timeline);
    response
}

/// A request that may be run.
pub(super) struct Taken<F> {
    pub(super) model: Arc<Model>,
    pub(super) format: F,
    pub(super) held: HeldBody,
    pub(super) schedule: Schedule,
}

/// What the service is told of a request beside its body.
pub(super) fn inference(
    context: &RequestContext,
    model: Arc<Model>,
    schedule: Schedule,
    body_bytes: usize,
) -> PredictRequest {
    PredictRequest {
        model,
        started: context.started,
        schedule,
        trace: context.begin_inference(),
        request_id: Arc::clone(&context.id),
        body_bytes,
    }
}

/// Writes the header that tells where the time went.
pub(super) fn tell_timing(response: &mut Response, timeline: &Timeline) {
    if let Ok(timing) = HeaderValue::try_from(timeline.server_timing()) {
        response.headers_mut().insert(SERVER_TIMING, timing);
    }
}

/// Reads a request, or answers at once why not; `format` says what the headers make of its body, and
/// the byte after it which part of the body should be aligned in memory.
pub(super) async fn take<F>(
    api: &Api,
    context: &RequestContext,
    target: &Target,
    request: Request<Body>,
    format: (impl Fn(&HeaderMap, Option<TaskKind>) -> Result<F, ServiceError>, usize),
) -> Result<(Parts, Taken<F>), Response> {
    let (parts, mut incoming) = request.into_parts();
    let found = api.service.resolve(target.model.as_deref(), target.version.as_deref());
    let model = found.as_ref().ok().cloned();
    match admit(api, context, found, (&parts, &mut incoming), format).await {
        Ok(taken) => Ok((parts, taken)),
        Err(error) => {
            if let BodyError::Refused(error) = &error {
                api.service.refused(model.as_deref(), error);
            }
            Err(not_read(&parts, incoming, error).await)
        }
    }
}

/// Refuses or reads, in the order of the contract: 404 model, 413, 415, 503 not ready or draining,
/// 503 early, then 408 and 413 while reading, then 400.
async fn admit<F>(
    api: &Api,
    context: &RequestContext,
    found: Result<Arc<Model>, ServiceError>,
    (parts, incoming): (&Parts, &mut Body),
    (format, align_at): (impl Fn(&HeaderMap, Option<TaskKind>) -> Result<F, ServiceError>, usize),
) -> Result<Taken<F>, BodyError> {
    if let Err(error) = &found
        && error.code != ErrorCode::NotReady
    {
        return Err(error.clone().into());
    }
    body::check_claimed_length(&parts.headers, &api.options)?;
    let task = found.as_ref().ok().map(|model| model.facts.task);
    let format = format(&parts.headers, task)?;
    let model = found?;
    api.service.accepting()?;
    api.service.early_refusal(&model, claimed_length(&parts.headers))?;
    let held = body::read(api, context, &parts.headers, incoming, align_at).await?;
    let schedule = requested_schedule(&parts.headers)?;
    Ok(Taken { model, format, held, schedule })
}

/// Answers for a body that could not be taken.
pub(super) async fn not_read(parts: &Parts, incoming: Body, error: BodyError) -> Response {
    match error {
        BodyError::Refused(error) => refuse(parts, incoming, error).await,
        BodyError::ClientGone => observe::client_gone(),
    }
}

/// Answers a refusal; the body may not have been read to its end.
pub(super) async fn refuse(parts: &Parts, incoming: Body, error: ServiceError) -> Response {
    let mut response = Failure::from(error).into_response();
    if !discard(&parts.headers, incoming).await {
        response.extensions_mut().insert(observe::CloseAfter);
    }
    response
}
