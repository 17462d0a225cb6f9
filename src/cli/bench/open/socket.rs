//! A connection that never blocks: one request after another, each sent and its answer read as far as
//! the socket allows. Knows no clock and no schedule.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, Type};

use crate::cli::bench::answer::{self, Body, Head};

/// No answer that we ask for is longer.
const LONGEST_ANSWER: usize = 64 << 20;

/// A connection and how far its exchange is.
pub(super) struct Socket {
    stream: TcpStream,
    written: usize,
    /// The answer so far.
    buffer: Vec<u8>,
    head: Option<Head>,
    is_used: bool,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// More is to be written, once the socket takes it.
    Write,
    /// More is to be read, once it is there.
    Read,
    /// The answer is whole.
    Answered {
        /// Its status.
        status: u16,
        /// Nothing can be sent after it.
        closes: bool,
    },
    /// There will be no answer.
    Fault(&'static str),
}

impl Socket {
    /// Begins to connect.
    ///
    /// # Errors
    /// When that fails at once.
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = socket2::Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        if let Err(error) = socket.connect(&address.into())
            && error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error())
        {
            return Err(error);
        }
        Ok(Self { stream: socket.into(), written: 0, buffer: Vec::new(), head: None, is_used: false })
    }

    /// Begins the next exchange.
    pub(super) fn begin(&mut self, request: &[u8]) -> Step {
        self.written = 0;
        self.buffer.clear();
        self.head = None;
        self.write(request)
    }

    /// Goes on with it when the socket is ready for something. `scratch` holds nothing in between.
    pub(super) fn proceed(&mut self, request: &[u8], scratch: &mut [u8]) -> Step {
        let is_whole = self.written == request.len();
        let wrote = if is_whole { Step::Read } else { self.write(request) };
        // A server may answer what it has not read to its end, and close.
        match self.read(scratch) {
            Step::Answered { status, closes } => {
                Step::Answered { status, closes: closes || self.written < request.len() }
            }
            Step::Read => wrote,
            read => {
                if matches!(wrote, Step::Fault(_)) {
                    wrote
                } else {
                    read
                }
            }
        }
    }

    /// True when nothing came on a connection that waits for its next request; what comes then is its
    /// end.
    pub(super) fn is_quiet(&mut self, scratch: &mut [u8]) -> bool {
        matches!(self.stream.read(scratch), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    fn write(&mut self, request: &[u8]) -> Step {
        while self.written < request.len() {
            match self.stream.write(&request[self.written..]) {
                Ok(count) => {
                    self.written += count;
                    self.is_used = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Step::Write,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Step::Fault(if self.is_used { "closed" } else { "connect" }),
            }
        }
        Step::Read
    }

    fn read(&mut self, scratch: &mut [u8]) -> Step {
        loop {
            let count = match self.stream.read(scratch) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Step::Read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Step::Fault(if self.is_used { "closed" } else { "connect" }),
            };
            if count == 0 {
                return self.ended();
            }
            self.buffer.extend_from_slice(&scratch[..count]);
            match self.status() {
                Ok(Some((status, closes))) => return Step::Answered { status, closes },
                Err(answer::Malformed) => return Step::Fault("malformed"),
                Ok(None) if self.buffer.len() > LONGEST_ANSWER => return Step::Fault("too long"),
                // What did not fill the buffer was all that is there.
                Ok(None) if count < scratch.len() => return Step::Read,
                Ok(None) => {}
            }
        }
    }

    /// The server has closed: the end of an answer that is told by it, else none.
    fn ended(&self) -> Step {
        match self.head {
            Some(Head { status, body: Body::UntilClose, .. }) => Step::Answered { status, closes: true },
            _ => Step::Fault("closed"),
        }
    }

    /// Status of the answer and whether it closes, when it is whole.
    fn status(&mut self) -> Result<Option<(u16, bool)>, answer::Malformed> {
        if self.head.is_none() {
            self.head = answer::head(&self.buffer)?;
        }
        let Some(head) = self.head else { return Ok(None) };
        let body = &self.buffer[head.length..];
        let is_whole = match head.body {
            Body::Length(length) => body.len() >= length,
            Body::Chunked => answer::chunked(body)?.is_some(),
            Body::UntilClose => false,
        };
        Ok(is_whole.then_some((head.status, head.closes)))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
