//! The one error body: `application/problem+json` (RFC 9457). Handlers return a [`Failure`]; the
//! observing layer, which knows the request's id, writes the body of every one of them.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::service::{ErrorCode, ModelHealth, ServiceError};

/// An answer that is an error.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) error: ServiceError,
    /// The state of the models, on health routes.
    pub(super) models: Option<Vec<ModelHealth>>,
}

impl Failure {
    pub(super) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        ServiceError::new(code, detail).into()
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Self { error, models: None }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status(self.error.code);
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

fn status(code: ErrorCode) -> StatusCode {
    StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    request_id: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<&'a [ModelHealth]>,
}

/// Writes body and headers of a failure into its response.
pub(super) fn render(failure: &Failure, request_id: &str, response: &mut Response) {
    let error = &failure.error;
    let problem = Problem {
        r#type: format!("urn:ml-inference-api:error:{}", error.code.text()),
        title: error.code.title(),
        status: error.code.http_status(),
        detail: &error.detail,
        code: error.code.text(),
        request_id,
        retryable: error.code.is_retryable(),
        pointer: error.pointer.as_deref(),
        error: &error.detail,
        models: failure.models.as_deref(),
    };
    // Strings and numbers only: this cannot fail.
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    *response.body_mut() = Body::from(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(seconds) = error.retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if error.code == ErrorCode::Unauthenticated {
        headers.insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
}
