//! Messages off the wire: five bytes (whether it is packed, its length) before each.
//!
//! Invariant: memory follows what has come, never what a length claims, and all of it is counted.

use bytes::Bytes;
use http::HeaderMap;
use http::header::HeaderName;
use http_body::Body;
use http_body_util::BodyExt as _;

use super::Grpc;
use crate::exchange::{Collected, Encoding, HeldBytes, RequestContext, too_large, unpack};
use crate::service::{ErrorCode, ServiceError};

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// Bytes before a message.
const PREFIX: usize = 5;

/// Why there is no message.
pub(super) enum Broken {
    /// It is refused.
    Refused(ServiceError),
    /// The client went away before its end: there is nobody to answer.
    ClientGone,
}

impl From<ServiceError> for Broken {
    fn from(error: ServiceError) -> Self {
        Self::Refused(error)
    }
}

fn invalid(detail: impl Into<String>) -> Broken {
    ServiceError::new(ErrorCode::InvalidInput, detail).into()
}

/// The messages of a call.
pub(super) struct Messages<B> {
    body: B,
    /// What has come and is not taken yet.
    chunk: Bytes,
    encoding: Option<Encoding>,
    max_bytes: u64,
    came: u64,
}

/// How messages are packed.
///
/// # Errors
/// `unsupported_media_type`.
fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, ServiceError> {
    let Some(value) = headers.get(ENCODING) else { return Ok(None) };
    let name = value.to_str().unwrap_or_default();
    if name.eq_ignore_ascii_case("identity") {
        return Ok(None);
    }
    Encoding::named(name).map(Some).ok_or_else(|| {
        let detail = "send messages plain, or with grpc-encoding gzip or deflate; no other is taken";
        ServiceError::new(ErrorCode::UnsupportedMediaType, detail)
    })
}

impl<B: Body<Data = Bytes> + Unpin> Messages<B> {
    /// The messages of `body`.
    ///
    /// # Errors
    /// `unsupported_media_type`, with the body as it was.
    pub(super) fn new(grpc: &Grpc, headers: &HeaderMap, body: B) -> Result<Self, (ServiceError, B)> {
        match encoding(headers) {
            Ok(encoding) => Ok(Self {
                body,
                chunk: Bytes::new(),
                encoding,
                max_bytes: grpc.options.max_message_bytes,
                came: 0,
            }),
            Err(error) => Err((error, body)),
        }
    }

    /// What is left of the body.
    pub(super) fn into_body(self) -> B {
        self.body
    }

    /// The call's only message, whole and in time. `foresee` sees the beginning of a message that comes in
    /// pieces, and its length, and says which of its bytes should be aligned in memory.
    ///
    /// # Errors
    /// `invalid_input` for none or several, `client_too_slow`, `payload_too_large`, `overloaded`.
    pub(super) async fn only(
        &mut self,
        grpc: &Grpc,
        context: &RequestContext,
        held: &mut HeldBytes,
        foresee: impl FnOnce(&[u8], u64) -> Result<usize, ServiceError>,
    ) -> Result<Bytes, Broken> {
        let reading = async {
            let message = self.next(held, foresee).await;
            context.body_came(self.came);
            let message = message?.ok_or_else(|| invalid("expected one message, got none"))?;
            if self.fill().await? {
                return Err(invalid("expected one message, got more"));
            }
            Ok(message)
        };
        match tokio::time::timeout(grpc.options.body_timeout, reading).await {
            Ok(result) => result,
            Err(_elapsed) => Err(too_slow(grpc).into()),
        }
    }

    /// The next message; none when there are no more. Not to be called again after an error.
    pub(super) async fn next(
        &mut self,
        held: &mut HeldBytes,
        foresee: impl FnOnce(&[u8], u64) -> Result<usize, ServiceError>,
    ) -> Result<Option<Bytes>, Broken> {
        let Some([flag, length @ ..]) = self.prefix().await? else { return Ok(None) };
        let length = u32::from_be_bytes(length);
        let encoding = match (flag, self.encoding) {
            (0, _) => None,
            (1, Some(encoding)) => Some(encoding),
            (1, None) => {
                return Err(invalid("a message is marked as packed, and grpc-encoding does not say how"));
            }
            _ => return Err(invalid("expected 0 or 1 before a message, got another byte")),
        };
        if u64::from(length) > self.max_bytes {
            return Err(too_large(self.max_bytes).into());
        }
        let message = self.take(length as usize, held, foresee).await?;
        let Some(encoding) = encoding else { return Ok(Some(message)) };
        Ok(Some(unpack(encoding, &message, (held, self.max_bytes), 0).await?))
    }

    /// Sees that there are bytes; false at the end.
    pub(super) async fn fill(&mut self) -> Result<bool, Broken> {
        while self.chunk.is_empty() {
            if self.body.is_end_stream() {
                return Ok(false);
            }
            let Some(frame) = self.body.frame().await else { return Ok(false) };
            if let Ok(data) = frame.map_err(|_gone| Broken::ClientGone)?.into_data() {
                self.came += data.len() as u64;
                self.chunk = data;
            }
        }
        Ok(true)
    }

    /// Bytes of the body so far.
    pub(super) fn came(&self) -> u64 {
        self.came
    }

    async fn prefix(&mut self) -> Result<Option<[u8; PREFIX]>, Broken> {
        let mut prefix = [0; PREFIX];
        let mut have = 0;
        while have < PREFIX {
            if !self.fill().await? {
                return if have == 0 { Ok(None) } else { Err(cut_off()) };
            }
            let piece = self.chunk.split_to(self.chunk.len().min(PREFIX - have));
            prefix[have..have + piece.len()].copy_from_slice(&piece);
            have += piece.len();
        }
        Ok(Some(prefix))
    }

    async fn take(
        &mut self,
        length: usize,
        held: &mut HeldBytes,
        foresee: impl FnOnce(&[u8], u64) -> Result<usize, ServiceError>,
    ) -> Result<Bytes, Broken> {
        // A message in one piece, the usual case, is used where it lies.
        if self.chunk.len() >= length {
            held.hold_more(length as u64)?;
            return Ok(self.chunk.split_to(length));
        }
        // Behind the prefix alone there may be nothing to look at yet.
        if !self.fill().await? {
            return Err(cut_off());
        }
        let first = self.chunk.split_to(self.chunk.len().min(length));
        held.hold_more(first.len() as u64)?;
        if first.len() == length {
            return Ok(first);
        }
        let mut collected = Collected::new(foresee(&first, length as u64)?, Some(length as u64));
        let mut have = first.len();
        collected.push(&first);
        while have < length {
            if !self.fill().await? {
                return Err(cut_off());
            }
            let piece = self.chunk.split_to(self.chunk.len().min(length - have));
            held.hold_more(piece.len() as u64)?;
            have += piece.len();
            collected.push(&piece);
        }
        Ok(collected.into_bytes())
    }
}

fn cut_off() -> Broken {
    invalid("the call ends amid a message")
}

/// The refusal of a message that does not come.
pub(super) fn too_slow(grpc: &Grpc) -> ServiceError {
    let seconds = grpc.options.body_timeout.as_secs_f64();
    let detail = format!("the whole message must arrive within {seconds} s");
    ServiceError::new(ErrorCode::ClientTooSlow, detail)
}

/// For messages that need no looking ahead.
#[expect(clippy::unnecessary_wraps, reason = "stands where others look ahead and may refuse")]
pub(super) fn unseen(_beginning: &[u8], _length: u64) -> Result<usize, ServiceError> {
    Ok(0)
}
