//! One call, from its headers to the body of its answer: what every method needs.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Body;
use prost::Message;

use super::answer::{Answer, Encoded};
use super::message::{Broken, Messages, unseen};
use super::method::{self, Method, UNMATCHED};
use super::stream::Replies;
use super::{Grpc, health, infer, models, reflection, server, status};
use crate::exchange::{CatchPanic, Exchange, Protocol, REQUEST_ID, RequestContext, discard, identify};
use crate::service::{ErrorCode, Scope, ServiceError};

const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What a method answers with.
pub(super) enum Reply {
    Message(Encoded),
    Stream(Replies),
}

/// The end of a method, and where an inference's time went.
pub(super) struct Handled {
    pub(super) reply: Result<Reply, Broken>,
    pub(super) timing: Option<String>,
}

impl From<Result<Reply, Broken>> for Handled {
    fn from(reply: Result<Reply, Broken>) -> Self {
        Self { reply, timing: None }
    }
}

/// Answers a call.
pub async fn answer<B>(grpc: Arc<Grpc>, request: Request<B>) -> Response<Answer>
where
    B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static,
{
    let row = method::find(request.uri().path());
    let (label, method) = row.map_or((UNMATCHED, None), |row| (row.0, Some((row.1, row.2))));
    let traced = method.is_some_and(|(method, _)| method.is_inference());
    let protocol = if traced { Protocol::Grpc } else { Protocol::UntracedGrpc };
    let exchange = Exchange::begin(&grpc.observing, &request, label, protocol);
    let (parts, body) = request.into_parts();
    let call = Call { grpc: &grpc, context: &exchange.context, parts: &parts };
    let handled = CatchPanic::new(pin!(call.handle(method, body))).await.unwrap_or_else(|_panicked| {
        grpc.observing.metrics.panicked("grpc");
        let error = ServiceError::internal("a handler panicked");
        Err(error.into()).into()
    });
    finish(&grpc, exchange, handled)
}

fn finish(grpc: &Grpc, exchange: Exchange, handled: Handled) -> Response<Answer> {
    let mut metadata = metadata(&exchange, handled.timing);
    let answer = match handled.reply {
        Ok(reply) => {
            exchange.log(grpc.observing.access_log, 200, None);
            let end = exchange.answer(200, None);
            match reply {
                Reply::Message(message) => Answer::message(message, end),
                Reply::Stream(replies) => Answer::stream(replies, end),
            }
        }
        Err(Broken::Refused(error)) => {
            status::write(&error, &exchange.context.id, &mut metadata);
            let http_status = error.code.http_status();
            exchange.log(grpc.observing.access_log, http_status, Some(&error));
            Answer::nothing(Some(exchange.answer(http_status, Some(error.code))))
        }
        Err(Broken::ClientGone) => {
            // The exchange is dropped unanswered, which counts it as 499 and ends its span.
            status::cancelled(&mut metadata);
            Answer::nothing(None)
        }
    };
    let mut response = Response::new(answer);
    *response.headers_mut() = metadata;
    response
}

/// The metadata that every answer begins with.
fn metadata(exchange: &Exchange, timing: Option<String>) -> HeaderMap {
    let mut metadata = HeaderMap::with_capacity(8);
    metadata.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if let Ok(id) = HeaderValue::from_str(&exchange.context.id) {
        metadata.insert(REQUEST_ID, id);
    }
    if !exchange.is_traced() {
        return metadata;
    }
    if let Some(trace) = exchange.traceresponse().and_then(|text| HeaderValue::try_from(text).ok()) {
        metadata.insert(TRACERESPONSE, trace);
    }
    let timing = timing.unwrap_or_else(|| {
        format!("total;dur={:.3}", exchange.context.started.elapsed().as_secs_f64() * 1e3)
    });
    if let Ok(timing) = HeaderValue::try_from(timing) {
        metadata.insert(SERVER_TIMING, timing);
    }
    metadata
}

/// A call and what it may use.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) grpc: &'a Arc<Grpc>,
    pub(super) context: &'a Arc<RequestContext>,
    pub(super) parts: &'a Parts,
}

impl Call<'_> {
    async fn handle<B>(self, method: Option<(Method, Option<Scope>)>, body: B) -> Handled
    where
        B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static,
    {
        let method = match self.admit(method) {
            Ok(method) => method,
            Err(error) => return self.refuse(error, body).await,
        };
        let messages = match Messages::new(self.grpc, &self.parts.headers, body) {
            Ok(messages) => messages,
            Err((error, body)) => {
                if method.is_inference() {
                    self.grpc.service.refused(None, &error);
                }
                return self.refuse(error, body).await;
            }
        };
        match method {
            Method::ModelInfer => infer::unary(self, messages).await,
            Method::ModelStreamInfer => infer::stream(self, messages).await,
            Method::HealthWatch => health::watch(self, messages).await,
            Method::Reflection => Ok(reflection::answer(self, messages)).into(),
            _ => self.simple(method, messages).await,
        }
    }

    /// Refuses what needs no body to be refused: 405, then 401 and 403.
    fn admit(self, method: Option<(Method, Option<Scope>)>) -> Result<Method, ServiceError> {
        let Some((method, scope)) = method else {
            let detail = "there is no such method; server reflection lists those that there are";
            return Err(ServiceError::new(ErrorCode::MethodNotAllowed, detail));
        };
        if method == Method::Unsupported {
            let detail = "shared memory, trace settings and log settings are not served";
            return Err(ServiceError::new(ErrorCode::MethodNotAllowed, detail));
        }
        if let (Some(access), Some(scope)) = (&self.grpc.options.access, scope) {
            let admitted = identify(&self.parts.headers, access, self.context, scope);
            if scope == Scope::Predict
                && let Err(error) = &admitted
            {
                self.grpc.service.refused(None, error);
            }
            admitted?;
        }
        if method == Method::Administration {
            let detail = "models are loaded and unloaded over the admin listener alone";
            return Err(ServiceError::new(ErrorCode::Forbidden, detail));
        }
        Ok(method)
    }

    /// Answers a refusal; the body may not have been read to its end.
    pub(super) async fn refuse<B>(self, error: ServiceError, body: B) -> Handled
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        discard(&self.parts.headers, body).await;
        Err(error.into()).into()
    }

    /// The methods of one small message.
    async fn simple<B>(self, method: Method, mut messages: Messages<B>) -> Handled
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let mut held = self.grpc.inflight.hold();
        let service = &self.grpc.service;
        match messages.only(self.grpc, self.context, &mut held, unseen).await {
            Err(Broken::Refused(error)) => self.refuse(error, messages.into_body()).await,
            Err(gone @ Broken::ClientGone) => Err(gone).into(),
            Ok(message) => match method {
                Method::ServerLive => server::live(service, message),
                Method::ServerReady => server::ready(service, message),
                Method::ServerMetadata => server::metadata(message),
                Method::ModelReady => models::ready(service, message),
                Method::ModelMetadata => models::metadata(service, message),
                Method::ModelConfig => models::config(service, message),
                Method::ModelStatistics => models::statistics(service, message),
                Method::RepositoryIndex => models::index(service, message),
                Method::HealthCheck => health::check(service, message),
                Method::HealthList => health::list(service, message),
                _ => Err(ServiceError::new(ErrorCode::Internal, "an internal error")),
            }
            .map(Reply::Message)
            .map_err(Broken::Refused)
            .into(),
        }
    }
}

/// Reads a message as an `M`.
///
/// # Errors
/// `invalid_input`.
pub(super) fn decoded<M: Message + Default>(message: Bytes) -> Result<M, ServiceError> {
    M::decode(message).map_err(|_| {
        let detail = "expected the method's request as a protobuf message, got other bytes";
        ServiceError::new(ErrorCode::InvalidInput, detail)
    })
}
