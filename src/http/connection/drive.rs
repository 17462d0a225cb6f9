//! One connection from its first byte to its end.
//!
//! Spawned by the accept loop. Runs the HTTP library over the watched stream, closes the connection
//! when its activity says that a deadline has passed, and leads it through the phases of the end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use axum::body::Body;
use http::{Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tower::Service;

use super::activity::{Activity, Verdict};
use super::options::{
    ConnectionErrorKind, ConnectionObserver, ConnectionOptions, H2_CONNECTION_WINDOW, H2_KEEPALIVE_INTERVAL,
    H2_KEEPALIVE_TIMEOUT, H2_MAX_CONCURRENT_STREAMS, H2_MAX_PENDING_RESETS, H2_STREAM_WINDOW,
};
use super::repoll::Repoll;
use super::request::{RequestBody, answer};
use super::stream::WatchedStream;
use super::tls::handshake;
use super::transport::{Socket, Transport};
use crate::exchange::ConnectionInfo;
use crate::shutdown::Phase;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What all connections of a listener share.
pub(super) struct Common {
    pub(super) options: ConnectionOptions,
    pub(super) observer: Arc<dyn ConnectionObserver>,
    library: auto::Builder<TokioExecutor>,
}

impl Common {
    pub(super) fn new(options: ConnectionOptions, observer: Arc<dyn ConnectionObserver>) -> Self {
        let mut library = auto::Builder::new(TokioExecutor::new());
        library
            .http1()
            .half_close(true)
            // Our own: the library's begins with the wait for the header, not with the header.
            .header_read_timeout(None)
            .max_buf_size(options.header_buffer());
        library
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(H2_KEEPALIVE_INTERVAL)
            .keep_alive_timeout(H2_KEEPALIVE_TIMEOUT)
            .max_concurrent_streams(H2_MAX_CONCURRENT_STREAMS)
            .initial_connection_window_size(H2_CONNECTION_WINDOW)
            .initial_stream_window_size(H2_STREAM_WINDOW)
            .max_pending_accept_reset_streams(H2_MAX_PENDING_RESETS)
            .max_header_list_size(options.header_list());
        Self { options, observer, library }
    }
}

/// Tells the observer of the end of a connection, however it comes.
struct Opened(Arc<dyn ConnectionObserver>);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.closed();
    }
}

/// Serves `stream` until it ends; the returned future is a task's root.
pub(super) fn drive<S>(
    stream: TcpStream,
    peer: SocketAddr,
    service: S,
    common: Arc<Common>,
    activity: Arc<Activity>,
) -> impl Future<Output = ()> + Send + 'static
where
    S: Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    common.observer.opened();
    // Made here, so that a task that is aborted before its first poll is told as closed too.
    let opened = Opened(Arc::clone(&common.observer));
    async move {
        let opened = opened;
        let local = stream.local_addr().unwrap_or(peer);
        let socket = Socket::new(stream, Arc::clone(&activity));
        let transport = match &common.options.tls {
            None => Ok(Transport::Plain(socket)),
            // Boxed: a plain connection's task shall not have its size.
            Some(tls) => Box::pin(handshake(socket, tls, &common.options, &activity)).await,
        };
        let error = match transport {
            Ok(transport) => {
                let info = ConnectionInfo { peer, local, is_tls: transport.is_tls() };
                run(transport, info, service, (&common, &activity)).await
            }
            Err(kind) => kind,
        };
        if let Some(kind) = error {
            opened.0.error(kind);
        }
    }
}

async fn run<S>(
    transport: Transport,
    info: ConnectionInfo,
    service: S,
    (common, activity): (&Common, &Arc<Activity>),
) -> Option<ConnectionErrorKind>
where
    S: Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let io = TokioIo::new(WatchedStream::new(transport, Arc::clone(activity)));
    let (marks, observer) = (Arc::clone(activity), Arc::clone(&common.observer));
    let mut connection = pin!(common.library.serve_connection(
        io,
        service_fn(move |request| answer(&service, request, &marks, (info, &observer)))
    ));
    let mut clock = pin!(tokio::time::sleep(common.options.shortest_timeout()));
    let (mut warned, mut stopping) = (false, false);
    let mut repoll = Repoll::default();
    poll_fn(|cx| {
        activity.keep_waker(cx.waker());
        loop {
            if let Poll::Ready(result) = repoll.poll(cx, |cx| connection.as_mut().poll(cx)) {
                if activity.is_flooded() {
                    return Poll::Ready(Some(ConnectionErrorKind::ResetFlood));
                }
                return Poll::Ready(result.err().and_then(|error| kind_of(&error)));
            }
            let stop = activity.is_at(Phase::Stopping);
            // A header in progress is no request yet, and a client that stalls must not hold us.
            if stop && !activity.is_busy() && !activity.is_h2() && !activity.is_lingering() {
                return Poll::Ready(None);
            }
            if stop && !stopping {
                stopping = true;
                clock.as_mut().reset(tokio::time::Instant::now());
                connection.as_mut().graceful_shutdown();
                continue;
            }
            // While draining, an HTTP/2 client may make one request of a new connection: GOAWAY is only
            // sent behind it. The stream sends it: the library's own, with its ping, would lose what a
            // client sends behind the ping's answer, and there is time for that until the stop.
            if !warned
                && !stop
                && activity.is_at(Phase::Draining)
                && activity.is_h2()
                && activity.has_served()
            {
                warned = true;
                activity.say_goaway();
                continue;
            }
            break;
        }
        while clock.as_mut().poll(cx).is_ready() {
            match activity.verdict(Instant::now(), &common.options) {
                Verdict::Close(kind) => return Poll::Ready(kind),
                Verdict::Look(at) => clock.as_mut().reset(at.into()),
            }
        }
        Poll::Pending
    })
    .await
}

/// Which of our kinds the HTTP library's error is; none for clients that just went away.
fn kind_of(error: &BoxError) -> Option<ConnectionErrorKind> {
    if error.downcast_ref::<io::Error>().is_some() {
        return None;
    }
    let error = error.downcast_ref::<hyper::Error>()?;
    if error.is_parse() {
        return Some(ConnectionErrorKind::Protocol);
    }
    // The HTTP/2 library's own type is not ours to name; its text tells who found which fault.
    let cause = std::error::Error::source(error)?.to_string();
    if !cause.starts_with("connection error detected") {
        None
    } else if cause.contains("too_many") || cause.contains("excessive load") {
        Some(ConnectionErrorKind::ResetFlood)
    } else {
        Some(ConnectionErrorKind::Protocol)
    }
}
