//! Streams of answers: made by a task that reads the call's messages, sent in the order of the messages.
//!
//! Invariant: at most [`IN_FLIGHT`] answers of a stream are being made or wait for the client; who reads
//! no answers is read from no more. When the stream is dropped, everything behind it is.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;

use super::answer::Encoded;
use super::status;
use crate::exchange::{AccessLog, AnswerEnd};
use crate::service::ServiceError;

/// Answers of a stream that are on the way at once.
const IN_FLIGHT: usize = 16;

/// A task that ends when nobody waits for it.
pub(super) struct Job<T>(JoinHandle<T>);

impl<T: Send + 'static> Job<T> {
    pub(super) fn spawn(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What comes next on a stream.
pub(super) enum Reply {
    /// A message.
    Message(Encoded),
    /// A message that is being made.
    Made(Job<Encoded>),
    /// The last: nothing comes behind it.
    End(ServiceError),
}

/// Where the maker of a stream puts its answers.
pub(super) type Outlet = Sender<Reply>;

/// The answers of a stream, in order.
pub(super) struct Replies {
    coming: Receiver<Reply>,
    current: Option<Current>,
    maker: Job<()>,
    request_id: Arc<str>,
    access_log: AccessLog,
}

enum Current {
    Message(Encoded),
    Made(Job<Encoded>),
}

/// The end of a stream.
pub(super) struct Ended {
    error: Option<ServiceError>,
    request_id: Arc<str>,
    access_log: AccessLog,
}

impl Ended {
    /// Its status as metadata; an error is noted in the call's account.
    pub(super) fn trailers(&self, end: Option<&mut AnswerEnd>) -> HeaderMap {
        let Some(error) = &self.error else { return status::ok() };
        if let Some(end) = end {
            end.fails(self.access_log, error);
        }
        let mut trailers = HeaderMap::new();
        status::write(error, &self.request_id, &mut trailers);
        trailers
    }
}

impl Replies {
    /// Spawns `make` with the outlet of the stream.
    pub(super) fn spawn<F>(
        request_id: &Arc<str>,
        access_log: AccessLog,
        make: impl FnOnce(Outlet) -> F,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (outlet, coming) = mpsc::channel(IN_FLIGHT);
        let maker = Job::spawn(make(outlet));
        Self { coming, current: None, maker, request_id: Arc::clone(request_id), access_log }
    }

    fn ended(&self, error: Option<ServiceError>) -> Ended {
        Ended { error, request_id: Arc::clone(&self.request_id), access_log: self.access_log }
    }

    /// The next piece, or the end.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, Ended>> {
        loop {
            match &mut self.current {
                Some(Current::Message(message)) => {
                    if let Some(piece) = message.pop() {
                        return Poll::Ready(Ok(piece));
                    }
                    self.current = None;
                }
                Some(Current::Made(job)) => match ready!(Pin::new(&mut job.0).poll(context)) {
                    Ok(message) => self.current = Some(Current::Message(message)),
                    Err(_) => return Poll::Ready(Err(self.ended(Some(panicked())))),
                },
                None => match ready!(self.coming.poll_recv(context)) {
                    Some(Reply::Message(message)) => self.current = Some(Current::Message(message)),
                    Some(Reply::Made(job)) => self.current = Some(Current::Made(job)),
                    Some(Reply::End(error)) => return Poll::Ready(Err(self.ended(Some(error)))),
                    None => {
                        // The maker lets go of its outlet when it ends, well or by a panic.
                        let panics = ready!(Pin::new(&mut self.maker.0).poll(context)).is_err();
                        return Poll::Ready(Err(self.ended(panics.then(panicked))));
                    }
                },
            }
        }
    }
}

fn panicked() -> ServiceError {
    ServiceError::internal("a stream's task panicked")
}
