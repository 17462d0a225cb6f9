//! A request's trace: its ids for logs and headers, and its SERVER span when sampled.
//!
//! Begun by [`Tracer::begin_request`], ended by `http/` when the last byte is out. Invariant: one
//! SERVER span per sampled request, also when the request is dropped half-way.

use std::net::SocketAddr;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceId};
use opentelemetry_sdk::trace::Span;
use opentelemetry_semantic_conventions::attribute as semconv;

use super::{InferenceTrace, Tracer};
use crate::telemetry::labels::Outcome;

const OTHER_METHOD: &str = "_OTHER";
/// Of a version, two ids and flags, with dashes between them.
const TRACERESPONSE_LENGTH: usize = 55;
/// Bytes of a client's text that are kept.
const MAX_TEXT: usize = 1024;
/// `error.type` of what ended because the client went away.
pub(super) const CLIENT_GONE: &str = "client_disconnected";

/// A request's trace.
#[derive(Debug)]
pub struct RequestTrace {
    tracer: Tracer,
    context: SpanContext,
    span: Option<Span>,
}

/// What a request asks for: names its span.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    /// HTTP; the route is the router's pattern.
    Http {
        /// One of the known methods.
        method: &'static str,
        /// The router's pattern.
        route: &'static str,
    },
    /// gRPC, by the method's path: `/package.Service/Method`.
    Rpc {
        /// The path.
        path: &'static str,
    },
}

impl Operation {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Http { route, .. } => route,
            Self::Rpc { path } => path,
        }
    }
}

/// What is known of a request at its end. Empty texts count as absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpSpanEnd<'a> {
    /// The status sent, or 499.
    pub status: u16,
    /// The name of the status, where it was gRPC.
    pub grpc_status: Option<&'static str>,
    /// The error code, only on error; the same as in the metrics.
    pub error_type: Option<&'static str>,
    /// How the inference ended, if it was one.
    pub outcome: Option<Outcome>,
    /// The path without the query.
    pub url_path: &'a str,
    /// `http` or `https`; `http` when empty.
    pub scheme: &'a str,
    /// `1.1` or `2`.
    pub http_version: &'a str,
    /// The method as sent, when it is none of the known ones.
    pub original_method: Option<&'a str>,
    /// The other end of the connection.
    pub peer: Option<SocketAddr>,
    /// The host asked for.
    pub server_address: Option<&'a str>,
    /// The port asked for.
    pub server_port: Option<u16>,
    /// The client's name for itself.
    pub user_agent: Option<&'a str>,
    /// The name of the caller's key.
    pub end_user: Option<&'a str>,
}

/// Appends `bytes` in lower-case hexadecimal. Ids stand in every answer, and the formatter takes ten
/// times as long.
pub fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.reserve(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

impl RequestTrace {
    pub(super) fn recording(tracer: Tracer, mut span: Span, operation: Operation) -> Self {
        match operation {
            Operation::Http { method, route } => {
                let shown = if method == OTHER_METHOD { "HTTP" } else { method };
                span.update_name(format!("{shown} {route}"));
                span.set_attribute(KeyValue::new(semconv::HTTP_REQUEST_METHOD, method));
                span.set_attribute(KeyValue::new(semconv::HTTP_ROUTE, route));
            }
            Operation::Rpc { path } => {
                let method = path.trim_start_matches('/');
                span.update_name(method);
                span.set_attribute(KeyValue::new(semconv::RPC_SYSTEM_NAME, "grpc"));
                span.set_attribute(KeyValue::new(semconv::RPC_METHOD, method));
            }
        }
        Self { tracer, context: span.span_context().clone(), span: Some(span) }
    }

    pub(super) fn silent(tracer: Tracer, context: SpanContext) -> Self {
        Self { tracer, context, span: None }
    }

    /// The trace's id: the caller's, or a new one.
    pub fn trace_id(&self) -> TraceId {
        self.context.trace_id()
    }

    /// The id of the request's own span.
    pub fn span_id(&self) -> SpanId {
        self.context.span_id()
    }

    /// Whether the request is recorded.
    pub fn is_sampled(&self) -> bool {
        self.context.is_sampled()
    }

    /// The `traceresponse` header's value.
    pub fn traceresponse(&self) -> String {
        let context = &self.context;
        let mut text = String::with_capacity(TRACERESPONSE_LENGTH);
        text.push_str("00-");
        push_hex(&mut text, &context.trace_id().to_bytes());
        text.push('-');
        push_hex(&mut text, &context.span_id().to_bytes());
        text.push('-');
        push_hex(&mut text, &[context.trace_flags().to_u8()]);
        text
    }

    /// Begins the `model-inference` span, when sampled.
    pub fn begin_inference(&mut self, started: SystemTime) -> InferenceTrace {
        if self.span.is_none() {
            return InferenceTrace::new(self.tracer.clone(), None);
        }
        let builder =
            SpanBuilder::from_name("model-inference").with_kind(SpanKind::Internal).with_start_time(started);
        InferenceTrace::new(self.tracer.clone(), self.tracer.begin_decided(Some(&self.context), builder))
    }

    /// Ends the request's span.
    pub fn finish(mut self, response: &HttpSpanEnd<'_>, ended: SystemTime) {
        let Some(mut span) = self.span.take() else { return };
        span.set_attributes(attributes(response));
        if response.status >= 500 {
            span.set_status(Status::error(""));
        }
        span.end_with_timestamp(ended);
    }
}

impl Drop for RequestTrace {
    /// Dropped before its end: the client went away, which is no error of the server.
    fn drop(&mut self) {
        if let Some(mut span) = self.span.take() {
            span.set_attribute(KeyValue::new(semconv::ERROR_TYPE, CLIENT_GONE));
            span.end();
        }
    }
}

fn attributes(end: &HttpSpanEnd<'_>) -> Vec<KeyValue> {
    let mut list = Vec::with_capacity(16);
    let mut text = |key: &'static str, value: &str| {
        if !value.is_empty() {
            list.push(KeyValue::new(key, value[..value.floor_char_boundary(MAX_TEXT)].to_owned()));
        }
    };
    text(semconv::URL_PATH, end.url_path);
    text(semconv::URL_SCHEME, if end.scheme.is_empty() { "http" } else { end.scheme });
    text(semconv::NETWORK_PROTOCOL_NAME, "http");
    text(semconv::NETWORK_PROTOCOL_VERSION, end.http_version);
    text(semconv::HTTP_REQUEST_METHOD_ORIGINAL, end.original_method.unwrap_or_default());
    text(semconv::SERVER_ADDRESS, end.server_address.unwrap_or_default());
    text(semconv::USER_AGENT_ORIGINAL, end.user_agent.unwrap_or_default());
    text(semconv::ENDUSER_ID, end.end_user.unwrap_or_default());
    list.push(match end.grpc_status {
        Some(status) => KeyValue::new(semconv::RPC_RESPONSE_STATUS_CODE, status),
        None => KeyValue::new(semconv::HTTP_RESPONSE_STATUS_CODE, i64::from(end.status)),
    });
    if let Some(port) = end.server_port {
        list.push(KeyValue::new(semconv::SERVER_PORT, i64::from(port)));
    }
    if let Some(peer) = end.peer {
        list.push(KeyValue::new(semconv::CLIENT_ADDRESS, peer.ip().to_string()));
        list.push(KeyValue::new(semconv::NETWORK_PEER_ADDRESS, peer.ip().to_string()));
        list.push(KeyValue::new(semconv::NETWORK_PEER_PORT, i64::from(peer.port())));
    }
    if let Some(outcome) = end.outcome {
        list.push(KeyValue::new("inference.outcome", outcome.as_str()));
    }
    match end.error_type {
        Some(error) => list.push(KeyValue::new(semconv::ERROR_TYPE, error)),
        None if end.status >= 500 => list.push(KeyValue::new(semconv::ERROR_TYPE, end.status.to_string())),
        None => {}
    }
    list
}
