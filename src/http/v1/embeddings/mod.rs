//! `POST /v1/embeddings`: OpenAI's embeddings, as text-embeddings-inference serves them too.
//!
//! The body names the model, so that the order of refusals is that of `/predict` but for one: an unknown
//! model shows only once the body is read.

mod answer;
mod request;

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::Request;
use http::request::Parts;

use crate::exchange::{RequestContext, requested_schedule};
use crate::http::body::{self, BodyError, HeldBody};
use crate::http::problem::Failure;
use crate::http::{Api, decode, media, predict};
use crate::service::{Model, Schedule, ServiceError};
use crate::task::{DecodeLimits, Decoded, Predictions, Task};
use request::Asked;

/// Answers with the vectors of texts.
pub(super) async fn embed(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    request: Request<Body>,
) -> Response {
    let (parts, mut incoming) = request.into_parts();
    match receive(&api, &context, &parts, &mut incoming).await {
        Ok((held, schedule)) => answer(&api, &context, held, schedule).await,
        Err(error) => {
            if let BodyError::Refused(error) = &error {
                api.service.refused(None, error);
            }
            predict::not_read(&parts, incoming, error).await
        }
    }
}

/// Refuses what the headers alone decide, or reads the body.
async fn receive(
    api: &Api,
    context: &RequestContext,
    parts: &Parts,
    incoming: &mut Body,
) -> Result<(HeldBody, Schedule), BodyError> {
    body::check_claimed_length(&parts.headers, &api.options)?;
    let format = media::json_only(&parts.headers)?;
    api.service.started()?;
    api.service.accepting()?;
    let held = body::read(api, context, &parts.headers, incoming, 0).await?;
    decode::check_declared(&held.bytes, format)?;
    Ok((held, requested_schedule(&parts.headers)?))
}

async fn answer(api: &Api, context: &RequestContext, mut held: HeldBody, schedule: Schedule) -> Response {
    let bytes = held.bytes.clone();
    let (asked, model) = match find(api, &bytes) {
        Ok(found) => found,
        Err(error) => {
            api.service.refused(None, &error);
            return Failure::from(error).into_response();
        }
    };
    let prediction = predict::inference(context, model, schedule, bytes.len());
    let read = |task: &Task, limits: &DecodeLimits| {
        let decoded = asked.decode(task, limits)?;
        held.hold_more(decoded.bytes())?;
        Ok(decoded)
    };
    let write =
        |model: &Model, predictions: &Predictions<'_>| answer::write(model, predictions, asked.encoding);
    predict::answered(api.service.predict(prediction, read, write).await)
}

/// Reads a body for `task`, whatever model it names.
///
/// # Errors
/// What is wrong with it, and where.
pub fn decode_embeddings(body: &[u8], task: &Task, limits: &DecodeLimits) -> Result<Decoded, ServiceError> {
    request::read(body)?.decode(task, limits)
}

/// Reads all but the texts, and finds the model.
fn find<'a>(api: &Api, body: &'a [u8]) -> Result<(Asked<'a>, Arc<Model>), ServiceError> {
    let asked = request::read(body)?;
    let model = api.service.resolve(asked.model.as_deref(), None).map_err(|error| error.at("/model"))?;
    Ok((asked, model))
}
