//! `POST /predict...`: decode, call, encode.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::HeaderName;
use http::request::Parts;
use http::{HeaderValue, Request};

use super::body::{BodyError, HeldBody};
use super::context::RequestContext;
use super::media::BodyFormat;
use super::problem::Failure;
use super::target::Target;
use super::{Api, answer, body, decode, media, observe, timeout};
use crate::service::{ErrorCode, Model, PredictRequest, ServiceError};
use crate::task::{DecodeLimits, Predictions, Task};

/// Name of the header that tells the caller where the time went.
pub(super) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Answers a prediction.
pub(super) async fn predict(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    target: Target,
    request: Request<Body>,
) -> Response {
    let (parts, mut incoming) = request.into_parts();
    let found = api.service.resolve(target.model.as_deref(), target.version.as_deref());
    let model = found.as_ref().ok().cloned();
    let taken = take(&api, &context, found, (&parts, &mut incoming)).await;
    let Taken { model, format, mut held, timeout } = match taken {
        Ok(taken) => taken,
        Err(BodyError::ClientGone) => return observe::client_gone(),
        Err(BodyError::Refused(error)) => {
            api.service.refused(model.as_deref(), &error);
            return refuse(&parts, incoming, error).await;
        }
    };
    let prediction = PredictRequest {
        model,
        started: context.started,
        timeout,
        trace: context.begin_inference(),
        request_id: Arc::clone(&context.id),
    };
    let read = |task: &Task, limits: &DecodeLimits| {
        let decoded = decode::prediction(&held.bytes, format, task, limits)?;
        held.hold_more(decoded.bytes())?;
        Ok(decoded)
    };
    let write =
        |model: &Model, predictions: &Predictions<'_>| answer::encode_prediction(&model.facts, predictions);
    let predicted = api.service.predict(prediction, read, write).await;
    let mut response =
        predicted.result.map_or_else(|error| Failure::from(error).into_response(), answer::json);
    if let Ok(timing) = HeaderValue::try_from(predicted.timeline.server_timing()) {
        response.headers_mut().insert(SERVER_TIMING, timing);
    }
    response
}

/// A request that may be predicted on.
struct Taken {
    model: Arc<Model>,
    format: BodyFormat,
    held: HeldBody,
    timeout: Option<Duration>,
}

/// Refuses or reads, in the order of the contract: 404 model, 413, 415, 503 not ready or draining,
/// 503 early, then 408 and 413 while reading, then 400.
async fn take(
    api: &Api,
    context: &RequestContext,
    found: Result<Arc<Model>, ServiceError>,
    (parts, incoming): (&Parts, &mut Body),
) -> Result<Taken, BodyError> {
    if let Err(error) = &found
        && error.code != ErrorCode::NotReady
    {
        return Err(error.clone().into());
    }
    body::check_claimed_length(&parts.headers, &api.options)?;
    let task = found.as_ref().ok().map(|model| model.facts.task);
    let format = media::body_format(&parts.headers, task)?;
    let model = found?;
    api.service.accepting()?;
    api.service.early_refusal(&model, body::claimed_length(&parts.headers))?;
    let held = body::read(api, context, &parts.headers, incoming, 0).await?;
    let timeout = timeout::requested(&parts.headers)?;
    Ok(Taken { model, format, held, timeout })
}

/// Answers a refusal; the body may not have been read to its end.
async fn refuse(parts: &Parts, incoming: Body, error: ServiceError) -> Response {
    let mut response = Failure::from(error).into_response();
    if !body::discard(&parts.headers, incoming).await {
        response.extensions_mut().insert(observe::CloseAfter);
    }
    response
}
