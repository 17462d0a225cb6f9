//! Connections: taken, bounded in number and time, served as HTTP/1.1 or HTTP/2, and brought to an end.
//!
//! Called by `app` with a listener and a service per port. Knows TCP, TLS and the HTTP library, nothing of
//! routes or models. Time limits here are those of the transport: a header that does not come, a
//! client that does not read, a connection nobody uses. While a handler is at work none of them runs;
//! the time that a body or an answer may take is the service's to limit.

mod accept;
mod activity;
mod bind;
mod drive;
mod frames;
mod gate;
mod options;
mod repoll;
mod request;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod transport;

pub use accept::{Listening, serve, spawn};
pub use bind::{bind, raise_descriptor_limit};
pub use options::{
    ConnectionErrorKind, ConnectionObserver, ConnectionOptions, H2_KEEPALIVE_INTERVAL, H2_KEEPALIVE_TIMEOUT,
    H2_MAX_CONCURRENT_STREAMS, H2_MAX_PENDING_RESETS, ServeReport,
};
pub use request::RequestBody;
pub use tls::{Tls, TlsFiles, TlsProblem};
