//! `GET` and `PATCH /telemetry`, on the admin listener alone: how much is logged and traced, changed while serving.
//!
//! Invariant: a change is made whole or not at all, and lasts until the process ends.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::Request;
use serde::Serialize;
use serde_json::{Map, Value};

use super::kind::{object_or_nothing, shown_pointer};
use super::problem::Failure;
use super::{Api, answer, body, decode, predict};
use crate::exchange::RequestContext;
use crate::service::{ErrorCode, ServiceError};
use crate::telemetry::is_log_filter;

/// What is in force.
#[derive(Serialize)]
struct Shown {
    /// As `log.level` takes it.
    log_level: String,
    /// The share of traces that is recorded where no caller has decided; null without tracing.
    sampling_ratio: Option<f64>,
}

/// Answers with what is in force.
pub(super) async fn show(State(api): State<Arc<Api>>) -> Response {
    let observing = &api.observing;
    let sampling_ratio = observing.tracer.sampling().map(|sampling| sampling.ratio);
    let shown = Shown { log_level: observing.log_level.directives(), sampling_ratio };
    answer::json_of(&shown).unwrap_or_else(|error| Failure::from(error).into_response())
}

/// Changes what the body names, and answers with what is in force then.
pub(super) async fn change(
    state: State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    request: Request<Body>,
) -> Response {
    let api = &*state;
    let (parts, mut incoming) = request.into_parts();
    let read = async {
        body::check_claimed_length(&parts.headers, &api.options)?;
        let held = body::read(api, &context, &parts.headers, &mut incoming, 0).await?;
        let wanted = parse(&held.bytes)?;
        Ok(apply(api, &context, &wanted)?)
    };
    match read.await {
        Ok(()) => show(state).await,
        Err(error) => predict::not_read(&parts, incoming, error).await,
    }
}

/// What is to change.
#[derive(Debug, Default, PartialEq)]
struct Wanted {
    log_level: Option<String>,
    sampling_ratio: Option<f64>,
}

fn refused(pointer: &str, detail: impl Into<String>) -> ServiceError {
    ServiceError::new(ErrorCode::InvalidInput, detail).at(pointer)
}

fn parse(bytes: &[u8]) -> Result<Wanted, ServiceError> {
    let Some(body) = object_or_nothing(bytes)? else { return Ok(Wanted::default()) };
    let members: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| decode::not_json(&error))?;
    let mut wanted = Wanted::default();
    for (name, value) in members {
        match (name.as_str(), value) {
            ("log_level", Value::String(text)) if is_log_filter(&text) && !text.trim().is_empty() => {
                wanted.log_level = Some(text);
            }
            ("log_level", _) => {
                let detail = "expected a level (error, warn, info, debug, off) or directives such as \
                              \"info,ml_inference_api=debug\"";
                return Err(refused("/log_level", detail));
            }
            ("sampling_ratio", value) => {
                let ratio = value.as_f64().filter(|ratio| (0.0..=1.0).contains(ratio));
                let detail = format!("expected a number from 0 to 1, got {}", shown(&value));
                wanted.sampling_ratio = Some(ratio.ok_or_else(|| refused("/sampling_ratio", detail))?);
            }
            (other, _) => {
                let detail = "expected the members \"log_level\" and \"sampling_ratio\" only";
                return Err(ServiceError::new(ErrorCode::UnknownInput, detail).at(shown_pointer(other)));
            }
        }
    }
    Ok(wanted)
}

fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn apply(api: &Api, context: &RequestContext, wanted: &Wanted) -> Result<(), ServiceError> {
    let observing = &api.observing;
    if wanted.sampling_ratio.is_some() && observing.tracer.sampling().is_none() {
        let detail = "there is no tracing: set OTEL_EXPORTER_OTLP_ENDPOINT and start again";
        return Err(refused("/sampling_ratio", detail));
    }
    let (request_id, caller) = (&*context.id, context.caller());
    if let Some(level) = &wanted.log_level {
        observing.log_level.change(level).map_err(|error| refused("/log_level", error))?;
        // At this level in order that it is told whatever the new one is, but for `off`.
        tracing::error!(request_id, caller, log_level = level, "the log's level was changed");
    }
    if let Some(ratio) = wanted.sampling_ratio {
        observing.tracer.set_sampling_ratio(ratio);
        tracing::info!(request_id, caller, sampling_ratio = ratio, "the share of sampled traces was changed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_refused_at_its_place() {
        for (body, code, pointer) in [
            (r#"{"log_level":5}"#, ErrorCode::InvalidInput, "/log_level"),
            (r#"{"log_level":""}"#, ErrorCode::InvalidInput, "/log_level"),
            (r#"{"log_level":"=loud="}"#, ErrorCode::InvalidInput, "/log_level"),
            (r#"{"sampling_ratio":1.5}"#, ErrorCode::InvalidInput, "/sampling_ratio"),
            (r#"{"sampling_ratio":-0.1}"#, ErrorCode::InvalidInput, "/sampling_ratio"),
            (r#"{"sampling_ratio":"1"}"#, ErrorCode::InvalidInput, "/sampling_ratio"),
            (r#"{"sampling_ratio":null}"#, ErrorCode::InvalidInput, "/sampling_ratio"),
            (r#"{"sampling":1}"#, ErrorCode::UnknownInput, "/sampling"),
        ] {
            let error = parse(body.as_bytes()).unwrap_err();
            assert_eq!((error.code, error.pointer.as_deref()), (code, Some(pointer)), "{body}");
        }
        assert_eq!(parse(b"{").unwrap_err().code, ErrorCode::InvalidJson);
    }

    #[test]
    fn a_part_may_be_changed() {
        assert_eq!(parse(b"").unwrap(), Wanted::default());
        let wanted = parse(br#"{"sampling_ratio":0}"#).unwrap();
        assert_eq!(wanted, Wanted { sampling_ratio: Some(0.0), log_level: None });
        let wanted = parse(br#"{"log_level":"info,ml_inference_api=debug","sampling_ratio":1}"#).unwrap();
        assert_eq!(wanted.log_level.as_deref(), Some("info,ml_inference_api=debug"));
    }
}
