//! The transport under a connection: notes what comes, and notices clients that leave.
//!
//! A client that has sent its request and shuts down its writing side looks like one that closed:
//! both send FIN. The first must get its answer, the second must free its work at once. So the
//! HTTP library is told to ignore the end of reading (`half_close`), and this stream, when it sees
//! the end during a request, sends the first byte of the response, `H`, ahead of the rest: a
//! client that listens loses nothing, the system of one that closed answers with a reset.
//! To see the end behind pipelined bytes, up to [`AHEAD_LIMIT`] of them are taken in beforehand;
//! with more of them waiting, a client that leaves is noticed only when its response is written.
//! Not while a request's body comes: the HTTP library reads that, in pieces as large as they may be.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::activity::Activity;
use super::gate::Gate;
use super::transport::Transport;

/// Pipelined bytes taken in while a request is handled.
const AHEAD_LIMIT: usize = 4096;
/// What every HTTP/1 response begins with.
const FIRST_BYTE: u8 = b'H';
/// First and longest wait between two looks for the reset that answers the early byte.
const PROBE_WAITS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(500));
/// After our end is shut down, how long the client may take to shut down its own. To close with
/// unread bytes is a reset, which could overtake the response.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes thrown away meanwhile.
const LINGER_BYTES: usize = 1 << 20;

/// GOAWAY without a fault: no more streams, please; those that there are, whatever their number, go on.
const GOAWAY: &[u8; 17] = b"\0\0\x08\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0";

/// A transport that keeps its connection's [`Activity`].
#[derive(Debug)]
pub(super) struct WatchedStream {
    stream: Transport,
    activity: Arc<Activity>,
    /// Sees every byte before the HTTP library does.
    gate: Gate,
    /// Bytes taken in for the HTTP library, and when the first of them came.
    ahead: Vec<u8>,
    ahead_at: u64,
    /// The HTTP library waits for bytes, so it will see the end itself.
    reader_waits: bool,
    /// The client shut down its writing side.
    ended: bool,
    probe: Option<Probe>,
    /// The early byte is out: the response goes on behind it.
    first_byte_sent: bool,
    /// What is still to be sent of a GOAWAY of ours. Begun behind a flush, which is where frames end, and
    /// brought to its end before the HTTP library writes more.
    goaway: &'static [u8],
    linger: Option<(Pin<Box<Sleep>>, usize)>,
}

#[derive(Debug)]
struct Probe {
    wait: Duration,
    tick: Pin<Box<Sleep>>,
}

impl WatchedStream {
    pub(super) fn new(stream: Transport, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            activity,
            gate: Gate::default(),
            ahead: Vec::new(),
            ahead_at: 0,
            reader_waits: false,
            ended: false,
            probe: None,
            first_byte_sent: false,
            goaway: &[],
            linger: None,
        }
    }

    /// Notices a client that leaves while its request is handled.
    ///
    /// Runs whenever the HTTP library has flushed, so all earlier responses are out.
    fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.reader_waits || !self.activity.handles_http1() {
            return Ok(());
        }
        while !self.ended {
            if self.ahead.len() >= AHEAD_LIMIT {
                return Ok(());
            }
            let mut space = [MaybeUninit::uninit(); 1024];
            let mut chunk = ReadBuf::uninit(&mut space);
            match Pin::new(&mut self.stream).poll_read(cx, &mut chunk) {
                Poll::Pending => return Ok(()),
                Poll::Ready(result) => result?,
            }
            if chunk.filled().is_empty() {
                self.ended = true;
            } else {
                if self.ahead.is_empty() {
                    self.ahead_at = self.activity.now();
                }
                self.ahead.extend_from_slice(chunk.filled());
            }
        }
        self.look_for_reset(cx)
    }

    /// Sends the first byte early, then looks now and then whether it was refused: the end of reading
    /// keeps the socket readable for good, so no event would tell.
    fn look_for_reset(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.first_byte_sent {
            match Pin::new(&mut self.stream).poll_write(cx, &[FIRST_BYTE]) {
                Poll::Pending => return Ok(()),
                Poll::Ready(result) => self.first_byte_sent = result? == 1,
            }
        }
        let probe = self
            .probe
            .get_or_insert_with(|| Probe { wait: PROBE_WAITS.0, tick: Box::pin(sleep(PROBE_WAITS.0)) });
        while probe.tick.as_mut().poll(cx).is_ready() {
            if let Some(error) = self.stream.tcp().take_error()? {
                return Err(error);
            }
            probe.wait = (probe.wait * 2).min(PROBE_WAITS.1);
            probe.tick.set(sleep(probe.wait));
        }
        Ok(())
    }

    /// Shows the gate what was read into `buffer` behind `before`.
    fn screen(&mut self, buffer: &mut ReadBuf<'_>, before: usize, at: u64) -> io::Result<()> {
        self.activity.received(&buffer.filled()[before..], at);
        self.gate
            .screen(buffer, before, (at, self.activity.written()))
            .inspect_err(|_flood| self.activity.flooded())
    }

    /// Sends what is left of a GOAWAY.
    fn write_goaway(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.goaway.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, self.goaway))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.goaway = &self.goaway[written..];
        }
        Poll::Ready(Ok(()))
    }

    /// Writes a response of which the first byte is out already.
    fn write_rest(&mut self, cx: &mut Context<'_>, response: &[u8]) -> Poll<io::Result<usize>> {
        let Some((_, rest)) = response.split_first().filter(|(first, _)| **first == FIRST_BYTE) else {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        };
        let rest_written =
            if rest.is_empty() { 0 } else { ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? };
        self.first_byte_sent = false;
        Poll::Ready(Ok(rest_written + 1))
    }
}

impl Drop for WatchedStream {
    fn drop(&mut self) {
        if self.activity.is_to_reset() {
            if let Err(error) = self.stream.tcp().set_zero_linger() {
                tracing::debug!(%error, "a connection could not be reset");
            }
        } else if !self.activity.is_busy() {
            self.stream.part();
        }
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.gate.refuses(buffer) {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        if !this.ahead.is_empty() {
            let count = this.ahead.len().min(buffer.remaining());
            buffer.put_slice(&this.ahead[..count]);
            this.ahead.drain(..count);
            return Poll::Ready(this.screen(buffer, before, this.ahead_at));
        }
        let result = Pin::new(&mut this.stream).poll_read(cx, buffer);
        this.reader_waits = result.is_pending();
        if buffer.filled().len() > before {
            return Poll::Ready(this.screen(buffer, before, this.activity.now()));
        } else if matches!(result, Poll::Ready(Ok(()))) && buffer.remaining() > 0 {
            this.ended = true;
        }
        result
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.first_byte_sent && !bytes.is_empty() {
            return self.write_rest(cx, bytes);
        }
        ready!(self.write_goaway(cx))?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.first_byte_sent {
            let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
            return self.poll_write(cx, first);
        }
        ready!(self.write_goaway(cx))?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.takes_goaway() {
            self.goaway = GOAWAY;
        }
        ready!(self.write_goaway(cx))?;
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        Poll::Ready(self.watch(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            this.activity.linger();
        }
        let (deadline, dropped) = this.linger.get_or_insert_with(|| (Box::pin(sleep(LINGER)), 0));
        while !this.ended && *dropped < LINGER_BYTES && deadline.as_mut().poll(cx).is_pending() {
            let mut space = [MaybeUninit::uninit(); 4096];
            let mut chunk = ReadBuf::uninit(&mut space);
            // The response is out, so what fails now is nobody's loss.
            let alive = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut chunk)).is_ok();
            *dropped += chunk.filled().len();
            this.ended = !alive || chunk.filled().is_empty();
        }
        Poll::Ready(Ok(()))
    }
}
