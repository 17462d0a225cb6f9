//! Every route, in one place, with the label it counts under.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Router, middleware};
use http::header::VARY;
use http::{HeaderMap, HeaderValue, Request};
use serde::Serialize;

use super::access::{Doors, guarded, open, restricted};
use super::problem::Failure;
use super::shortcut::Routes;
use super::v1::{self, verb};
use super::{
    Api, answer, cors, describe, docs, health, invocations, observe, openapi, predict, telemetry, v2,
};
use crate::service::{ErrorCode, Scope, ServiceError};

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
    ("/openapi.json", &["GET"]),
    ("/docs", &["GET"]),
    ("/docs/page.js", &["GET"]),
    ("/docs/page.css", &["GET"]),
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
    ("/v1/models", &["GET"]),
    ("/v1/models/{model}", &["GET"]),
    ("/v1/models/{model}/versions/{version}", &["GET"]),
    ("/v1/models/{model}:predict", &["POST"]),
    ("/v1/models/{model}/versions/{version}:predict", &["POST"]),
    ("/v1/embeddings", &["POST"]),
    ("/invocations", &["POST"]),
    ("/ping", &["GET"]),
    ("/version", &["GET"]),
];

/// The same of the admin listener, beside health and metrics.
const ADMIN_ROUTES: &[(&str, &[&str])] = &[
    ("/v2/repository/models/{model}/load", &["POST"]),
    ("/v2/repository/models/{model}/unload", &["POST"]),
    ("/telemetry", &["GET", "PATCH"]),
];

fn known(matched: Option<&str>) -> Option<&'static (&'static str, &'static [&'static str])> {
    let told = verb::told(matched?);
    ROUTES.iter().chain(ADMIN_ROUTES).find(|(route, _)| *route == told)
}

/// The label of requests that no route matches.
const UNMATCHED: &str = "unmatched";

/// The label of a matched path.
pub(super) fn label(matched: Option<&str>) -> &'static str {
    known(matched).map_or(UNMATCHED, |(route, _)| route)
}

/// The methods that a matched path takes; none where nothing matched.
pub(super) fn methods(matched: Option<&str>) -> Option<&'static [&'static str]> {
    known(matched).map(|(_, methods)| *methods)
}

/// True for the routes that are traced and tell their timing.
pub(super) fn is_prediction(label: &str) -> bool {
    label.starts_with("/predict")
        || label.ends_with("/infer")
        || label.ends_with(":predict")
        || matches!(label, "/invocations" | "/v1/embeddings")
}

fn probes() -> Doors {
    Doors::default()
        .route("/health", open(get(health::ready)))
        .route("/health/ready", open(get(health::ready)))
        .route("/health/live", open(get(health::live)))
        .route("/health/startup", open(get(health::startup)))
}

fn predictions(api: &Arc<Api>) -> Doors {
    let predict = || guarded(api, Scope::Predict, post(predict::predict));
    let describe = || guarded(api, Scope::Metadata, get(describe::describe));
    Doors::default()
        .route("/predict", guarded(api, Scope::Metadata, get(describe::list)).and(predict()))
        .route("/predict/{model}", describe().and(predict()))
        .route("/predict/{model}/versions/{version}", describe().and(predict()))
}

fn finished(routes: Doors, api: &Arc<Api>, cors_origins: &[String]) -> Router {
    let routes = routes.into_router().fallback(not_found).method_not_allowed_fallback(method_not_allowed);
    cors::layered(routes, cors_origins)
        .layer(middleware::from_fn_with_state(Arc::clone(api), observe::observe))
        .with_state(Arc::clone(api))
}

/// The routes of the public port.
pub fn public_router(api: &Arc<Api>) -> Routes {
    for (route, methods) in ROUTES {
        for method in *methods {
            api.observing.metrics.http().register_route(method, route);
        }
    }
    let metrics = get(health::metrics);
    let metrics =
        if api.options.protect_metrics { guarded(api, Scope::Metadata, metrics) } else { open(metrics) };
    let routes = probes()
        .route("/metrics", metrics)
        .route("/", open(get(index)))
        .route("/openapi.json", guarded(api, Scope::Metadata, get(openapi::openapi)))
        .route("/docs", open(get(docs::page)))
        .route("/docs/page.js", open(get(docs::script)))
        .route("/docs/page.css", open(get(docs::style)))
        .merge(predictions(api))
        .merge(v1::routes(api))
        .merge(invocations::routes(api))
        .merge(v2::routes(api));
    // What a router adds to a request on its way (keys, origins) has to be passed.
    let is_direct = api.options.access.is_none() && api.options.cors_origins.is_empty();
    let all = finished(routes, api, &api.options.cors_origins);
    if is_direct { Routes::with_shortcut(all, api) } else { Routes::new(all) }
}

/// The routes of the admin listener.
pub fn admin_router(api: &Arc<Api>) -> Routes {
    let telemetry = get(telemetry::show).patch(telemetry::change);
    let routes = probes()
        .route("/metrics", open(get(health::metrics)))
        .route("/telemetry", restricted(api, telemetry))
        .merge(v2::admin_routes(api));
    Routes::new(finished(routes, api, &[]))
}

/// What the gRPC listener answers to requests that are no calls.
pub fn grpc_only_router(api: &Arc<Api>) -> Routes {
    let observed = middleware::from_fn_with_state(Arc::clone(api), observe::observe);
    Routes::new(Router::new().fallback(not_grpc).layer(observed).with_state(Arc::clone(api)))
}

#[derive(Serialize)]
struct Index {
    /// What KServe v1 calls a server that is live.
    status: &'static str,
    name: &'static str,
    version: &'static str,
    routes: Vec<String>,
}

/// Every method and path of the public port.
pub(super) fn all() -> impl Iterator<Item = String> {
    let of = |(route, methods): &'static (&'static str, &'static [&'static str])| {
        methods.iter().map(move |method| format!("{method} {route}"))
    };
    ROUTES.iter().flat_map(of)
}

async fn index(headers: HeaderMap) -> Result<Response, Failure> {
    if let Some(page) = docs::instead_of_index(&headers) {
        return Ok(page);
    }
    let routes = all().collect();
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let index = Index { status: "alive", name, version, routes };
    let mut response = answer::json_of(&index)?;
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

async fn not_found(request: Request<Body>) -> Response {
    let detail = if verb::has_verb(request.uri().path()) {
        "of the verbs behind a model's name, :predict alone is served; GET / lists the routes"
    } else {
        "no route has this path; GET / lists the routes"
    };
    unrouted(request, ErrorCode::NotFound, detail).await
}

async fn not_grpc(request: Request<Body>) -> Response {
    let detail =
        "this port takes gRPC: HTTP/2 with the content type application/grpc; HTTP has a port of its own";
    unrouted(request, ErrorCode::UnsupportedMediaType, detail).await
}

async fn method_not_allowed(request: Request<Body>) -> Response {
    let detail = "this route takes other methods; see the allow header";
    unrouted(request, ErrorCode::MethodNotAllowed, detail).await
}

/// Refuses, and takes a body off the connection as every early answer does.
async fn unrouted(request: Request<Body>, code: ErrorCode, detail: &str) -> Response {
    let (parts, body) = request.into_parts();
    predict::refuse(&parts, body, ServiceError::new(code, detail)).await
}
