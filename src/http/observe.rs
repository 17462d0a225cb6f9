//! The layer around every route: request id, metrics, trace, problem bodies, panics, log line.
//!
//! Handlers know none of it. However a request ends, it is counted once: with its status, or as
//! 499 when its future is dropped because the client went away.

use std::pin::{Pin, pin};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use axum::body::Body;
use axum::extract::{MatchedPath, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderName, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Version};
use http_body::{Frame, SizeHint};

use super::catch_panic::CatchPanic;
use super::connection::{ConnectionInfo, RequestStart};
use super::context::{REQUEST_ID, RequestContext};
use super::problem::{self, Failure};
use super::v1::verb;
use super::{AccessLog, Api, predict, routes};
use crate::service::{ErrorCode, ServiceError};
use crate::telemetry::{Extractor, HttpObservation, HttpSpanEnd, Outcome, RequestTrace, known_method};

/// Marks an answer after which the connection must not be used again.
#[derive(Clone, Copy)]
pub(super) struct CloseAfter;

/// Marks an answer that nobody takes: the request counts as 499.
#[derive(Clone, Copy)]
struct ClientGone;

/// The answer for a client that went away amid its request.
pub(super) fn client_gone() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.extensions_mut().insert(ClientGone);
    response
}

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// Observes a request that the router has matched.
pub(super) async fn observe(State(api): State<Arc<Api>>, request: Request<Body>, next: Next) -> Response {
    let label = routes::label(request.extensions().get::<MatchedPath>().map(MatchedPath::as_str));
    let run = |context, mut request: Request<Body>| {
        request.extensions_mut().insert(context);
        next.run(request)
    };
    observed(&api, label, request, run).await
}

/// Observes one request from its first byte to the last byte of its answer, which `handle` makes.
pub(super) async fn observed<F: Future<Output = Response>>(
    api: &Api,
    label: &'static str,
    request: Request<Body>,
    handle: impl FnOnce(Arc<RequestContext>, Request<Body>) -> F,
) -> Response {
    let exchange = Exchange::begin(api, &request, label);
    let is_http1 = request.version() < Version::HTTP_2;
    let head = ResponseHead { is_http1, is_prediction: exchange.traced };
    let handling = pin!(handle(Arc::clone(&exchange.context), request));
    let answered = CatchPanic::new(handling).await;
    let mut response = answered.unwrap_or_else(|_panicked| {
        api.metrics.panicked("http");
        let error = ServiceError::new(ErrorCode::Internal, "an internal error");
        Failure::from(error.because("a handler panicked")).into_response()
    });
    if response.extensions().get::<ClientGone>().is_some() {
        // The exchange is dropped unanswered, which counts it as 499 and ends its span.
        return response;
    }
    let failure = response.extensions_mut().remove::<Arc<Failure>>();
    if let Some(failure) = &failure {
        problem::render(failure, &exchange.context.id, &mut response);
    }
    head.write(api, &exchange, &mut response);
    exchange.log(api, response.status().as_u16(), failure.as_deref());
    exchange.answer(response, failure.as_deref())
}

/// What decides about the headers that every answer has.
struct ResponseHead {
    is_http1: bool,
    is_prediction: bool,
}

impl ResponseHead {
    fn write(&self, api: &Api, exchange: &Exchange, response: &mut Response) {
        let close = response.extensions().get::<CloseAfter>().is_some() || api.service.is_draining();
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&exchange.context.id) {
            headers.insert(REQUEST_ID, id);
        }
        if self.is_http1 && close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if !self.is_prediction {
            return;
        }
        if let Some(trace) = exchange.traceresponse().and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(TRACERESPONSE, trace);
        }
        if !headers.contains_key(predict::SERVER_TIMING) {
            let total = exchange.context.started.elapsed().as_secs_f64() * 1e3;
            if let Ok(timing) = HeaderValue::try_from(format!("total;dur={total:.3}")) {
                headers.insert(predict::SERVER_TIMING, timing);
            }
        }
    }
}

/// One request and its answer, as metrics, trace and log see them.
struct Exchange {
    context: Arc<RequestContext>,
    observation: Option<HttpObservation>,
    traced: bool,
    span: SpanFacts,
}

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

/// What the server span says of the request; empty unless the request is sampled.
#[derive(Default)]
struct SpanFacts {
    path: String,
    http_version: &'static str,
    original_method: Option<String>,
    scheme: &'static str,
    host: Option<String>,
    user_agent: Option<String>,
}

impl Exchange {
    fn begin(api: &Api, request: &Request<Body>, label: &'static str) -> Self {
        let extensions = request.extensions();
        let started = extensions.get::<RequestStart>().map_or_else(Instant::now, |start| start.0);
        let method = known_method(request.method().as_str());
        let observation = api.metrics.http().begin(method, label, started);
        let traced = routes::is_prediction(label);
        let trace = traced.then(|| {
            let began = SystemTime::now() - started.elapsed();
            api.tracer.begin_request(&CallersHeaders(request.headers()), method, label, began)
        });
        let sampled = trace.as_ref().is_some_and(RequestTrace::is_sampled);
        let span = if sampled { SpanFacts::of(request, method) } else { SpanFacts::default() };
        let peer = extensions.get::<ConnectionInfo>().map(|info| info.peer);
        let context = Arc::new(RequestContext::new(request.headers(), started, peer, trace));
        Self { context, observation: Some(observation), traced, span }
    }

    fn traceresponse(&self) -> Option<String> {
        let trace = self.context.trace.lock().unwrap_or_else(PoisonError::into_inner);
        trace.as_ref().map(RequestTrace::traceresponse)
    }

    fn log(&self, api: &Api, status: u16, failure: Option<&Failure>) {
        let cause = failure.and_then(|failure| failure.error.cause.as_deref());
        let is_fault = status >= 500 && status != 503;
        let wanted = match api.options.access_log {
            AccessLog::All => true,
            AccessLog::Errors => is_fault,
            AccessLog::Off => false,
        };
        if !wanted && cause.is_none() {
            return;
        }
        let trace = self.context.trace.lock().unwrap_or_else(PoisonError::into_inner);
        let (trace_id, span_id) = trace.as_ref().map_or_else(Default::default, |trace| {
            (trace.trace_id().to_string(), trace.span_id().to_string())
        });
        let code = failure.map_or("", |failure| failure.error.code.text());
        let took_ms = self.context.started.elapsed().as_secs_f64() * 1e3;
        let (request_id, cause) = (&*self.context.id, cause.unwrap_or_default());
        let caller = self.context.caller();
        if is_fault {
            tracing::error!(
                request_id,
                trace_id,
                span_id,
                status,
                code,
                cause,
                caller,
                took_ms,
                "request failed"
            );
        } else {
            tracing::info!(
                request_id,
                trace_id,
                span_id,
                status,
                code,
                cause,
                caller,
                took_ms,
                "request answered"
            );
        }
    }

    /// Hands the end of the exchange to the body: it is over when the last byte is out.
    fn answer(mut self, response: Response, failure: Option<&Failure>) -> Response {
        if let Some(observation) = &self.observation {
            observation.request_bytes(self.context.body_bytes());
        }
        let status = response.status().as_u16();
        let end = AnswerEnd {
            status,
            error: failure.map(|failure| failure.error.code),
            observation: self.observation.take(),
            context: Arc::clone(&self.context),
            span: std::mem::take(&mut self.span),
            sent: 0,
        };
        response.map(|body| Body::new(ObservedBody { body, end }))
    }
}

impl SpanFacts {
    fn of(request: &Request<Body>, method: &str) -> Self {
        let text = |name: HeaderName| Some(request.headers().get(name)?.to_str().ok()?.to_owned());
        let sent = request.method().as_str();
        let is_tls = request.extensions().get::<ConnectionInfo>().is_some_and(|info| info.is_tls);
        Self {
            path: verb::as_sent(request.uri(), request.extensions()).to_owned(),
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
struct AnswerEnd {
    status: u16,
    error: Option<ErrorCode>,
    observation: Option<HttpObservation>,
    context: Arc<RequestContext>,
    span: SpanFacts,
    sent: u64,
}

impl AnswerEnd {
    fn settle(&mut self) {
        let Some(observation) = self.observation.take() else { return };
        observation.finish(self.status, self.sent);
        let mut trace = self.context.trace.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(trace) = trace.take().filter(RequestTrace::is_sampled) else { return };
        let (server_address, server_port) = self.span.host_and_port();
        trace.finish(
            &HttpSpanEnd {
                status: self.status,
                error_type: self.error.filter(|_| self.status >= 500).map(ErrorCode::text),
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
            SystemTime::now(),
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

/// A body that tells when its last byte was taken.
struct ObservedBody {
    body: Body,
    end: AnswerEnd,
}

impl http_body::Body for ObservedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            self.end.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
