//! `GET /openapi.json`: everything that is served, each loaded model with its own fields.
//!
//! `base.json` has what all share, `routes/*.json` the routes, one file a protocol; `models.rs` makes the
//! rest of the same descriptions that `GET /predict/{model}` gives. Invariant: a route without a
//! description fails a test; the text is made once for every change of the models.
//!
//! In those files `x-needs` says what a caller's key needs (`open`, `metrics`, `metadata`, `predict`),
//! `x-errors` which statuses a route's problems have, and `x-prediction` that it tells its timing; all three
//! become OpenAPI's own words here.

mod document;
mod examples;
mod models;
mod schema;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::Api;
use super::problem::Failure;
use crate::service::ServiceError;

/// The files of routes: a protocol adds its own.
const ROUTES: [&str; 5] = [
    include_str!("routes/invocations.json"),
    include_str!("routes/predict.json"),
    include_str!("routes/service.json"),
    include_str!("routes/v1.json"),
    include_str!("routes/v2.json"),
];

/// The description as it was made last.
#[derive(Default)]
pub(super) struct Cache(ArcSwapOption<Made>);

struct Made {
    generation: u64,
    text: Bytes,
    etag: HeaderValue,
}

/// `GET /openapi.json`.
pub(super) async fn openapi(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let made = match current(&api) {
        Ok(made) => made,
        Err(error) => return Failure::from(error).into_response(),
    };
    let asked = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let etag = made.etag.to_str().unwrap_or_default();
    let is_known = asked.is_some_and(|asked| {
        asked.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == etag)
    });
    let mut response = Response::new(if is_known { Body::empty() } else { made.text.clone().into() });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response.headers_mut().insert(ETAG, made.etag.clone());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn current(api: &Api) -> Result<Arc<Made>, ServiceError> {
    let models = api.service.models();
    if let Some(made) = api.openapi.0.load_full().filter(|made| made.generation == models.generation()) {
        return Ok(made);
    }
    let document = document::build(api, &models).map_err(ServiceError::internal)?;
    let text = serde_json::to_vec(&document).map_err(ServiceError::internal)?;
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let etag = HeaderValue::try_from(format!("\"{:016x}\"", hasher.finish()))
        .unwrap_or_else(|_| HeaderValue::from_static("\"\""));
    let made = Arc::new(Made { generation: models.generation(), text: text.into(), etag });
    api.openapi.0.store(Some(Arc::clone(&made)));
    Ok(made)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Map, Value};

    use super::*;
    use crate::http::routes;
    use crate::service::ErrorCode;

    fn described() -> Vec<(String, Value)> {
        let mut operations = Vec::new();
        for file in ROUTES {
            let paths: Map<String, Value> = serde_json::from_str(file).unwrap();
            for (path, methods) in paths {
                for (method, operation) in methods.as_object().unwrap() {
                    operations.push((format!("{} {path}", method.to_ascii_uppercase()), operation.clone()));
                }
            }
        }
        operations
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let described: BTreeSet<String> = described().into_iter().map(|(route, _)| route).collect();
        let served: BTreeSet<String> = routes::all().collect();
        let missing: Vec<_> = served.difference(&described).collect();
        assert!(missing.is_empty(), "add to src/http/openapi/routes/: {missing:?}");
        let extra: Vec<_> = described.difference(&served).collect();
        assert!(extra.is_empty(), "described and not served: {extra:?}");
    }

    #[test]
    fn every_operation_says_what_it_needs_and_has_a_name_of_its_own() {
        let mut names = BTreeSet::new();
        for (route, operation) in described() {
            assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{route}");
            assert!(document::scope(&operation).is_some(), "{route}: x-needs");
            for status in operation["x-errors"].as_array().unwrap() {
                let known = |code: ErrorCode| u64::from(code.http_status()) == status.as_u64().unwrap();
                assert!(ErrorCode::all().any(known), "{route}: {status}");
            }
        }
    }
}
