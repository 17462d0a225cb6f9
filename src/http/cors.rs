//! Which web pages of other origins may call from a browser: none, unless they are configured.
//!
//! A layer of the public router, inside the observing one, so that a preflight counts like any
//! request. Invariant: without configured origins there is no layer and no such header; a preflight
//! is told what its own route takes, by the table of routes, and needs no key.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderValue, Method, Request, StatusCode};

use super::{Api, routes};

const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "content-type, content-encoding, authorization, x-request-id, x-request-timeout-ms, x-request-priority, \
     traceparent, tracestate, inference-header-content-length",
);
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static(
    "x-request-id, traceresponse, server-timing, retry-after, inference-header-content-length",
);
/// Seconds for which a preflight holds; browsers have lower limits of their own.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
/// The origin that stands for every one.
const ANY: &str = "*";

/// Puts the layer around `routes`, where origins are configured.
pub(super) fn layered(routes: Router<Arc<Api>>, origins: &[String]) -> Router<Arc<Api>> {
    if origins.is_empty() {
        return routes;
    }
    routes.layer(from_fn_with_state(Arc::<[String]>::from(origins), cors))
}

async fn cors(State(origins): State<Arc<[String]>>, request: Request<Body>, next: Next) -> Response {
    let is_any = origins.iter().any(|known| known == ANY);
    let is_known = |origin: &&HeaderValue| origins.iter().any(|known| known.as_bytes() == origin.as_bytes());
    let origin = match request.headers().get(ORIGIN) {
        Some(_) if is_any => Some(HeaderValue::from_static(ANY)),
        origin => origin.filter(is_known).cloned(),
    };
    let asked = origin.as_ref().and_then(|_| asked_methods(&request));
    let mut response = match asked {
        Some(methods) => preflight(methods),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    }
    if !is_any {
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
    response
}

/// What a preflight asks for: the methods of its route, where there is one.
fn asked_methods(request: &Request<Body>) -> Option<HeaderValue> {
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let methods = routes::methods(matched).filter(|_| is_preflight)?;
    HeaderValue::try_from(methods.join(", ")).ok()
}

fn preflight(methods: HeaderValue) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}
