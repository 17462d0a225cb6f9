//! What is known of a request beside its body, from its first byte to its last log line.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime};

use http::HeaderMap;
use http::header::HeaderName;

use crate::telemetry::{InferenceTrace, RequestTrace, push_hex};

/// Made by the observing layer, carried in the request's extensions.
pub struct RequestContext {
    /// The caller's `x-request-id` where it is acceptable, else a new one.
    pub id: Arc<str>,
    /// When the first header byte came.
    pub started: Instant,
    /// Who calls.
    pub peer: Option<SocketAddr>,
    /// Ids and, when it is sampled, the server span; none on routes that are not traced.
    pub trace: Mutex<Option<RequestTrace>>,
    caller: OnceLock<Arc<str>>,
    body_bytes: AtomicU64,
}

impl RequestContext {
    /// What `headers` and the connection tell.
    pub fn new(
        headers: &HeaderMap,
        started: Instant,
        peer: Option<SocketAddr>,
        trace: Option<RequestTrace>,
    ) -> Self {
        let id = request_id(headers);
        let (trace, caller) = (Mutex::new(trace), OnceLock::new());
        Self { id, started, peer, trace, caller, body_bytes: AtomicU64::new(0) }
    }

    /// The span of an inference under this request's.
    pub fn begin_inference(&self) -> Option<InferenceTrace> {
        let mut trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        let trace = trace.as_mut()?;
        // The clock is read for spans only.
        let started = if trace.is_recording() { SystemTime::now() } else { SystemTime::UNIX_EPOCH };
        Some(trace.begin_inference(started))
    }

    /// Notes whose key the request came with.
    pub fn called_by(&self, name: &Arc<str>) {
        self.caller.get_or_init(|| Arc::clone(name));
    }

    /// The name of the request's key, once it is known.
    pub fn caller(&self) -> Option<&str> {
        self.caller.get().map(AsRef::as_ref)
    }

    /// Notes how many bytes of the body have come.
    pub fn body_came(&self, bytes: u64) {
        self.body_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Bytes of the body that have come.
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes.load(Ordering::Relaxed)
    }
}

/// The header that names a request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_ID: usize = 64;

fn request_id(headers: &HeaderMap) -> Arc<str> {
    let is_fine = |id: &&str| {
        (1..=MAX_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(is_fine);
    given.map_or_else(new_id, Into::into)
}

fn new_id() -> Arc<str> {
    let mut text = String::new();
    push_hex(&mut text, &fastrand::u128(..).to_be_bytes());
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_request_ids_are_replaced() {
        let id = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-request-id", http::HeaderValue::from_static(value));
            request_id(&headers)
        };
        assert_eq!(&*id("a.B_9-z"), "a.B_9-z");
        for odd in ["", "a b", "a/b", "x;y"] {
            assert_eq!(id(odd).len(), 32, "{odd}");
        }
        let long = "x".repeat(65);
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", long.parse().unwrap());
        assert_eq!(request_id(&headers).len(), 32);
    }
}
