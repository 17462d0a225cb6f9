//! `POST /v2/repository/index`: every version of every model and how far it has come.
//!
//! Invariant: a body is nothing at all or one object with at most the member `ready`; whatever else
//! comes is refused at its place, without being held in memory a second time.

use std::fmt;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Request};
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use crate::exchange::RequestContext;
use crate::http::body::{self, BodyError};
use crate::http::kind::{self, Kind, shown_pointer};
use crate::http::problem::Failure;
use crate::http::{Api, answer, decode, predict};
use crate::service::description::{self, Entry, Listed};
use crate::service::{ErrorCode, ServiceError};

/// Answers with the index, as the public port has it: without reasons, which name files.
pub(super) async fn index(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    request: Request<Body>,
) -> Response {
    let (parts, mut incoming) = request.into_parts();
    match listed(&api, &context, &parts.headers, &mut incoming).await {
        Ok(listed) => answered(&description::index(&api.service.models(), listed)),
        Err(error) => predict::not_read(&parts, incoming, error).await,
    }
}

/// The same for who may load and unload: with reasons, and with what the configured paths hold and was
/// never loaded.
pub(in crate::http) async fn full_index(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    request: Request<Body>,
) -> Response {
    let (parts, mut incoming) = request.into_parts();
    match listed(&api, &context, &parts.headers, &mut incoming).await {
        Ok(listed) => {
            let there = match listed {
                Listed::All => api.service.discoverable().await,
                Listed::Ready => Vec::new(),
            };
            answered(&description::full_index(&api.service.models(), listed, &there))
        }
        Err(error) => predict::not_read(&parts, incoming, error).await,
    }
}

fn answered(entries: &[Entry<'_>]) -> Response {
    answer::json_of(&entries).unwrap_or_else(|error| Failure::from(error).into_response())
}

async fn listed(
    api: &Api,
    context: &RequestContext,
    headers: &HeaderMap,
    incoming: &mut Body,
) -> Result<Listed, BodyError> {
    body::check_claimed_length(headers, &api.options)?;
    let held = body::read(api, context, headers, incoming, 0).await?;
    Ok(if parse(&held.bytes)? { Listed::Ready } else { Listed::All })
}

fn parse(bytes: &[u8]) -> Result<bool, ServiceError> {
    let Some(body) = kind::object_or_nothing(bytes)? else { return Ok(false) };
    let mut fault = None;
    let ready = serde_json::Deserializer::from_slice(body).deserialize_map(Members { fault: &mut fault });
    ready.map_err(|error| fault.unwrap_or_else(|| decode::not_json(&error)))
}

fn refused(detail: impl Into<String>) -> ServiceError {
    ServiceError::new(ErrorCode::InvalidInput, detail)
}

/// The members of the one object; the first that is wrong becomes the fault.
struct Members<'a> {
    fault: &'a mut Option<ServiceError>,
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut ready = None;
        while let Some(name) = map.next_key::<String>()? {
            let fault = if name == "ready" {
                match map.next_value()? {
                    Kind::Boolean(value) if ready.is_none() => {
                        ready = Some(value);
                        continue;
                    }
                    Kind::Boolean(_) => refused("the member stands twice").at("/ready"),
                    other => refused(format!("expected a boolean, got {}", other.name())).at("/ready"),
                }
            } else {
                let pointer = shown_pointer(&name);
                let detail = "expected no other member than \"ready\"";
                ServiceError::new(ErrorCode::UnknownInput, detail).at(pointer)
            };
            *self.fault = Some(fault);
            return Err(A::Error::custom(""));
        }
        Ok(ready.unwrap_or(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_nothing_or_an_object_that_may_say_ready() {
        for (body, only_ready) in [
            ("", false),
            (" \n", false),
            ("{}", false),
            (r#"{"ready":false}"#, false),
            (r#" {"ready": true} "#, true),
        ] {
            assert_eq!(parse(body.as_bytes()).unwrap(), only_ready, "{body}");
        }
    }

    #[test]
    fn anything_else_is_refused_at_its_place() {
        use ErrorCode::{InvalidInput, InvalidJson, UnknownInput};
        for (body, code, pointer) in [
            ("{", InvalidJson, None),
            ("{} x", InvalidJson, None),
            (r#"{"ready":tru}"#, InvalidJson, None),
            ("[]", InvalidInput, None),
            ("true", InvalidInput, None),
            (r#"{"ready":null}"#, InvalidInput, Some("/ready")),
            (r#"{"ready":"yes"}"#, InvalidInput, Some("/ready")),
            (r#"{"ready":[{"a":[1,2]}]}"#, InvalidInput, Some("/ready")),
            (r#"{"ready":true,"ready":true}"#, InvalidInput, Some("/ready")),
            (r#"{"name":"m"}"#, UnknownInput, Some("/name")),
            (r#"{"a~/\u0062":1}"#, UnknownInput, Some("/a~0~1b")),
        ] {
            let error = parse(body.as_bytes()).unwrap_err();
            assert_eq!((error.code, error.pointer.as_deref()), (code, pointer), "{body}");
        }
        let long = format!(r#"{{"{}":1}}"#, "x".repeat(1000));
        assert_eq!(parse(long.as_bytes()).unwrap_err().pointer.unwrap().len(), 1 + kind::NAME_CHARS);
        let deep = format!(r#"{{"ready":{}}}"#, "[".repeat(100_000));
        assert_eq!(parse(deep.as_bytes()).unwrap_err().code, InvalidJson);
    }
}
