//! The one body of every error.

use serde_json::Value;

use super::http::Response;

/// Codes for which the same request may well succeed later.
const RETRYABLE: [&str; 7] = [
    "client_too_slow",
    "deadline_exceeded",
    "deadline_unmeetable",
    "draining",
    "not_ready",
    "overloaded",
    "quota_exceeded",
];

/// Checks the whole form of an error and returns its body.
#[track_caller]
pub(crate) fn assert_problem(response: &Response, status: u16, code: &str) -> Value {
    let text = response.text();
    assert_eq!(response.status, status, "{text}");
    assert_eq!(response.header("content-type"), Some("application/problem+json"), "{text}");
    let body = response.json();
    assert_eq!(body["code"], code, "{text}");
    assert_eq!(body["status"], status, "{text}");
    for key in ["type", "title", "detail", "request_id"] {
        assert!(body[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {text}");
    }
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.chars().count() <= 256, "{text}");
    assert_eq!(body["error"], body["detail"], "{text}");
    assert_eq!(body["retryable"], RETRYABLE.contains(&code), "{text}");
    assert_eq!(body["request_id"].as_str(), response.header("x-request-id"), "{text}");
    let retry_after = response.header("retry-after").map(|value| value.parse::<u64>().expect(value));
    if matches!(status, 429 | 503) {
        assert!(retry_after.is_some_and(|seconds| (1..=60).contains(&seconds)), "{retry_after:?}");
    } else {
        assert_eq!(retry_after, None);
    }
    for leak in ["/tmp", ".onnx", "onnxruntime", ".rs:", "panicked", "serde", "expected value at line"] {
        assert!(!text.contains(leak), "{leak:?} leaks: {text}");
    }
    if let Some(pointer) = body.get("pointer") {
        assert!(pointer.as_str().is_some_and(|pointer| pointer.starts_with('/')), "{text}");
    }
    body
}

/// An error at a field of the body.
#[track_caller]
pub(crate) fn assert_problem_at(response: &Response, status: u16, code: &str, pointer: &str) -> Value {
    let body = assert_problem(response, status, code);
    assert_eq!(body["pointer"], pointer, "{}", response.text());
    body
}
