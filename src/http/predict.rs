//! `POST /predict...`: decode, call, encode.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::HeaderName;
use http::request::Parts;
use http::{HeaderValue, Request};

use super::context::RequestContext;
use super::body::BodyError;
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
    let admitted = match admit(&api, &target, &parts) {
        Ok(admitted) => admitted,
        Err(error) => return refuse_unread(&parts, incoming, error).await,
    };
    let held = match body::read(&api, &context, &mut incoming).await {
        Ok(held) => held,
        Err(BodyError::Refused(error)) => return refuse_unread(&parts, incoming, error).await,
        Err(BodyError::ClientGone) => return observe::client_gone(),
    };
    let timeout = match timeout::requested(&parts.headers) {
        Ok(timeout) => timeout,
        Err(error) => return Failure::from(error).into_response(),
    };
    let prediction = PredictRequest {
        model: admitted.model,
        started: context.started,
        timeout,
        trace: context.begin_inference(),
        request_id: Arc::clone(&context.id),
    };
    let read =
        |task: &Task, limits: &DecodeLimits| decode::prediction(&held.bytes, admitted.format, task, limits);
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

/// What is known before the body is read.
struct Admitted {
    model: Arc<Model>,
    format: BodyFormat,
}

/// Everything that can be refused from the headers alone, in the order of the contract: 404 model,
/// 413, 415, 503 not ready or draining, 503 early.
fn admit(api: &Api, target: &Target, parts: &Parts) -> Result<Admitted, ServiceError> {
    let found = api.service.resolve(target.model.as_deref(), target.version.as_deref());
    if let Err(error) = &found
        && error.code != ErrorCode::NotReady
    {
        return Err(error.clone());
    }
    body::check_claimed_length(&parts.headers, &api.options)?;
    let task = found.as_ref().ok().map(|model| model.facts.task);
    let format = media::body_format(&parts.headers, task)?;
    let model = found?;
    api.service.accepting()?;
    api.service.early_refusal(&model, body::claimed_length(&parts.headers))?;
    Ok(Admitted { model, format })
}

/// Answers before the body has been read to its end.
async fn refuse_unread(parts: &Parts, incoming: Body, error: ServiceError) -> Response {
    let mut response = Failure::from(error).into_response();
    if !body::discard(&parts.headers, incoming).await {
        response.extensions_mut().insert(observe::CloseAfter);
    }
    response
}
