//! `ModelStreamInfer` in Triton's form: many messages in, as many out, in their order, each with its
//! response or with what went wrong.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body::Body;

use super::{Told, encode, foresee};
use crate::exchange::{CatchPanic, HeldBytes, RequestContext};
use crate::grpc::Grpc;
use crate::grpc::answer::Encoded;
use crate::grpc::call::{Call, Handled, Reply as CallReply};
use crate::grpc::message::{Broken, Messages, too_slow};
use crate::grpc::stream::{Job, Outlet, Replies, Reply};
use crate::grpc::timeout;
use crate::grpc::wire::Outline;
use crate::service::{ErrorCode, Schedule, ServiceError};
use crate::shutdown::Phase;

/// What all messages of a stream share.
#[derive(Clone)]
struct Shared {
    grpc: Arc<Grpc>,
    context: Arc<RequestContext>,
    schedule: Schedule,
}

/// Begins a stream of inferences.
pub(in crate::grpc) async fn stream<B>(call: Call<'_>, messages: Messages<B>) -> Handled
where
    B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static,
{
    let service = &call.grpc.service;
    let prepared = service.open().and_then(|()| timeout::schedule(&call.parts.headers));
    let schedule = match prepared {
        Ok(schedule) => schedule,
        Err(error) => {
            service.refused(None, &error);
            return call.refuse(error, messages.into_body()).await;
        }
    };
    let shared = Shared { grpc: Arc::clone(call.grpc), context: Arc::clone(call.context), schedule };
    let access_log = call.grpc.observing.access_log;
    let replies = Replies::spawn(&call.context.id, access_log, |outlet| shared.run(messages, outlet));
    Ok(CallReply::Stream(replies)).into()
}

impl Shared {
    /// When the whole stream must be over.
    fn until(&self) -> Option<Instant> {
        Some(self.context.started + self.schedule.timeout?)
    }

    /// Reads until the client has no more, the deadline has passed or the process stops; what was taken is
    /// answered in any case.
    async fn run<B>(self, messages: Messages<B>, outlet: Outlet)
    where
        B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static,
    {
        let mut shutdown = self.grpc.service.shutdown();
        let until = self.until();
        let late = async {
            match until {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            () = shutdown.reached(Phase::Stopping) => {
                Err(ServiceError::draining().into())
            }
            () = late => {
                let detail = "the deadline passed before the stream was over";
                Err(ServiceError::new(ErrorCode::DeadlineExceeded, detail).into())
            }
            ended = self.converse(messages, &outlet) => ended,
        };
        if let Err(Broken::Refused(error)) = ended {
            // The client may be gone by now.
            let _gone = outlet.send(Reply::End(error)).await;
        }
    }

    async fn converse<B>(&self, mut messages: Messages<B>, outlet: &Outlet) -> Result<(), Broken>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        while messages.fill().await? {
            let started = Instant::now();
            let mut held = self.grpc.inflight.hold();
            let mut model = None;
            let look =
                |beginning: &[u8], length| foresee(&self.grpc.service, &mut model, (beginning, length));
            let reading = messages.next(&mut held, look);
            let read = match tokio::time::timeout(self.grpc.options.body_timeout, reading).await {
                Ok(read) => read,
                Err(_elapsed) => Err(too_slow(&self.grpc).into()),
            };
            if let Err(Broken::Refused(error)) = &read {
                self.grpc.service.refused(model.as_deref(), error);
            }
            self.context.body_came(messages.came());
            let Some(message) = read? else { return Ok(()) };
            let job = Job::spawn(self.clone().one(message, held, started));
            if outlet.send(Reply::Made(job)).await.is_err() {
                return Err(Broken::ClientGone);
            }
        }
        Ok(())
    }

    async fn one(self, message: Bytes, mut held: HeldBytes, started: Instant) -> Encoded {
        let left = self.until().map(|until| until.saturating_duration_since(started));
        let schedule = Schedule { timeout: left, ..self.schedule };
        let told = Told { grpc: &self.grpc, context: &self.context, started, schedule: Ok(schedule) };
        let inferring = pin!(told.infer(&message, &mut held, encode::streamed));
        let answer = CatchPanic::new(inferring).await.map_or_else(
            |_panicked| {
                self.grpc.observing.metrics.panicked("grpc");
                Err(ServiceError::new(ErrorCode::Internal, "an internal error"))
            },
            |(answer, _)| answer,
        );
        answer.unwrap_or_else(|error| encode::failed(&error, Outline::of(&message).id))
    }
}
