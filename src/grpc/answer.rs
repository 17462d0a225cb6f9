//! The bodies of answers: a message and the status behind it, a stream of them, or nothing where the
//! headers carry the status.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;
use prost::Message;

use super::status;
use super::stream::Replies;
use crate::exchange::AnswerEnd;

/// Bytes before a message.
const PREFIX: usize = 5;

/// A message with its prefix, in pieces that lie where they were made.
#[derive(Debug)]
pub(super) struct Encoded {
    first: Bytes,
    rest: VecDeque<Bytes>,
}

impl Encoded {
    /// `message` whole.
    pub(super) fn of(message: &impl Message) -> Self {
        Self::in_pieces(message, VecDeque::new())
    }

    /// `message`, and behind it the bytes of `rest`, which are fields of it too.
    pub(super) fn in_pieces(message: &impl Message, rest: VecDeque<Bytes>) -> Self {
        let length = message.encoded_len();
        let behind: usize = rest.iter().map(Bytes::len).sum();
        let mut first = BytesMut::with_capacity(PREFIX + length);
        first.put_u8(0);
        // No answer of 4 GiB or more fits the protocol; the client will say so.
        first.put_u32(u32::try_from(length + behind).unwrap_or(u32::MAX));
        // The buffer grows: this cannot fail.
        let _written = message.encode(&mut first);
        Self { first: first.freeze(), rest }
    }

    /// The next piece.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        if self.first.is_empty() {
            return self.rest.pop_front();
        }
        Some(std::mem::take(&mut self.first))
    }
}

/// An answer's body. The exchange is over when it is at its end or dropped.
pub struct Answer {
    content: Content,
    end: Option<AnswerEnd>,
}

enum Content {
    /// The status stands in the headers, or is out.
    Nothing,
    Message(Encoded),
    Stream(Box<Replies>),
}

impl Answer {
    /// Nothing: the headers carry the status. Without an end the call counts as given up.
    pub(super) fn nothing(end: Option<AnswerEnd>) -> Self {
        Self { content: Content::Nothing, end }
    }

    /// One message, then that all is well.
    pub(super) fn message(message: Encoded, end: AnswerEnd) -> Self {
        Self { content: Content::Message(message), end: Some(end) }
    }

    /// Messages as they are made.
    pub(super) fn stream(replies: Replies, end: AnswerEnd) -> Self {
        Self { content: Content::Stream(Box::new(replies)), end: Some(end) }
    }

    fn data(&mut self, piece: Bytes) -> Frame<Bytes> {
        if let Some(end) = &mut self.end {
            end.sent(piece.len() as u64);
        }
        Frame::data(piece)
    }

    fn trailers(&mut self, trailers: HeaderMap) -> Frame<Bytes> {
        self.content = Content::Nothing;
        Frame::trailers(trailers)
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let frame = match &mut this.content {
            Content::Nothing => return Poll::Ready(None),
            Content::Message(message) => match message.pop() {
                Some(piece) => this.data(piece),
                None => this.trailers(status::ok()),
            },
            Content::Stream(replies) => match std::task::ready!(replies.poll_next(context)) {
                Ok(piece) => this.data(piece),
                Err(ended) => {
                    let trailers = ended.trailers(this.end.as_mut());
                    this.trailers(trailers)
                }
            },
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Nothing)
    }
}
