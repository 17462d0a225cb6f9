//! Reads a request's body once, whole, within every bound: size on the wire and unpacked, time, bytes
//! over all requests.

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;

use super::{Api, HttpOptions};
use crate::exchange::{
    Collected, HeldBytes, RequestContext, claimed_length, content_encoding, too_large, unpack,
};
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
        self.held.hold_more(bytes)
    }
}

/// Refuses a body whose claimed length is over the limit.
///
/// # Errors
/// `payload_too_large`.
pub(super) fn check_claimed_length(headers: &HeaderMap, options: &HttpOptions) -> Result<(), ServiceError> {
    match claimed_length(headers) {
        Some(length) if length > options.max_body_bytes => Err(too_large(options.max_body_bytes)),
        _ => Ok(()),
    }
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
    let encoding = content_encoding(headers)?;
    let reading = async {
        let Some(encoding) = encoding else {
            return receive(api, context, body, Collected::new(align_at, announced)).await;
        };
        let packed = receive(api, context, body, Collected::new(0, announced)).await?;
        let mut held = api.inflight.hold();
        let bytes =
            unpack(encoding, &packed.bytes, (&mut held, api.options.max_body_bytes), align_at).await?;
        Ok(HeldBody { bytes, held })
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
            return Err(too_large(api.options.max_body_bytes).into());
        }
        held.hold_more(data.len() as u64)?;
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
