//! What the connection room is told, and whom it tells.

use std::sync::Arc;
use std::time::Duration;

use super::tls::Tls;

/// Streams that one HTTP/2 connection may have open at once.
pub const H2_MAX_CONCURRENT_STREAMS: u32 = 256;
/// Silence after which an HTTP/2 peer is pinged.
pub const H2_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long such a ping may stay unanswered before the peer counts as dead.
pub const H2_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Streams opened and reset by the peer before we took them; beyond it the connection is closed.
pub const H2_MAX_PENDING_RESETS: usize = 20;
/// Bytes that the peer may send on one HTTP/2 connection before we read them.
pub(super) const H2_CONNECTION_WINDOW: u32 = 1 << 20;
/// The same of one stream: a part of the connection's, so that a stream which is not read for now leaves
/// room for the others (RFC 9113, section 5.2.1).
pub(super) const H2_STREAM_WINDOW: u32 = H2_CONNECTION_WINDOW / 4;

/// The smallest buffer that the HTTP/1.1 library accepts.
const SMALLEST_HEADER_BUFFER: usize = 8 * 1024;

/// Limits on connections: how many, how long, how large their headers; and what they begin with.
#[derive(Clone, Debug)]
pub struct ConnectionOptions {
    /// Connections open at once.
    pub max_connections: usize,
    /// From the connection's start, or a later header's first byte, to the header's end. The
    /// handshake is within it.
    pub header_timeout: Duration,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// During which a response that waits for the client must get at least something across.
    pub write_timeout: Duration,
    /// Size of a header; 431 beyond it. Less than 8 KiB counts as 8 KiB.
    pub max_header_bytes: usize,
    /// With what handshakes are made; none = plain connections.
    pub tls: Option<Arc<Tls>>,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            max_header_bytes: 64 * 1024,
            tls: None,
        }
    }
}

impl ConnectionOptions {
    /// The header limit in the form that the HTTP/1.1 library takes.
    pub(super) fn header_buffer(&self) -> usize {
        self.max_header_bytes.max(SMALLEST_HEADER_BUFFER)
    }

    /// The same for HTTP/2's header list.
    pub(super) fn header_list(&self) -> u32 {
        u32::try_from(self.max_header_bytes).unwrap_or(u32::MAX)
    }

    /// The shortest timeout: a deadline made later than now is never due before now plus this.
    pub(super) fn shortest_timeout(&self) -> Duration {
        self.header_timeout.min(self.idle_timeout).min(self.write_timeout)
    }
}

/// Why a connection was closed, or not taken, other than by its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionErrorKind {
    /// The header did not come, or not whole, in time.
    HeaderTimeout,
    /// The client did not take its response.
    WriteTimeout,
    /// The handshake failed, or was not whole in the time for a header.
    Tls,
    /// What came is no HTTP, or beyond the library's limits: its own 400, 414 and 431.
    Protocol,
    /// Refused, or an idle one closed in favour of a new one, because too many are open.
    Limit,
    /// The system gave us no connection, mostly for want of descriptors.
    Accept,
    /// An HTTP/2 peer flooded us with streams, resets, continuations, or frames that carry nothing.
    ResetFlood,
}

/// Hears what happens to connections. Calls must be cheap and must not block.
pub trait ConnectionObserver: Send + Sync + 'static {
    /// A connection was taken.
    fn opened(&self);
    /// A connection that was taken is gone.
    fn closed(&self);
    /// A connection without requests in flight has one now.
    fn busy(&self);
    /// The last request in flight on a connection has ended.
    fn idle(&self);
    /// Something went wrong on, or for want of, a connection.
    fn error(&self, kind: ConnectionErrorKind);
    /// A connection with a request in flight was cut.
    fn forced(&self);
}

/// How serving ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServeReport {
    /// Connections cut with a request in flight.
    pub forced: usize,
}
