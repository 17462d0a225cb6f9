//! `POST /v2/repository/models/{model}/load` and `/unload`, on the admin listener alone.
//!
//! As Triton has them: an empty 200. Invariant: nothing of a model comes in a request; what is loaded lies
//! in a configured path.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::Request;
use serde::Deserialize;
use serde_json::error::Category;

use crate::exchange::RequestContext;
use crate::http::body;
use crate::http::kind::{self, Kind, shown_pointer};
use crate::http::problem::Failure;
use crate::http::target::Target;
use crate::http::{Api, decode, predict};
use crate::service::{ErrorCode, RepositoryError, ServiceError};

/// What is asked of a model.
#[derive(Clone, Copy)]
enum Change {
    Load,
    Unload,
}

/// Loads a model, or reads it again.
pub(in crate::http) async fn load(
    state: State<Arc<Api>>,
    context: Extension<Arc<RequestContext>>,
    target: Target,
    request: Request<Body>,
) -> Response {
    change(&state, &context, (target, Change::Load), request).await
}

/// Takes a model out of service.
pub(in crate::http) async fn unload(
    state: State<Arc<Api>>,
    context: Extension<Arc<RequestContext>>,
    target: Target,
    request: Request<Body>,
) -> Response {
    change(&state, &context, (target, Change::Unload), request).await
}

async fn change(
    api: &Api,
    context: &RequestContext,
    (target, change): (Target, Change),
    request: Request<Body>,
) -> Response {
    let (parts, mut incoming) = request.into_parts();
    let read = async {
        body::check_claimed_length(&parts.headers, &api.options)?;
        let held = body::read(api, context, &parts.headers, &mut incoming, 0).await?;
        Ok(check(&held.bytes, change)?)
    };
    if let Err(error) = read.await {
        return predict::not_read(&parts, incoming, error).await;
    }
    let name = target.model.unwrap_or_default();
    let changed = match change {
        Change::Load => api.service.load_model(&name).await,
        Change::Unload => api.service.unload_model(&name).await,
    };
    match changed {
        Ok(()) => Response::new(Body::empty()),
        Err(RepositoryError { error, models }) => {
            let models = (!models.is_empty()).then_some(models);
            Failure { error, models }.into_response()
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    parameters: BTreeMap<String, Kind>,
}

/// A body is nothing, or an object with parameters; those that would bring a model along are refused.
fn check(bytes: &[u8], change: Change) -> Result<(), ServiceError> {
    let Some(body) = kind::object_or_nothing(bytes)? else { return Ok(()) };
    let asked: Asked = serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => {
            let detail = "expected an object with at most the member \"parameters\", an object";
            ServiceError::new(ErrorCode::InvalidInput, detail)
        }
        Category::Eof | Category::Io | Category::Syntax => decode::not_json(&error),
    })?;
    for (name, value) in &asked.parameters {
        let error = match (change, name.as_str(), value) {
            // No model depends on another here.
            (Change::Unload, "unload_dependents", Kind::Boolean(_)) => continue,
            (Change::Unload, "unload_dependents", other) => {
                let detail = format!("expected a boolean, got {}", other.name());
                ServiceError::new(ErrorCode::InvalidInput, detail)
            }
            (Change::Load, "config", _) => {
                let detail = "a model is configured by the files in its folder; none is taken from a request";
                ServiceError::new(ErrorCode::UnknownInput, detail)
            }
            (Change::Load, file, _) if file.starts_with("file:") => {
                let detail = "models are read from the configured paths; none is taken from a request";
                return Err(ServiceError::new(ErrorCode::UnknownInput, detail).at("/parameters"));
            }
            (Change::Load, ..) => ServiceError::new(ErrorCode::UnknownInput, "a load takes no parameters"),
            (Change::Unload, ..) => {
                let detail = "expected no other parameter than \"unload_dependents\"";
                ServiceError::new(ErrorCode::UnknownInput, detail)
            }
        };
        return Err(error.at(format!("/parameters{}", shown_pointer(name))));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_model_comes_in_a_request() {
        use ErrorCode::{InvalidInput, InvalidJson, UnknownInput};
        for body in ["", "{}", r#"{"parameters":{}}"#] {
            assert!(check(body.as_bytes(), Change::Load).is_ok(), "{body}");
            assert!(check(body.as_bytes(), Change::Unload).is_ok(), "{body}");
        }
        let dependents = br#"{"parameters":{"unload_dependents":true}}"#;
        assert!(check(dependents, Change::Unload).is_ok());
        for (change, body, code, pointer) in [
            (Change::Load, "{", InvalidJson, None),
            (Change::Load, "[]", InvalidInput, None),
            (Change::Load, r#"{"model":1}"#, InvalidInput, None),
            (Change::Load, r#"{"parameters":{"config":"{}"}}"#, UnknownInput, Some("/parameters/config")),
            (
                Change::Load,
                r#"{"parameters":{"file:1/model.onnx":"AA=="}}"#,
                UnknownInput,
                Some("/parameters"),
            ),
            (
                Change::Load,
                r#"{"parameters":{"unload_dependents":true}}"#,
                UnknownInput,
                Some("/parameters/unload_dependents"),
            ),
            (
                Change::Unload,
                r#"{"parameters":{"unload_dependents":1}}"#,
                InvalidInput,
                Some("/parameters/unload_dependents"),
            ),
            (Change::Unload, r#"{"parameters":{"x":1}}"#, UnknownInput, Some("/parameters/x")),
        ] {
            let error = check(body.as_bytes(), change).unwrap_err();
            assert_eq!((error.code, error.pointer.as_deref()), (code, pointer), "{body}");
        }
    }
}
