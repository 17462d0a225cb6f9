//! The layer around every route: request id, metrics, trace, problem bodies, panics, log line.
//!
//! Handlers know none of it. However a request ends, it is counted once: with its status, or as
//! 499 when its future is dropped because the client went away.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{MatchedPath, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONNECTION, HeaderName};
use http::{HeaderValue, Request, StatusCode, Version};
use http_body::{Frame, SizeHint};

use super::problem::{self, Failure};
use super::{Api, predict, routes};
use crate::exchange::{AnswerEnd, CatchPanic, Exchange, Protocol, REQUEST_ID, RequestContext};
use crate::service::ServiceError;

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
    let protocol = if routes::is_prediction(label) { Protocol::Http } else { Protocol::Untraced };
    let exchange = Exchange::begin(&api.observing, &request, label, protocol);
    let is_http1 = request.version() < Version::HTTP_2;
    let head = ResponseHead { is_http1, is_prediction: exchange.is_traced() };
    let handling = pin!(handle(Arc::clone(&exchange.context), request));
    let answered = CatchPanic::new(handling).await;
    let mut response = answered.unwrap_or_else(|_panicked| {
        api.observing.metrics.panicked("http");
        let error = ServiceError::internal("a handler panicked");
        Failure::from(error).into_response()
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
    let (status, error) = (response.status().as_u16(), failure.as_ref().map(|failure| &failure.error));
    exchange.log(api.observing.access_log, status, error);
    let end = exchange.answer(status, error.map(|error| error.code));
    response.map(|body| Body::new(ObservedBody { body, end }))
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
            self.end.sent(frame.data_ref().map_or(0, |data| data.len() as u64));
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
