//! Health and metrics: on the public port and on the admin listener alike.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue};
use serde::Serialize;

use super::problem::Failure;
use super::{Api, answer, exposition};
use crate::service::{ErrorCode, Health, ModelHealth};

#[derive(Serialize)]
struct Status<'a> {
    status: &'a str,
    models: &'a [ModelHealth],
}

fn respond(health: Health, good: &str) -> Response {
    let mut response = match health.problem {
        None => answer::json_of(&Status { status: good, models: &health.models })
            .unwrap_or_else(|error| Failure::from(error).into_response()),
        Some(error) => Failure { error, models: Some(health.models) }.into_response(),
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `GET /health` and `/health/ready`.
pub(super) async fn ready(State(api): State<Arc<Api>>) -> Response {
    respond(api.service.readiness(), "ready")
}

/// `GET /health/live`.
pub(super) async fn live(State(api): State<Arc<Api>>) -> Response {
    respond(api.service.liveness(), "live")
}

/// `GET /health/startup`.
pub(super) async fn startup(State(api): State<Arc<Api>>) -> Response {
    respond(api.service.startup(), "started")
}

/// `GET /metrics`.
pub(super) async fn metrics(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let form = exposition::negotiated(&headers);
    api.service.stuck_workers();
    // With a thousand models this takes a quarter of a second: not where requests are served.
    let metrics = Arc::clone(&api.observing.metrics);
    let rendered = tokio::task::spawn_blocking(move || metrics.render_as(form.exposition)).await;
    let Ok(text) = rendered else {
        return Failure::new(ErrorCode::Internal, "the metrics could not be written").into_response();
    };
    let mut response = Response::new(text.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.media_type));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    response
}
