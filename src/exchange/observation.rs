//! The account of one request and its answer: metrics, server span, log line.
//!
//! Begun when the header is there, over when the answer's last byte is out or its body given up. A
//! request whose future is dropped before there is an answer counts as 499.

use std::sync::{Arc, PoisonError};
use std::time::{Instant, SystemTime};

use http::header::{HOST, HeaderName, USER_AGENT};
use http::{HeaderMap, Request, Version};

use super::access_log::{AccessLog, Line};
use super::context::RequestContext;
use super::origin::{ConnectionInfo, RequestStart, SentUri};
use crate::service::{ErrorCode, ServiceError};
use crate::telemetry::{
    Extractor, HttpObservation, HttpSpanEnd, LogLevel, Metrics, ObservedEnd, Operation, Outcome,
    RequestTrace, Spoken, Tracer, known_method,
};

/// Where the account of an exchange goes.
#[derive(Clone)]
pub struct Observing {
    /// Counters and histograms.
    pub metrics: Arc<Metrics>,
    /// Spans.
    pub tracer: Tracer,
    /// Which answers are logged.
    pub access_log: AccessLog,
    /// What is logged at all.
    pub log_level: LogLevel,
}

/// What is spoken, and whether it is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP, on a route that is not traced.
    Untraced,
    /// HTTP.
    Http,
    /// gRPC: the label is the method's path.
    Grpc,
    /// gRPC, by a method that is not traced.
    UntracedGrpc,
}

impl Protocol {
    fn is_traced(self) -> bool {
        matches!(self, Self::Http | Self::Grpc)
    }

    fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc | Self::UntracedGrpc)
    }
}

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The headers as the propagator reads them.
struct CallersHeaders<'a>(&'a HeaderMap);

impl Extractor for CallersHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        // The one that is looked for on every request is not parsed as a name again each time.
        let value = if key == TRACEPARENT.as_str() { self.0.get(TRACEPARENT) } else { self.0.get(key) };
        value?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// One request and its answer, as metrics, trace and log see them.
pub struct Exchange {
    /// What is known of the request beside its body.
    pub context: Arc<RequestContext>,
    observation: Option<HttpObservation>,
    protocol: Protocol,
    span: SpanFacts,
}

impl Exchange {
    /// Begins to observe a request that counts under `label`.
    pub fn begin<B>(
        observing: &Observing,
        request: &Request<B>,
        label: &'static str,
        protocol: Protocol,
    ) -> Self {
        let extensions = request.extensions();
        let started = extensions.get::<RequestStart>().map_or_else(Instant::now, |start| start.0);
        let method = known_method(request.method().as_str());
        let mut observation = observing.metrics.http().begin(method, label, started);
        let operation = match protocol {
            Protocol::Untraced | Protocol::UntracedGrpc => None,
            Protocol::Http => Some(Operation::Http { method, route: label }),
            Protocol::Grpc => Some(Operation::Rpc { path: label }),
        };
        let trace = operation.map(|operation| {
            let began = SystemTime::now() - started.elapsed();
            observing.tracer.begin_request(&CallersHeaders(request.headers()), operation, began)
        });
        let recording = trace.as_ref().is_some_and(RequestTrace::is_recording);
        let span = if recording { SpanFacts::of(request, method) } else { SpanFacts::default() };
        let connection = extensions.get::<ConnectionInfo>();
        if protocol.is_grpc() {
            observation.speaks(Spoken::Grpc);
        } else if connection.is_some_and(|info| info.is_tls) {
            observation.speaks(Spoken::Https);
        }
        let peer = connection.map(|info| info.peer);
        let context = Arc::new(RequestContext::new(request.headers(), started, peer, trace));
        Self { context, observation: Some(observation), protocol, span }
    }

    /// Whether the request is one of those that are traced and tell their timing.
    pub fn is_traced(&self) -> bool {
        self.protocol.is_traced()
    }

    /// The value of `traceresponse`, where the request is traced.
    pub fn traceresponse(&self) -> Option<String> {
        let trace = self.context.trace.lock().unwrap_or_else(PoisonError::into_inner);
        trace.as_ref().map(RequestTrace::traceresponse)
    }

    /// Writes the line of the answer, where one is wanted.
    pub fn log(&self, access_log: AccessLog, status: u16, error: Option<&ServiceError>) {
        log(&self.context, access_log, status, error);
    }

    /// Hands the end of the exchange to the answer's body: it is over when the last byte is out.
    pub fn answer(mut self, status: u16, error: Option<ErrorCode>) -> AnswerEnd {
        if let Some(observation) = &self.observation {
            observation.request_bytes(self.context.body_bytes());
        }
        AnswerEnd {
            status,
            error,
            protocol: self.protocol,
            observation: self.observation.take(),
            context: Arc::clone(&self.context),
            span: std::mem::take(&mut self.span),
            sent: 0,
        }
    }
}

fn log(context: &RequestContext, access_log: AccessLog, status: u16, error: Option<&ServiceError>) {
    let cause = error.and_then(|error| error.cause.as_deref());
    let is_fault = status >= 500 && status != 503;
    let took = context.started.elapsed();
    let told_anyway = cause.map(|_| if is_fault { Line::Fault } else { Line::Told });
    let Some(line) = access_log.line(is_fault, took).or(told_anyway) else { return };
    let trace = context.trace.lock().unwrap_or_else(PoisonError::into_inner);
    let (trace_id, span_id) = trace
        .as_ref()
        .map_or_else(Default::default, |trace| (trace.trace_id().to_string(), trace.span_id().to_string()));
    let code = error.map_or("", |error| error.code.text());
    let took_ms = took.as_secs_f64() * 1e3;
    let (request_id, cause) = (&*context.id, cause.unwrap_or_default());
    let caller = context.caller();
    macro_rules! told {
        ($level:ident, $message:literal $(, $more:ident)*) => {
            tracing::$level!(
                request_id, trace_id, span_id, status, code, cause, caller, took_ms, $($more,)* $message
            )
        };
    }
    match line {
        Line::Fault => told!(error, "request failed"),
        Line::Told => told!(info, "request answered"),
        Line::Slow { untold } => told!(warn, "request was slow", untold),
    }
}

/// What the server span says of the request; empty unless it may be exported.
#[derive(Default)]
struct SpanFacts {
    path: String,
    http_version: &'static str,
    original_method: Option<String>,
    scheme: &'static str,
    host: Option<String>,
    user_agent: Option<String>,
}

impl SpanFacts {
    fn of<B>(request: &Request<B>, method: &str) -> Self {
        let text = |name: HeaderName| Some(request.headers().get(name)?.to_str().ok()?.to_owned());
        let sent = request.method().as_str();
        let is_tls = request.extensions().get::<ConnectionInfo>().is_some_and(|info| info.is_tls);
        Self {
            path: request
                .extensions()
                .get::<SentUri>()
                .map_or(request.uri(), |sent| &sent.0)
                .path()
                .to_owned(),
            http_version: if request.version() == Version::HTTP_2 { "2" } else { "1.1" },
            original_method: (sent != method).then(|| sent.to_owned()),
            scheme: if is_tls { "https" } else { "http" },
            host: text(HOST),
            user_agent: text(USER_AGENT),
        }
    }

    fn host_and_port(&self) -> (Option<&str>, Option<u16>) {
        let Some(host) = self.host.as_deref() else { return (None, None) };
        match host.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
            Some((name, Ok(port))) => (Some(name), Some(port)),
            _ => (Some(host), None),
        }
    }
}

/// The account of an answer; settled when its body has ended or was given up.
pub struct AnswerEnd {
    status: u16,
    error: Option<ErrorCode>,
    protocol: Protocol,
    observation: Option<HttpObservation>,
    context: Arc<RequestContext>,
    span: SpanFacts,
    sent: u64,
}

impl AnswerEnd {
    /// Bytes of the answer were handed over.
    pub fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    /// An answer that came piece by piece ends with `error`, and not as it began.
    pub fn fails(&mut self, access_log: AccessLog, error: &ServiceError) {
        self.status = error.code.http_status();
        self.error = Some(error.code);
        log(&self.context, access_log, self.status, Some(error));
    }

    fn settle(&mut self) {
        let Some(mut observation) = self.observation.take() else { return };
        let mut trace = self.context.trace.lock().unwrap_or_else(PoisonError::into_inner);
        // The clock is read for spans only.
        let trace = trace.take().filter(RequestTrace::is_recording).map(|trace| (trace, SystemTime::now()));
        let grpc_status = || self.error.map_or("OK", |error| error.grpc_code().name());
        let grpc_status = self.protocol.is_grpc().then(grpc_status);
        let error_type = self.error.filter(|_| self.status >= 500).map(ErrorCode::text);
        let span = trace.as_ref().and_then(|(trace, ended)| trace.exported(self.status, *ended));
        observation.ends(ObservedEnd { span, error_type, grpc_status });
        observation.finish(self.status, self.sent);
        let Some((trace, ended)) = trace else { return };
        let (server_address, server_port) = self.span.host_and_port();
        trace.finish(
            &HttpSpanEnd {
                status: self.status,
                grpc_status,
                error_type,
                outcome: Some(self.error.map_or(Outcome::Ok, ErrorCode::outcome)),
                url_path: &self.span.path,
                scheme: self.span.scheme,
                http_version: self.span.http_version,
                original_method: self.span.original_method.as_deref(),
                peer: self.context.peer,
                server_address,
                server_port,
                user_agent: self.span.user_agent.as_deref(),
                end_user: self.context.caller(),
            },
            ended,
        );
    }
}

impl Drop for AnswerEnd {
    fn drop(&mut self) {
        // The answer was made and handed over: its status counts even where the client stopped
        // reading it.
        self.settle();
    }
}
