//! Reads a request's body once, whole, within every bound: size on the wire and unpacked, time, bytes
//! over all requests.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, EXPECT};
use http_body_util::BodyExt;

use super::collect::Collected;
use super::context::RequestContext;
use super::inflate::{self, Encoding};
use super::inflight::HeldBytes;
use super::{Api, HttpOptions};
use crate::service::{ErrorCode, ServiceError};

/// A body in memory; what it holds is given back when this is dropped.
pub(super) struct HeldBody {
    pub(super) bytes: Bytes,
    held: HeldBytes,
}

impl HeldBody {
    /// Holds `bytes` more, for what was made of the body, until the request is answered.
    ///
    /// # Errors
    /// `overloaded`.
    pub(super) fn hold_more(&mut self, bytes: u64) -> Result<(), ServiceError> {
        hold(&mut self.held, bytes)
    }
}

fn hold(held: &mut HeldBytes, bytes: u64) -> Result<(), ServiceError> {
    if held.try_add(bytes) {
        return Ok(());
    }
    Err(ServiceError::new(ErrorCode::Overloaded, "too many bytes of bodies are held"))
}

/// How long a body that nobody wants is read after an early answer.
const LINGER: Duration = Duration::from_secs(2);
/// A body of at most this many bytes is awaited for a moment after an early answer.
const SMALL: u64 = 64 << 10;
/// How long that is.
const MOMENT: Duration = Duration::from_millis(20);

/// The length that the headers claim.
pub(super) fn claimed_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Refuses a body whose claimed length is over the limit.
///
/// # Errors
/// `payload_too_large`.
pub(super) fn check_claimed_length(headers: &HeaderMap, options: &HttpOptions) -> Result<(), ServiceError> {
    match claimed_length(headers) {
        Some(length) if length > options.max_body_bytes => Err(too_large(options)),
        _ => Ok(()),
    }
}

fn too_large(options: &HttpOptions) -> ServiceError {
    let detail = format!("a body holds at most {} bytes", options.max_body_bytes);
    ServiceError::new(ErrorCode::PayloadTooLarge, detail)
}

/// Reads the whole body, unpacked where `headers` say that it is packed. Byte `align_at` of it lies
/// on a boundary of 64 bytes, unless the body came in one piece, which is used where it lies.
///
/// # Errors
/// `client_too_slow`, `payload_too_large`, `overloaded` when too much is held at once,
/// `unsupported_media_type` when its encoding is not taken, `invalid_input` when it is not what that
/// says, `invalid_json` when its chunks are malformed; or that the client went away.
pub(super) async fn read(
    api: &Api,
    context: &RequestContext,
    headers: &HeaderMap,
    body: &mut Body,
    align_at: usize,
) -> Result<HeldBody, BodyError> {
    let announced = claimed_length(headers);
    let encoding = inflate::encoding(headers)?;
    let reading = async {
        let Some(encoding) = encoding else {
            return receive(api, context, body, Collected::new(align_at, announced)).await;
        };
        let packed = receive(api, context, body, Collected::new(0, announced)).await?;
        Ok(unpack(api, encoding, &packed, align_at).await?)
    };
    match tokio::time::timeout(api.options.body_timeout, reading).await {
        Ok(result) => result,
        Err(_elapsed) => {
            let seconds = api.options.body_timeout.as_secs_f64();
            let detail = format!("the whole body must arrive within {seconds} s");
            Err(ServiceError::new(ErrorCode::ClientTooSlow, detail).into())
        }
    }
}

/// Why there is no body.
pub(super) enum BodyError {
    /// It is refused.
    Refused(ServiceError),
    /// The client went away before its end: there is nobody to answer.
    ClientGone,
}

impl From<ServiceError> for BodyError {
    fn from(error: ServiceError) -> Self {
        Self::Refused(error)
    }
}

/// A body that broke off is the client's going; one whose chunks are malformed is its fault.
fn broken(error: &axum::Error) -> BodyError {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        let malformed = error.downcast_ref::<std::io::Error>().is_some_and(|error| {
            matches!(error.kind(), std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData)
        });
        if malformed {
            return ServiceError::new(ErrorCode::InvalidJson, "the body's chunks are malformed").into();
        }
        source = error.source();
    }
    BodyError::ClientGone
}

/// Takes the body off the wire.
async fn receive(
    api: &Api,
    context: &RequestContext,
    body: &mut Body,
    mut collected: Collected,
) -> Result<HeldBody, BodyError> {
    let mut held = api.inflight.hold();
    let mut first: Option<Bytes> = None;
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        if data.is_empty() {
            continue;
        }
        let is_first = length == 0;
        length += data.len() as u64;
        context.body_came(length);
        if length > api.options.max_body_bytes {
            return Err(too_large(&api.options).into());
        }
        hold(&mut held, data.len() as u64)?;
        if is_first {
            first = Some(data);
            continue;
        }
        if let Some(start) = first.take() {
            collected.push(&start);
        }
        collected.push(&data);
    }
    // A body in one piece, the usual case, is used where it lies.
    Ok(HeldBody { bytes: first.unwrap_or_else(|| collected.into_bytes()), held })
}

/// Unpacks a body; `packed` is held until that is done, what comes out from then on.
async fn unpack(
    api: &Api,
    encoding: Encoding,
    packed: &HeldBody,
    align_at: usize,
) -> Result<HeldBody, ServiceError> {
    let mut held = api.inflight.hold();
    let mut collected = Collected::new(align_at, None);
    let mut length = 0;
    let take = |piece: &[u8]| {
        length += piece.len() as u64;
        if length > api.options.max_body_bytes {
            return Err(too_large(&api.options));
        }
        hold(&mut held, piece.len() as u64)?;
        collected.push(piece);
        Ok(())
    };
    inflate::inflate(encoding, &packed.bytes, take).await?;
    Ok(HeldBody { bytes: collected.into_bytes(), held })
}

/// Takes a body that nobody wants off the connection; true when all of it is gone, so that the
/// connection can serve another request.
///
/// A small body is mostly there already and is awaited for a moment. Of others the rest is read and
/// dropped for a short while in the background: closing with unread bytes would reset the
/// connection and might lose the answer.
pub(super) async fn discard(headers: &HeaderMap, mut body: Body) -> bool {
    if http_body::Body::is_end_stream(&body) {
        return true;
    }
    if headers.contains_key(EXPECT) {
        return false;
    }
    if claimed_length(headers).is_some_and(|length| length <= SMALL) {
        let whole = async { while let Some(Ok(_frame)) = body.frame().await {} };
        if tokio::time::timeout(MOMENT, whole).await.is_ok() {
            return true;
        }
    }
    tokio::spawn(async move {
        let dropping = async { while let Some(Ok(_frame)) = body.frame().await {} };
        // Over time is as good as done: the connection closes either way.
        let _elapsed = tokio::time::timeout(LINGER, dropping).await;
    });
    false
}
