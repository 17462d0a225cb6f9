//! A request's trace: its ids for logs and headers, and its SERVER span when sampled.
//!
//! Begun by [`Tracer::begin_request`], ended by `http/` when the last byte is out. Invariant: one
//! SERVER span per sampled request, also when the request is dropped half-way.

use std::net::SocketAddr;
use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceId};
use opentelemetry_semantic_conventions::attribute as semconv;

use super::encode::{Fields, Head};
use super::{InferenceTrace, Tracer};
use crate::telemetry::labels::Outcome;
use crate::telemetry::metrics::SampledSpan;

const OTHER_METHOD: &str = "_OTHER";
/// Of a version, two ids and flags, with dashes between them.
const TRACERESPONSE_LENGTH: usize = 55;
/// Bytes of a client's text that are kept.
const MAX_TEXT: usize = 1024;
/// `error.type` of what ended because the client went away.
pub(super) const CLIENT_GONE: &str = "client_disconnected";

/// A lack of capacity, told by a refusal: no fault that a trace would explain.
const REFUSED: u16 = 503;

/// `model-inference` and its stages, as most requests have them.
const INFERENCE_SPANS: u64 = 5;

/// A request's trace.
#[derive(Debug)]
pub struct RequestTrace {
    tracer: Tracer,
    context: SpanContext,
    origin: Origin,
    is_open: bool,
}

/// How a request's trace began.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) operation: Operation,
    /// The caller's span, if it is followed.
    pub(super) parent: Option<SpanContext>,
    /// The caller's span, if it is not.
    pub(super) linked: Option<SpanContext>,
    pub(super) started: SystemTime,
    /// The queue was full when it began: no span of it is made, and none is told as an exemplar.
    pub(super) is_lost: bool,
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
    /// The span's name, in pieces.
    fn name(self) -> [&'static str; 3] {
        match self {
            Self::Http { method, route } => {
                [if method == OTHER_METHOD { "HTTP" } else { method }, " ", route]
            }
            Self::Rpc { path } => [path.trim_start_matches('/'), "", ""],
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
    pub(super) fn new(tracer: Tracer, context: SpanContext, origin: Origin) -> Self {
        let is_open = !origin.is_lost && (context.is_sampled() || tracer.keeps_some());
        Self { tracer, context, origin, is_open }
    }

    /// The trace's id: the caller's, or a new one.
    pub fn trace_id(&self) -> TraceId {
        self.context.trace_id()
    }

    /// The id of the request's own span.
    pub fn span_id(&self) -> SpanId {
        self.context.span_id()
    }

    /// Whether the request is recorded, whatever becomes of it.
    pub fn is_sampled(&self) -> bool {
        self.context.is_sampled()
    }

    /// Whether the request's facts are wanted at its end: it is recorded, or may turn out worth it.
    pub fn is_recording(&self) -> bool {
        self.is_open
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

    /// Begins the `model-inference` span.
    pub fn begin_inference(&mut self, started: SystemTime) -> InferenceTrace {
        if self.origin.is_lost {
            self.tracer.lost(INFERENCE_SPANS);
        }
        let parent = self.is_open.then(|| self.context.clone());
        InferenceTrace::begin(self.tracer.clone(), parent, started)
    }

    /// The request's span, if it is exported when the request ends so.
    pub fn exported(&self, status: u16, ended: SystemTime) -> Option<SampledSpan> {
        self.is_kept(status, ended).then(|| SampledSpan::new(self.trace_id(), self.span_id()))
    }

    fn is_kept(&self, status: u16, ended: SystemTime) -> bool {
        let is_fault = status >= 500 && status != REFUSED;
        self.is_open && self.tracer.keeps(&self.context, is_fault, (self.origin.started, ended))
    }

    /// Ends the request's span.
    pub fn finish(mut self, response: &HttpSpanEnd<'_>, ended: SystemTime) {
        let kept = self.is_kept(response.status, ended);
        self.is_open = false;
        if kept {
            self.write(ended, |fields| {
                fill(fields, response);
                if response.status >= 500 {
                    fields.failed();
                }
            });
        }
    }

    fn write(&self, ended: SystemTime, rest: impl FnOnce(&mut Fields<'_>)) {
        let Origin { operation, parent, linked, started, .. } = &self.origin;
        let head = Head {
            context: &self.context,
            parent: parent.as_ref(),
            name: operation.name(),
            kind: &SpanKind::Server,
            began: *started,
            ended,
        };
        self.tracer.record(1, |encoder, out| {
            encoder.span(out, &head, |fields| {
                match *operation {
                    Operation::Http { method, route } => {
                        fields.attribute(semconv::HTTP_REQUEST_METHOD, method);
                        fields.attribute(semconv::HTTP_ROUTE, route);
                    }
                    Operation::Rpc { path } => {
                        fields.attribute(semconv::RPC_SYSTEM_NAME, "grpc");
                        fields.attribute(semconv::RPC_METHOD, path.trim_start_matches('/'));
                    }
                }
                if let Some(linked) = linked {
                    fields.link(linked, &[]);
                }
                rest(fields);
            });
            1
        });
    }
}

impl Drop for RequestTrace {
    /// Dropped before its end: the client went away, which is no error of the server.
    fn drop(&mut self) {
        // Most have ended, or were never open: they read no clock.
        if !self.is_open {
            return;
        }
        let ended = SystemTime::now();
        if self.tracer.keeps(&self.context, false, (self.origin.started, ended)) {
            self.write(ended, |fields| fields.attribute(semconv::ERROR_TYPE, CLIENT_GONE));
        }
    }
}

fn fill(fields: &mut Fields<'_>, end: &HttpSpanEnd<'_>) {
    let mut text = |key: &str, value: &str| {
        if !value.is_empty() {
            fields.attribute(key, &value[..value.floor_char_boundary(MAX_TEXT)]);
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
    match end.grpc_status {
        Some(status) => fields.attribute(semconv::RPC_RESPONSE_STATUS_CODE, status),
        None => fields.attribute(semconv::HTTP_RESPONSE_STATUS_CODE, i64::from(end.status)),
    }
    fields.optional(semconv::SERVER_PORT, end.server_port.map(i64::from));
    if let Some(peer) = end.peer {
        let address = peer.ip().to_string();
        fields.attribute(semconv::CLIENT_ADDRESS, address.as_str());
        fields.attribute(semconv::NETWORK_PEER_ADDRESS, address.as_str());
        fields.attribute(semconv::NETWORK_PEER_PORT, i64::from(peer.port()));
    }
    fields.optional("inference.outcome", end.outcome.map(Outcome::as_str));
    match end.error_type {
        Some(error) => fields.attribute(semconv::ERROR_TYPE, error),
        None if end.status >= 500 => fields.attribute(semconv::ERROR_TYPE, end.status.to_string().as_str()),
        None => {}
    }
}
