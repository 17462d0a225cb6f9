//! `ModelInfer`: one message in, one out.

use bytes::Bytes;
use http_body::Body;

use super::{Told, encode, foresee};
use crate::grpc::call::{Call, Handled, Reply};
use crate::grpc::message::{Broken, Messages};
use crate::grpc::timeout;

/// Answers an inference, in the order of the contract: 503 not ready or draining, 503 early, 408 and 413
/// while reading, then what the message tells: 404, 400.
pub(in crate::grpc) async fn unary<B>(call: Call<'_>, mut messages: Messages<B>) -> Handled
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    let service = &call.grpc.service;
    let mut held = call.grpc.inflight.hold();
    let mut model = None;
    let read = match service.open() {
        Ok(()) => {
            let look = |beginning: &[u8], length| foresee(service, &mut model, (beginning, length));
            messages.only(call.grpc, call.context, &mut held, look).await
        }
        Err(error) => Err(error.into()),
    };
    let message = match read {
        Ok(message) => message,
        Err(Broken::Refused(error)) => {
            service.refused(model.as_deref(), &error);
            return call.refuse(error, messages.into_body()).await;
        }
        Err(gone @ Broken::ClientGone) => return Err(gone).into(),
    };
    let told = Told {
        grpc: call.grpc,
        context: call.context,
        started: call.context.started,
        schedule: timeout::schedule(&call.parts.headers),
    };
    let (answer, timeline) = told.infer(&message, &mut held, encode::whole).await;
    Handled {
        reply: answer.map(Reply::Message).map_err(Broken::Refused),
        timing: timeline.map(|timeline| timeline.server_timing()),
    }
}
