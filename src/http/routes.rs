//! Every route, in one place, with the label it counts under.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use serde::Serialize;

use super::problem::Failure;
use super::{Api, answer, describe, health, observe, predict, v2};
use crate::service::ErrorCode;

/// Path templates that are metric labels as they stand. Others count as `unmatched`.
const ROUTES: &[(&str, &[&str])] = &[
    ("/predict", &["GET", "POST"]),
    ("/predict/{model}", &["GET", "POST"]),
    ("/predict/{model}/versions/{version}", &["GET", "POST"]),
    ("/v2/models/{model}/infer", &["POST"]),
    ("/v2/models/{model}/versions/{version}/infer", &["POST"]),
    ("/health", &["GET"]),
    ("/health/ready", &["GET"]),
    ("/health/live", &["GET"]),
    ("/health/startup", &["GET"]),
    ("/metrics", &["GET"]),
    ("/", &["GET"]),
    ("/v2", &["GET"]),
    ("/v2/", &["GET"]),
    ("/v2/health/live", &["GET"]),
    ("/v2/health/ready", &["GET"]),
    ("/v2/models", &["GET"]),
    ("/v2/models/stats", &["GET"]),
    ("/v2/models/{model}", &["GET"]),
    ("/v2/models/{model}/versions/{version}", &["GET"]),
    ("/v2/models/{model}/ready", &["GET"]),
    ("/v2/models/{model}/versions/{version}/ready", &["GET"]),
    ("/v2/models/{model}/config", &["GET"]),
    ("/v2/models/{model}/versions/{version}/config", &["GET"]),
    ("/v2/models/{model}/stats", &["GET"]),
    ("/v2/models/{model}/versions/{version}/stats", &["GET"]),
    ("/v2/repository/index", &["POST"]),
];

/// The label of requests that no route matches.
const UNMATCHED: &str = "unmatched";

/// The label of a matched path.
pub(super) fn label(matched: Option<&str>) -> &'static str {
    let known = ROUTES.iter().find(|(route, _)| Some(*route) == matched);
    known.map_or(UNMATCHED, |(route, _)| route)
}

/// True for the routes that are traced and tell their timing.
pub(super) fn is_prediction(label: &str) -> bool {
    label.starts_with("/predict") || label.ends_with("/infer")
}

fn probes() -> Router<Arc<Api>> {
    Router::new()
        .route("/health", get(health::ready))
        .route("/health/ready", get(health::ready))
        .route("/health/live", get(health::live))
        .route("/health/startup", get(health::startup))
        .route("/metrics", get(health::metrics))
}

fn finished(routes: Router<Arc<Api>>, api: &Arc<Api>) -> Router {
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(api), observe::observe))
        .with_state(Arc::clone(api))
}

/// A listener's routes, ready to serve.
pub type Routes = Router;

/// The routes of the public port.
pub fn public_router(api: &Arc<Api>) -> Routes {
    for (route, methods) in ROUTES {
        for method in *methods {
            api.metrics.http().register_route(method, route);
        }
    }
    let routes = probes()
        .route("/", get(index))
        .route("/predict", get(describe::list).post(predict::predict))
        .route("/predict/{model}", get(describe::describe).post(predict::predict))
        .route("/predict/{model}/versions/{version}", post(predict::predict).get(describe::describe))
        .merge(v2::routes());
    finished(routes, api)
}

/// The routes of the admin listener.
pub fn admin_router(api: &Arc<Api>) -> Routes {
    finished(probes(), api)
}

#[derive(Serialize)]
struct Index {
    name: &'static str,
    version: &'static str,
    routes: Vec<String>,
}

async fn index() -> Result<Response, Failure> {
    let routes = ROUTES
        .iter()
        .flat_map(|(route, methods)| methods.iter().map(move |method| format!("{method} {route}")))
        .collect();
    let index = Index { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION"), routes };
    Ok(answer::json_of(&index)?)
}

async fn not_found() -> Response {
    Failure::new(ErrorCode::NotFound, "no route has this path; GET / lists the routes").into_response()
}

async fn method_not_allowed() -> Response {
    Failure::new(ErrorCode::MethodNotAllowed, "this route takes other methods; see the allow header")
        .into_response()
}
