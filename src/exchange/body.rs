//! What every protocol does with bodies: how long they say that they are, how they are unpacked within
//! every bound, and how one that nobody wants is taken off the connection.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, EXPECT};
use http_body::Body;
use http_body_util::BodyExt as _;

use super::collect::Collected;
use super::inflate::{self, Encoding};
use super::inflight::HeldBytes;
use crate::service::{ErrorCode, ServiceError};

/// How long a body that nobody wants is read after an early answer.
const LINGER: Duration = Duration::from_secs(2);
/// A body of at most this many bytes is awaited for a moment after an early answer.
const SMALL: u64 = 64 << 10;
/// How long that is.
const MOMENT: Duration = Duration::from_millis(20);

/// The length that the headers claim.
pub fn claimed_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The refusal of a body of more than `max_bytes`.
pub fn too_large(max_bytes: u64) -> ServiceError {
    let detail = format!("a body holds at most {max_bytes} bytes");
    ServiceError::new(ErrorCode::PayloadTooLarge, detail)
}

/// Unpacks a body of which byte `align_at` shall lie on a boundary of 64 bytes; what comes out is held,
/// at most so many bytes of it.
///
/// # Errors
/// `payload_too_large`, `overloaded`, `invalid_input` when it is not what `encoding` says.
pub async fn unpack(
    encoding: Encoding,
    packed: &[u8],
    (held, max_bytes): (&mut HeldBytes, u64),
    align_at: usize,
) -> Result<Bytes, ServiceError> {
    let mut collected = Collected::new(align_at, None);
    let mut length = 0;
    let take = |piece: &[u8]| {
        length += piece.len() as u64;
        if length > max_bytes {
            return Err(too_large(max_bytes));
        }
        held.hold_more(piece.len() as u64)?;
        collected.push(piece);
        Ok(())
    };
    inflate::inflate(encoding, packed, take).await?;
    Ok(collected.into_bytes())
}

/// Takes a body that nobody wants off the connection; true when all of it is gone, so that the
/// connection can serve another request.
///
/// A small body is mostly there already and is awaited for a moment. Of others the rest is read and
/// dropped for a short while in the background: closing with unread bytes would reset the
/// connection and might lose the answer.
pub async fn discard<B>(headers: &HeaderMap, mut body: B) -> bool
where
    B: Body<Data: Send> + Send + Unpin + 'static,
{
    if body.is_end_stream() {
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
