//! The handshake of one connection, in the connection's own task.
//!
//! Invariant: it ends within the time that a first header has; what cannot be understood is told by
//! an alert of TLS and never answered in plain text.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Tls;
use crate::http::connection::activity::Activity;
use crate::http::connection::options::{ConnectionErrorKind, ConnectionOptions};
use crate::http::connection::stream::WatchedStream;
use crate::http::connection::transport::{Socket, Transport};
use crate::shutdown::Phase;

/// Makes TLS of a connection.
///
/// # Errors
/// The kind to count when the client failed; none when it only went away, or we did.
pub(in crate::http::connection) async fn handshake(
    socket: Socket,
    tls: &Tls,
    options: &ConnectionOptions,
    activity: &Arc<Activity>,
) -> Result<Transport, Option<ConnectionErrorKind>> {
    let mut shaking = pin!(timeout(options.header_timeout, shake(socket, tls, activity)));
    poll_fn(|cx| {
        activity.keep_waker(cx.waker());
        if activity.is_at(Phase::Stopping) {
            return Poll::Ready(Err(None));
        }
        shaking.as_mut().poll(cx).map(|done| done.unwrap_or(Err(Some(ConnectionErrorKind::Tls))))
    })
    .await
}

async fn shake(
    socket: Socket,
    tls: &Tls,
    activity: &Arc<Activity>,
) -> Result<Transport, Option<ConnectionErrorKind>> {
    // Whoever only looks whether the port is open has done nothing wrong.
    if !matches!(socket.tcp.peek(&mut [0]).await, Ok(1..)) {
        return Err(None);
    }
    match TlsAcceptor::from(tls.config()).accept(socket).into_fallible().await {
        Ok(stream) => Ok(Transport::Tls(Box::new(stream))),
        Err((error, socket)) => {
            tracing::debug!(%error, "a handshake failed");
            // The alert is out; to close with unread bytes would be a reset, which could overtake it.
            let mut socket = WatchedStream::new(Transport::Plain(socket), Arc::clone(activity));
            drop(socket.shutdown().await);
            Err(Some(ConnectionErrorKind::Tls))
        }
    }
}
