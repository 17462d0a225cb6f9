//! `POST /v2/models/{model}[/versions/{version}]/infer`: the Open Inference Protocol's inference,
//! in JSON and with the binary tensor data extension.

mod answer;
mod data;
mod envelope;
mod flat;
mod numbers;
mod raw;
mod request;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, VARY};
use http::{HeaderMap, HeaderValue, Request};
use http_body::{Frame, SizeHint};

use crate::exchange::{RequestContext, content_encoding, whole_number};
use crate::http::predict::{self, Taken};
use crate::http::problem::Failure;
use crate::http::target::Target;
use crate::http::{Api, compress};
use crate::model::TaskKind;
use crate::service::{Model, ServiceError, Wanted};
use answer::Encoded;
use request::Layout;
pub use request::decode_inference;

/// How many bytes of a body are JSON; the others are raw tensors.
const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// Answers an inference.
pub(super) async fn infer(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    target: Target,
    request: Request<Body>,
) -> Response {
    handle(&api, &context, &target, request).await
}

/// The same for who has found by itself what the router would have told.
pub(in crate::http) async fn handle(
    api: &Api,
    context: &RequestContext,
    target: &Target,
    request: Request<Body>,
) -> Response {
    // Raw tensors begin where the JSON ends.
    let align_at = json_length(request.headers()).ok().flatten().unwrap_or(0);
    let (parts, taken) = match predict::take(api, context, target, request, (any_type, align_at)).await {
        Ok(taken) => taken,
        Err(response) => return response,
    };
    let Taken { model, mut held, schedule, .. } = taken;
    let raw_at = Some(align_at).filter(|&at| at > 0);
    let work = model.facts.bytes_to_decode(raw_at, held.bytes.len());
    let prediction = predict::inference(context, model, schedule, work);
    let read = |model: &Model, limits: &_| {
        let layout = Layout::of(json_length(&parts.headers)?);
        let (inputs, wanted) = request::decode(&held.bytes, layout, model.facts.input_rules(), limits)?;
        held.hold_more(inputs.bytes())?;
        Ok((inputs, wanted))
    };
    let inferred = api.service.infer(prediction, read, (Wanted::work, answer::encode)).await;
    let mut response = match inferred.result {
        Ok(encoded) => respond(encoded, &parts.headers).await,
        Err(error) => Failure::from(error).into_response(),
    };
    predict::tell_timing(&mut response, &inferred.timeline);
    response
}

/// The protocol's clients declare what they like: only the encoding is looked at.
fn any_type(headers: &HeaderMap, _: Option<TaskKind>) -> Result<(), ServiceError> {
    content_encoding(headers).map(|_| ())
}

/// The length of the JSON, where a header tells it.
fn json_length(headers: &HeaderMap) -> Result<Option<usize>, ServiceError> {
    let length = whole_number(headers, &HEADER_LENGTH, "a whole number of bytes, 0 or more")?;
    Ok(length.map(|length| usize::try_from(length).unwrap_or(usize::MAX)))
}

/// The answer, packed where the caller takes that. The length of the JSON is that before packing.
async fn respond(encoded: Encoded, asked: &HeaderMap) -> Response {
    let mut headers = HeaderMap::new();
    let mut parts = encoded.parts;
    let encoding = compress::negotiated(asked);
    if encoding.is_some() {
        parts = vec![compress::compress(encoding, joined(parts), &mut headers).await];
    } else {
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    let content_type = if let Some(json_length) = encoded.json_length {
        headers.insert(HEADER_LENGTH, HeaderValue::from(json_length));
        "application/octet-stream"
    } else {
        "application/json"
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let mut response = Response::new(body(parts));
    *response.headers_mut() = headers;
    response
}

fn joined(parts: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(parts) {
        Ok([whole]) => whole,
        Err(parts) => parts.concat().into(),
    }
}

fn body(parts: Vec<Bytes>) -> Body {
    match <[Bytes; 1]>::try_from(parts) {
        Ok([whole]) => whole.into(),
        Err(parts) => {
            let left = parts.iter().map(|part| part.len() as u64).sum();
            Body::new(Parts { left, parts: parts.into() })
        }
    }
}

/// A body of pieces that lie where they were made.
struct Parts {
    parts: VecDeque<Bytes>,
    left: u64,
}

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = std::iter::from_fn(|| self.parts.pop_front()).find(|part| !part.is_empty());
        self.left -= next.as_ref().map_or(0, |part| part.len() as u64);
        Poll::Ready(next.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
