//! What collectors answer: taken in, and how much of it; or not, why, and whether to try again.
//!
//! Sources: "OpenTelemetry Protocol Specification" (responses, failures, throttling), gRPC's "gRPC over HTTP2" and "HTTP
//! to gRPC Status Code Mapping". The responses of all signals have the same fields.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

use super::wire::{Read, fields};
use super::{Accepted, ExportError, ExportErrorKind};
use crate::telemetry::otel::percent_decoded;

/// Bytes of what a collector says that are told on.
const MAX_MESSAGE: usize = 256;
/// What stands before a message of gRPC: whether it is compressed, and its length.
pub(super) const FRAME: usize = 5;

const OK: u32 = 0;
const RESOURCE_EXHAUSTED: u32 = 8;
const UNAVAILABLE: u32 = 14;

/// A try that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: ExportError,
    pub(super) retry: Retry,
}

/// Whether another try may do better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    Never,
    /// When, is for the sender to say.
    Later,
    /// The collector said when.
    After(Duration),
}

impl Failure {
    pub(super) fn unavailable(message: String, retry: Retry) -> Self {
        Self { error: ExportError::unavailable(message), retry }
    }
}

/// An answer over HTTP.
pub(super) fn http(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Accepted, Failure> {
    if status.is_success() {
        return Ok(accepted(body));
    }
    let kind = match status.as_u16() {
        408 | 504 => ExportErrorKind::Timeout,
        429 | 500.. => ExportErrorKind::Unavailable,
        _ => ExportErrorKind::Rejected,
    };
    let retry = match status.as_u16() {
        429 | 502 | 503 | 504 => asked_pause(headers).map_or(Retry::Later, Retry::After),
        _ => Retry::Never,
    };
    let said = Status::read(body).message;
    let message = told("the collector answered", status.as_str(), &said);
    Err(Failure { error: ExportError { kind, message }, retry })
}

/// An answer over gRPC, whose status is in the trailers, or in the headers when there is nothing else.
pub(super) fn grpc(
    status: StatusCode,
    headers: &HeaderMap,
    trailers: &HeaderMap,
    body: &[u8],
) -> Result<Accepted, Failure> {
    let holds = if headers.contains_key("grpc-status") { headers } else { trailers };
    let text = |name: &str| holds.get(name).and_then(|value| value.to_str().ok());
    let Some(code) = text("grpc-status").and_then(|code| code.parse().ok()) else {
        return Err(not_grpc(status));
    };
    if code == OK {
        return Ok(accepted(body.get(FRAME..).unwrap_or_default()));
    }
    let details = text("grpc-status-details-bin").map(|text| text.trim_end_matches('='));
    let details = details.and_then(|text| STANDARD_NO_PAD.decode(text).ok()).unwrap_or_default();
    let pause = Status::read(&details).pause;
    // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS.
    let is_passing = matches!(code, 1 | 4 | 10 | 11 | UNAVAILABLE | 15);
    let retry = match pause {
        Some(pause) if is_passing || code == RESOURCE_EXHAUSTED => Retry::After(pause),
        None if is_passing => Retry::Later,
        _ => Retry::Never,
    };
    let kind = match code {
        1 | 4 => ExportErrorKind::Timeout,
        // UNKNOWN, ABORTED, INTERNAL beside those whose names say it.
        2 | RESOURCE_EXHAUSTED | 10 | 13 | UNAVAILABLE | 15 => ExportErrorKind::Unavailable,
        _ => ExportErrorKind::Rejected,
    };
    let said = text("grpc-message").unwrap_or_default();
    let said = percent_decoded(said).unwrap_or_else(|| said.to_owned());
    let message = told("the collector answered gRPC status", &code.to_string(), &said);
    Err(Failure { error: ExportError { kind, message }, retry })
}

/// Something on the way answered in gRPC's place, or nothing that speaks it is there.
fn not_grpc(status: StatusCode) -> Failure {
    let retry = match status.as_u16() {
        429 | 502 | 503 | 504 => Retry::Later,
        _ => Retry::Never,
    };
    let kind = match status.as_u16() {
        401 | 403 | 404 => ExportErrorKind::Rejected,
        _ => ExportErrorKind::Unavailable,
    };
    let message = format!("the collector answered HTTP status {} and none of gRPC", status.as_u16());
    Failure { error: ExportError { kind, message }, retry }
}

fn accepted(response: &[u8]) -> Accepted {
    let mut accepted = Accepted::default();
    for (field, value) in fields(response) {
        let (1, Read::Delimited(partial)) = (field, value) else { continue };
        for (field, value) in fields(partial) {
            match (field, value) {
                (1, Read::Varint(rejected)) => accepted.rejected = rejected,
                (2, Read::Delimited(message)) => {
                    accepted.message = bounded(&String::from_utf8_lossy(message));
                }
                _ => {}
            }
        }
    }
    accepted
}

/// As much of a `google.rpc.Status` as is of use.
#[derive(Debug, Default)]
struct Status {
    message: String,
    /// Its `RetryInfo`.
    pause: Option<Duration>,
}

impl Status {
    fn read(bytes: &[u8]) -> Self {
        let mut status = Self::default();
        for (field, value) in fields(bytes) {
            match (field, value) {
                (2, Read::Delimited(message)) => {
                    status.message = String::from_utf8_lossy(message).into_owned();
                }
                (3, Read::Delimited(any)) => status.pause = retry_delay(any).or(status.pause),
                _ => {}
            }
        }
        status
    }
}

/// The delay of an `Any` that is a `RetryInfo`.
fn retry_delay(any: &[u8]) -> Option<Duration> {
    let part = |message, wanted| {
        fields(message).find_map(|(field, value)| match value {
            Read::Delimited(part) if field == wanted => Some(part),
            _ => None,
        })
    };
    let name: &[u8] = part(any, 1)?;
    if !name.ends_with(b"google.rpc.RetryInfo") {
        return None;
    }
    let mut delay = Duration::ZERO;
    for field in fields(part(part(any, 2)?, 1)?) {
        match field {
            (1, Read::Varint(seconds)) => delay = delay.saturating_add(Duration::from_secs(seconds)),
            (2, Read::Varint(nanos)) => delay = delay.saturating_add(Duration::from_nanos(nanos)),
            _ => {}
        }
    }
    Some(delay)
}

/// `Retry-After` in seconds. As a date it says too little: a collector's clock need not be ours.
fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn told(what: &str, code: &str, said: &str) -> String {
    let said = bounded(said);
    if said.is_empty() { format!("{what} {code}") } else { format!("{what} {code}: {said}") }
}

fn bounded(text: &str) -> String {
    let text = text.trim();
    text[..text.floor_char_boundary(MAX_MESSAGE)].to_owned()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use opentelemetry_proto::tonic::collector::logs::v1::{
        ExportLogsPartialSuccess, ExportLogsServiceResponse,
    };
    use prost::Message;

    use super::super::wire;
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn partial(rejected: i64, message: &str) -> Vec<u8> {
        let partial =
            ExportLogsPartialSuccess { rejected_log_records: rejected, error_message: message.to_owned() };
        ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
    }

    /// A `google.rpc.Status` with a `RetryInfo`, as `grpc-status-details-bin` has it.
    fn retry_info(seconds: u64, nanos: u64) -> String {
        let mut status = Vec::new();
        wire::varint(&mut status, 1, 14);
        wire::bytes(&mut status, 2, b"busy");
        wire::message(&mut status, 3, |any| {
            wire::bytes(any, 1, b"type.googleapis.com/google.rpc.RetryInfo");
            wire::message(any, 2, |info| {
                wire::message(info, 1, |delay| {
                    wire::varint(delay, 1, seconds);
                    wire::varint(delay, 2, nanos);
                });
            });
        });
        STANDARD_NO_PAD.encode(status)
    }

    #[test]
    fn partial_success_is_read_over_both_protocols() {
        let body = partial(3, "too old");
        let expected = Accepted { rejected: 3, message: "too old".to_owned() };
        assert_eq!(http(StatusCode::OK, &HeaderMap::new(), &body).unwrap(), expected);
        let framed = [&[0, 0, 0, 0, 9][..], &body].concat();
        let done = headers(&[("grpc-status", "0")]);
        assert_eq!(grpc(StatusCode::OK, &HeaderMap::new(), &done, &framed).unwrap(), expected);
        for nothing in [&b""[..], b"\xff\xff", &partial(0, "")] {
            assert_eq!(http(StatusCode::OK, &HeaderMap::new(), nothing).unwrap(), Accepted::default());
        }
        let long = http(StatusCode::OK, &HeaderMap::new(), &partial(1, &"ä".repeat(1000))).unwrap();
        assert!(long.message.len() <= MAX_MESSAGE);
    }

    #[test]
    fn http_statuses_say_what_failed_and_whether_to_try_again() {
        use ExportErrorKind::{Rejected, Timeout, Unavailable};
        for (status, kind, retry) in [
            (302, Rejected, Retry::Never),
            (400, Rejected, Retry::Never),
            (401, Rejected, Retry::Never),
            (408, Timeout, Retry::Never),
            (413, Rejected, Retry::Never),
            (429, Unavailable, Retry::After(Duration::from_secs(7))),
            (500, Unavailable, Retry::Never),
            (502, Unavailable, Retry::After(Duration::from_secs(7))),
            (503, Unavailable, Retry::After(Duration::from_secs(7))),
            (504, Timeout, Retry::After(Duration::from_secs(7))),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let failure = http(status, &headers(&[("retry-after", "7")]), b"").unwrap_err();
            assert_eq!((failure.error.kind, failure.retry), (kind, retry), "{status}");
        }
        let date = headers(&[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")]);
        let mut said = Vec::new();
        wire::bytes(&mut said, 2, b"not now");
        let failure = http(StatusCode::SERVICE_UNAVAILABLE, &date, &said).unwrap_err();
        assert_eq!((failure.retry, failure.error.message.ends_with("503: not now")), (Retry::Later, true));
    }

    #[test]
    fn grpc_codes_say_what_failed_and_whether_to_try_again() {
        use ExportErrorKind::{Rejected, Timeout, Unavailable};
        let pause = Retry::After(Duration::new(2, 500_000_000));
        for (code, kind, bare, asked) in [
            (1, Timeout, Retry::Later, pause),
            (2, Unavailable, Retry::Never, Retry::Never),
            (3, Rejected, Retry::Never, Retry::Never),
            (4, Timeout, Retry::Later, pause),
            (5, Rejected, Retry::Never, Retry::Never),
            (7, Rejected, Retry::Never, Retry::Never),
            (8, Unavailable, Retry::Never, pause),
            (10, Unavailable, Retry::Later, pause),
            (11, Rejected, Retry::Later, pause),
            (12, Rejected, Retry::Never, Retry::Never),
            (13, Unavailable, Retry::Never, Retry::Never),
            (14, Unavailable, Retry::Later, pause),
            (15, Unavailable, Retry::Later, pause),
            (16, Rejected, Retry::Never, Retry::Never),
        ] {
            let code = code.to_string();
            let plain = headers(&[("grpc-status", &code), ("grpc-message", "a%20b")]);
            let failure = grpc(StatusCode::OK, &plain, &HeaderMap::new(), b"").unwrap_err();
            assert_eq!((failure.error.kind, failure.retry), (kind, bare), "{code}");
            assert!(failure.error.message.ends_with(&format!("{code}: a b")), "{}", failure.error);
            let info = retry_info(2, 500_000_000);
            let trailers = headers(&[("grpc-status", &code), ("grpc-status-details-bin", &info)]);
            let failure = grpc(StatusCode::OK, &HeaderMap::new(), &trailers, b"").unwrap_err();
            assert_eq!(failure.retry, asked, "{code}");
        }
        for (status, retry, kind) in [
            (200, Retry::Never, Unavailable),
            (404, Retry::Never, Rejected),
            (503, Retry::Later, Unavailable),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let failure = grpc(status, &HeaderMap::new(), &HeaderMap::new(), b"").unwrap_err();
            assert_eq!((failure.retry, failure.error.kind), (retry, kind), "{status}");
        }
    }
}
