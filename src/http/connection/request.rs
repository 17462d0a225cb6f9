//! A request on a connection: its guard, its body, which tells when all of it is there, and the
//! response body that carries the guard to its end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tower::Service;

use super::activity::{Activity, Stage};
use super::options::ConnectionObserver;
use crate::exchange::{ConnectionInfo, RequestStart};

/// Hands one request to the service, marked with its connection and its start.
pub(super) fn answer<S>(
    service: &S,
    request: Request<Incoming>,
    activity: &Arc<Activity>,
    (info, observer): (ConnectionInfo, &Arc<dyn ConnectionObserver>),
) -> impl Future<Output = Result<Response<GuardedBody>, Infallible>> + use<S>
where
    S: Service<Request<RequestBody>, Response = Response<Body>, Error = Infallible> + Clone,
{
    let mut request = request.map(|body| RequestBody::new(body, activity));
    request.extensions_mut().insert(info);
    request.extensions_mut().insert(RequestStart(activity.begin()));
    let guard = RequestGuard::new(activity, observer);
    let mut inner = service.clone();
    async move {
        let mut guard = guard;
        poll_fn(|cx| inner.poll_ready(cx)).await?;
        let response = inner.call(request).await?;
        guard.shift(Stage::Sending);
        Ok(response.map(|body| GuardedBody { body, guard }))
    }
}

/// Counts a request as long as it lives, wherever it is dropped.
struct RequestGuard {
    activity: Arc<Activity>,
    observer: Arc<dyn ConnectionObserver>,
    stage: Stage,
}

impl RequestGuard {
    /// A guard for a request that [`Activity::begin`] has counted.
    fn new(activity: &Arc<Activity>, observer: &Arc<dyn ConnectionObserver>) -> Self {
        if activity.enter() {
            observer.busy();
        }
        Self { activity: Arc::clone(activity), observer: Arc::clone(observer), stage: Stage::Handling }
    }

    fn shift(&mut self, to: Stage) {
        if self.stage != to {
            self.activity.shift(self.stage, to);
            self.stage = to;
        }
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.activity.end(self.stage);
        if self.activity.leave() {
            self.observer.idle();
        }
    }
}

/// A request's body. Until its end the HTTP library reads the connection, and notices by itself when
/// the client leaves.
#[derive(Debug)]
pub struct RequestBody {
    body: Incoming,
    coming: Option<Coming>,
}

/// Counts a body as coming as long as this lives.
#[derive(Debug)]
struct Coming(Arc<Activity>);

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.body_ended();
    }
}

impl RequestBody {
    fn new(body: Incoming, activity: &Arc<Activity>) -> Self {
        let coming = (!body.is_end_stream()).then(|| {
            activity.body_comes();
            Coming(Arc::clone(activity))
        });
        Self { body, coming }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        let is_last = match &frame {
            Poll::Pending => false,
            Poll::Ready(Some(Ok(_))) => self.body.is_end_stream(),
            Poll::Ready(_) => true,
        };
        if is_last {
            self.coming = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response's body; its request is in flight until the transport has taken all of it.
pub(super) struct GuardedBody {
    body: Body,
    guard: RequestGuard,
}

impl http_body::Body for GuardedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &frame {
            Poll::Pending => self.guard.shift(Stage::Producing),
            Poll::Ready(_) => self.guard.shift(Stage::Sending),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
