//! Statuses: how an error stands in the metadata. Its code is machine-readable in
//! `grpc-status-details-bin`, as the reason of a `google.rpc.ErrorInfo`.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::header::{HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};
use prost::Message;
use prost_types::{Any, Duration};

use super::proto::rpc::{ErrorInfo, RetryInfo, Status};
use crate::service::{ErrorCode, ServiceError};

/// The status' number.
pub(super) const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const ACCEPTED: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// Whose reasons they are.
const DOMAIN: &str = "ml-inference-api";
/// The number of CANCELLED, which no error of ours has: nobody is there to read it.
const CANCELLED: HeaderValue = HeaderValue::from_static("1");

/// The status of a call that went well.
pub(super) fn ok() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(STATUS, HeaderValue::from_static("0"));
    trailers
}

/// The status of a call whose caller went away.
pub(super) fn cancelled(metadata: &mut HeaderMap) {
    metadata.insert(STATUS, CANCELLED);
}

/// Writes an error into the metadata that end a call.
pub(super) fn write(error: &ServiceError, request_id: &str, metadata: &mut HeaderMap) {
    let number = error.code.grpc_code() as i32;
    metadata.insert(STATUS, HeaderValue::from(number));
    if let Ok(message) = HeaderValue::try_from(percent_encoded(&error.detail)) {
        metadata.insert(MESSAGE, message);
    }
    let details = details(error, request_id, number).encode_to_vec();
    if let Ok(details) = HeaderValue::try_from(STANDARD_NO_PAD.encode(details)) {
        metadata.insert(DETAILS, details);
    }
    if let Some(seconds) = error.retry_after_s {
        metadata.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if error.code == ErrorCode::UnsupportedMediaType {
        metadata.insert(ACCEPTED, HeaderValue::from_static("identity,gzip,deflate"));
    }
}

fn details(error: &ServiceError, request_id: &str, code: i32) -> Status {
    let mut metadata = HashMap::from([("request_id".to_owned(), request_id.to_owned())]);
    if let Some(pointer) = &error.pointer {
        metadata.insert("pointer".to_owned(), pointer.clone());
    }
    let info = ErrorInfo { reason: error.code.text().to_owned(), domain: DOMAIN.to_owned(), metadata };
    let mut details = vec![any("ErrorInfo", &info)];
    if let Some(seconds) = error.retry_after_s {
        let delay = Duration { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanos: 0 };
        details.push(any("RetryInfo", &RetryInfo { retry_delay: Some(delay) }));
    }
    Status { code, message: error.detail.clone(), details }
}

fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/google.rpc.{name}"), value: message.encode_to_vec() }
}

/// The text with what is not printable ASCII as `%XX`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(b"0123456789ABCDEF"[usize::from(byte >> 4)]));
            encoded.push(char::from(b"0123456789ABCDEF"[usize::from(byte & 15)]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_its_number_its_detail_and_its_code() {
        let error = ServiceError::new(ErrorCode::Overloaded, "100 % of é\n").retry_after(7).at("/inputs/0");
        let mut metadata = HeaderMap::new();
        write(&error, "id", &mut metadata);
        assert_eq!(metadata[&STATUS], "14");
        assert_eq!(metadata[&MESSAGE], "100 %25 of %C3%A9%0A");
        assert_eq!(metadata[RETRY_AFTER], "7");
        let details = STANDARD_NO_PAD.decode(metadata[&DETAILS].as_bytes()).unwrap();
        let status = Status::decode(&*details).unwrap();
        assert_eq!((status.code, status.message.as_str()), (14, "100 % of é\n"));
        assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.ErrorInfo");
        let info = ErrorInfo::decode(&*status.details[0].value).unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("overloaded", DOMAIN));
        assert_eq!(
            (info.metadata["pointer"].as_str(), info.metadata["request_id"].as_str()),
            ("/inputs/0", "id")
        );
        let retry = RetryInfo::decode(&*status.details[1].value).unwrap();
        assert_eq!(retry.retry_delay.unwrap().seconds, 7);
    }
}
