//! What one connection is doing, and by when it must have done something else.
//!
//! Written by the stream (bytes), the request guards (requests) and the accept loop (phase); read by
//! the connection's driver, which closes it when a deadline has passed, and by the accept loop when
//! it looks for connections that nobody uses. Times are nanoseconds since the connection was opened,
//! so that noting one costs a clock reading and a store; 0 = not at all.
//!
//! Bytes are seen, not parsed. So a piece of a header that came in one read with the request before
//! it is not known of: that connection counts as idle, until the next bytes come.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::options::{ConnectionErrorKind, ConnectionOptions};
use crate::shutdown::Phase;

const H2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// In place of the number of preface bytes seen: this is HTTP/1.1.
const NOT_H2: u8 = u8::MAX;
/// An HTTP/2 write below this is taken for control frames (a ping is 17 bytes), which are no progress.
const H2_PAYLOAD_BYTES: usize = 128;
/// While stopping, an HTTP/2 connection without requests that is silent for this long is done.
const STOPPING_SILENCE: Duration = Duration::from_secs(1);

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Requests whose response has not begun.
    handling: AtomicUsize,
    /// Bodies of requests that are still being handed over.
    coming: AtomicUsize,
    /// Requests whose response has begun and waits for its maker.
    producing: AtomicUsize,
    /// Requests whose response waits for the transport to take more.
    sending: AtomicUsize,
    /// Requests in flight, in whatever stage.
    in_flight: AtomicUsize,
    /// Requests so far.
    requests: AtomicU64,
    /// First byte of a header that is not whole yet.
    header: AtomicU64,
    /// Last bytes received.
    received: AtomicU64,
    /// Last time that a request ended or a response moved on.
    progress: AtomicU64,
    /// Since when the socket takes no more.
    blocked: AtomicU64,
    /// Bytes that the socket took so far.
    written: AtomicU64,
    /// Bytes of the HTTP/2 preface seen, or [`NOT_H2`].
    preface: AtomicU8,
    /// The response is out and the client's end of the connection is awaited.
    lingering: AtomicBool,
    /// To be closed by a reset: the client takes nothing, so what is unsent is not worth keeping.
    reset: AtomicBool,
    /// An HTTP/2 peer sent more idle frames than it is due.
    flooded: AtomicBool,
    /// GOAWAY is to be sent.
    goaway: AtomicBool,
    phase: AtomicU8,
    /// Wakes the driver when the phase changes.
    waker: OnceLock<Waker>,
}

/// What the driver's clock finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again then.
    Look(Instant),
    /// Close, and count this if it is an error.
    Close(Option<ConnectionErrorKind>),
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The handler is at work; nothing of the response is there.
    Handling,
    /// The maker of the response's body is at work.
    Producing,
    /// The transport holds a piece of the response and has not come back for more.
    Sending,
}

impl Activity {
    pub(super) fn new(phase: Phase) -> Self {
        Self {
            opened: Instant::now(),
            handling: AtomicUsize::new(0),
            coming: AtomicUsize::new(0),
            producing: AtomicUsize::new(0),
            sending: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            header: AtomicU64::new(0),
            received: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            written: AtomicU64::new(0),
            preface: AtomicU8::new(0),
            lingering: AtomicBool::new(false),
            reset: AtomicBool::new(false),
            flooded: AtomicBool::new(false),
            goaway: AtomicBool::new(false),
            phase: AtomicU8::new(phase as u8),
            waker: OnceLock::new(),
        }
    }

    /// The time now, in this connection's nanoseconds; never 0.
    pub(super) fn now(&self) -> u64 {
        self.nanos(Instant::now())
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.opened).as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    fn instant(&self, nanos: u64) -> Instant {
        self.opened + Duration::from_nanos(nanos)
    }

    // === the stream ===

    /// `bytes` came at `at`.
    pub(super) fn received(&self, bytes: &[u8], at: u64) {
        self.received.store(at, Relaxed);
        if self.is_h2() || self.completes_preface(bytes) {
            return;
        }
        // Some clients send an empty line after a body; it begins no header.
        let begins = || bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n'));
        if self.header.load(Relaxed) == 0 && !self.in_request() && begins() {
            self.header.store(at, Relaxed);
        }
    }

    fn completes_preface(&self, bytes: &[u8]) -> bool {
        let seen = self.preface.load(Relaxed);
        if seen == NOT_H2 {
            return false;
        }
        let due = &H2_PREFACE[usize::from(seen)..];
        let common = due.len().min(bytes.len());
        if due[..common] != bytes[..common] {
            self.preface.store(NOT_H2, Relaxed);
            return false;
        }
        let whole = common == due.len();
        self.preface.store(seen + u8::try_from(common).unwrap_or(NOT_H2), Relaxed);
        if whole {
            self.header.store(0, Relaxed);
            self.progress.store(self.now(), Relaxed);
        }
        whole
    }

    /// The socket took `bytes`.
    pub(super) fn wrote(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Relaxed);
        if self.blocked.load(Relaxed) != 0 {
            self.blocked.store(0, Relaxed);
        }
        if !self.is_h2() || bytes >= H2_PAYLOAD_BYTES {
            self.progress.store(self.now(), Relaxed);
        }
    }

    /// Bytes that the socket took so far.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// The socket takes no more.
    pub(super) fn write_blocked(&self) {
        if self.blocked.load(Relaxed) == 0 {
            self.blocked.store(self.now(), Relaxed);
        }
    }

    /// We are done; the client has to hang up. The stream limits how long that may take.
    pub(super) fn linger(&self) {
        self.lingering.store(true, Relaxed);
    }

    /// The peer floods us; the stream has failed for it.
    pub(super) fn flooded(&self) {
        self.flooded.store(true, Relaxed);
    }

    /// Whether the peer flooded us.
    pub(super) fn is_flooded(&self) -> bool {
        self.flooded.load(Relaxed)
    }

    /// Whether to close by a reset.
    pub(super) fn is_to_reset(&self) -> bool {
        self.reset.load(Relaxed)
    }

    /// Has the stream send GOAWAY.
    pub(super) fn say_goaway(&self) {
        self.goaway.store(true, Relaxed);
    }

    /// Whether GOAWAY is to be sent; true once.
    pub(super) fn takes_goaway(&self) -> bool {
        self.goaway.load(Relaxed) && self.goaway.swap(false, Relaxed)
    }

    // === requests ===

    /// A request is handed to the service; returns when it began.
    pub(super) fn begin(&self) -> Instant {
        let header = self.header.swap(0, Relaxed);
        let read = self.received.load(Relaxed);
        let began = match (self.is_h2(), header, read) {
            (true, ..) | (false, 0, 0) => self.now(),
            // Its bytes came behind the request before it.
            (false, 0, read) => read,
            (false, header, _) => header,
        };
        self.handling.fetch_add(1, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.instant(began)
    }

    /// A request's body is handed over piece by piece from now on.
    pub(super) fn body_comes(&self) {
        self.coming.fetch_add(1, Relaxed);
    }

    /// A request's body is at its end, or wanted no more.
    pub(super) fn body_ended(&self) {
        self.coming.fetch_sub(1, Relaxed);
    }

    /// One more request is in flight; true when it is the only one.
    pub(super) fn enter(&self) -> bool {
        self.in_flight.fetch_add(1, Relaxed) == 0
    }

    /// One request less is in flight; true when it was the last one.
    pub(super) fn leave(&self) -> bool {
        self.in_flight.fetch_sub(1, Relaxed) == 1
    }

    /// A request goes from one stage to another.
    pub(super) fn shift(&self, from: Stage, to: Stage) {
        // In this order the request is never seen as absent.
        self.count(to).fetch_add(1, Relaxed);
        self.end(from);
    }

    /// A request ends in `stage`.
    pub(super) fn end(&self, stage: Stage) {
        self.progress.store(self.now(), Relaxed);
        self.count(stage).fetch_sub(1, Relaxed);
    }

    fn count(&self, stage: Stage) -> &AtomicUsize {
        match stage {
            Stage::Handling => &self.handling,
            Stage::Producing => &self.producing,
            Stage::Sending => &self.sending,
        }
    }

    // === those who look on ===

    /// Whether the connection speaks HTTP/2.
    pub(super) fn is_h2(&self) -> bool {
        usize::from(self.preface.load(Relaxed)) == H2_PREFACE.len()
    }

    /// Whether an HTTP/1.1 handler is at work, so nothing of its response is written, and no body
    /// comes, so that the HTTP library reads nothing.
    pub(super) fn handles_http1(&self) -> bool {
        self.handling.load(Relaxed) > 0 && self.coming.load(Relaxed) == 0 && !self.is_h2()
    }

    /// Whether the service has something to do for this connection.
    fn at_work(&self) -> bool {
        self.handling.load(Relaxed) > 0 || self.producing.load(Relaxed) > 0
    }

    fn in_request(&self) -> bool {
        self.at_work() || self.sending.load(Relaxed) > 0
    }

    /// Whether a request or the rest of a response would be lost by closing now.
    pub(super) fn is_busy(&self) -> bool {
        self.in_request() || self.blocked.load(Relaxed) != 0
    }

    /// Whether we only wait for the client to hang up.
    pub(super) fn is_lingering(&self) -> bool {
        self.lingering.load(Relaxed)
    }

    /// Whether a request has come yet.
    pub(super) fn has_served(&self) -> bool {
        self.requests.load(Relaxed) > 0
    }

    /// Since when the connection waits for its client, if it does.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        let header = self.header.load(Relaxed);
        let since = if header == 0 { self.progress.load(Relaxed) } else { header };
        (!self.is_busy()).then(|| self.instant(since))
    }

    /// The phase that the accept loop told last.
    pub(super) fn is_at(&self, phase: Phase) -> bool {
        self.phase.load(Relaxed) >= phase as u8
    }

    /// Tells the connection of a phase.
    pub(super) fn tell(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Keeps the driver's waker. It is a task of its own, so its waker stays the same.
    pub(super) fn keep_waker(&self, waker: &Waker) {
        self.waker.get_or_init(|| waker.clone());
    }

    /// What the connection's deadlines say at `now`.
    pub(super) fn verdict(&self, now: Instant, options: &ConnectionOptions) -> Verdict {
        let stopping = self.is_at(Phase::Stopping);
        // Every deadline made from here on lies at least this far ahead.
        let ahead = if stopping { STOPPING_SILENCE } else { Duration::MAX }.min(options.shortest_timeout());
        let look = now + ahead.max(Duration::from_millis(1));
        match self.deadline(options, stopping) {
            Some((due, kind)) if due <= now => {
                self.reset.store(kind == Some(ConnectionErrorKind::WriteTimeout), Relaxed);
                Verdict::Close(kind)
            }
            Some((due, _)) => Verdict::Look(look.min(due)),
            None => Verdict::Look(look),
        }
    }

    fn deadline(
        &self,
        options: &ConnectionOptions,
        stopping: bool,
    ) -> Option<(Instant, Option<ConnectionErrorKind>)> {
        let blocked = self.blocked.load(Relaxed);
        let header = self.header.load(Relaxed);
        let progress = self.progress.load(Relaxed);
        let (since, timeout, kind) = if self.is_lingering() {
            return None;
        } else if blocked != 0 {
            (blocked, options.write_timeout, Some(ConnectionErrorKind::WriteTimeout))
        } else if self.at_work() {
            return None;
        } else if self.sending.load(Relaxed) > 0 {
            // The socket takes bytes but the client's HTTP/2 windows are shut.
            (progress, options.write_timeout, Some(ConnectionErrorKind::WriteTimeout))
        } else if header != 0 {
            (header, options.header_timeout, Some(ConnectionErrorKind::HeaderTimeout))
        } else if !self.has_served() && !self.is_h2() {
            (0, options.header_timeout, Some(ConnectionErrorKind::HeaderTimeout))
        } else if stopping {
            (progress.max(self.received.load(Relaxed)), STOPPING_SILENCE, None)
        } else {
            (progress, options.idle_timeout, None)
        };
        Some((self.instant(since) + timeout, kind))
    }
}
