//! Where a request came from and when it began, as the connection tells it by the request's
//! extensions.

use std::net::SocketAddr;
use std::time::Instant;

/// Request extension: the two ends of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// The client's end.
    pub peer: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// Whether it is encrypted.
    pub is_tls: bool,
}

/// Request extension: when the request's first header byte was read.
///
/// HTTP/1.1 requests that came behind another in one read share that read's time; for HTTP/2 it is
/// the time when the whole header was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestStart(pub Instant);

/// Request extension: the address as the client wrote it, where the router was given another.
#[derive(Clone, Debug)]
pub struct SentUri(pub http::Uri);
