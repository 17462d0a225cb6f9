//! `POST /invocations`, `GET /ping` and `GET /version`: MLflow's scoring server and SageMaker's containers.
//!
//! Both call the model that `/predict` without a name means, and take its limits, errors and headers.

mod accept;
mod wire;

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request};

use super::access::{Doors, guarded, open};
use super::problem::Failure;
use super::target::Target;
use super::{Api, predict};
use crate::exchange::RequestContext;
use crate::service::Scope;

/// The routes; `routes.rs` has their labels.
pub(super) fn routes(api: &Arc<Api>) -> Doors {
    Doors::default()
        .route("/invocations", guarded(api, Scope::Predict, post(invocations)))
        .route("/ping", open(get(ping)))
        .route("/version", open(get(version)))
}

/// Answers a prediction of the default model.
async fn invocations(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    request: Request<Body>,
) -> Response {
    predict::answer_by::<wire::Invocation>(&api, &context, &Target::default(), request).await
}

/// `GET /ping`: 200 without a body when the process is ready, as `/health/ready` is.
async fn ping(State(api): State<Arc<Api>>) -> Response {
    let health = api.service.readiness();
    match health.problem {
        None => Response::new(Body::empty()),
        Some(error) => Failure { error, models: Some(health.models) }.into_response(),
    }
}

/// `GET /version`: of this server, where MLflow's clients ask for that of theirs.
async fn version() -> Response {
    let mut response = Response::new(Body::from(env!("CARGO_PKG_VERSION")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
