//! `/v2` health: the answers of `/health` in the protocol's words. Invariant: a model is ready
//! exactly when a prediction would be taken.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::resolve;
use crate::http::problem::Failure;
use crate::http::target::Target;
use crate::http::{Api, answer};
use crate::service::Health;

#[derive(Serialize)]
struct Live {
    live: bool,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
}

#[derive(Serialize)]
struct ModelReady<'a> {
    name: &'a str,
    ready: bool,
}

fn respond(health: Health, good: &impl Serialize) -> Result<Response, Failure> {
    match health.problem {
        None => Ok(answer::json_of(good)?),
        Some(error) => Err(Failure { error, models: Some(health.models) }),
    }
}

/// `GET /v2/health/live`: false, as a 503, for a stuck worker only.
pub(super) async fn live(State(api): State<Arc<Api>>) -> Result<Response, Failure> {
    respond(api.service.liveness(), &Live { live: true })
}

/// `GET /v2/health/ready`: every model is, and the process is not on its way out.
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Result<Response, Failure> {
    respond(api.service.readiness(), &Ready { ready: true })
}

/// `GET /v2/models/{model}[/versions/{version}]/ready`.
pub(super) async fn model(api: State<Arc<Api>>, target: Target) -> Result<Response, Failure> {
    let model = resolve(&api, &target)?;
    api.service.accepting()?;
    Ok(answer::json_of(&ModelReady { name: model.name(), ready: true })?)
}
