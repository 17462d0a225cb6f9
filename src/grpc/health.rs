//! `grpc.health.v1.Health`: of the server, of its services and of each model by name.
//!
//! Invariant: serving means that a prediction would be taken; not so from the first moment of the
//! process' end.

use std::collections::HashMap;

use bytes::Bytes;
use http_body::Body;

use super::answer::Encoded;
use super::call::{Call, Handled, Reply as CallReply, decoded};
use super::message::{Broken, Messages, unseen};
use super::proto::health::health_check_response::ServingStatus;
use super::proto::health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};
use super::stream::{Replies, Reply};
use crate::model::ModelName;
use crate::service::{ErrorCode, Service, ServiceError};
use crate::shutdown::Phase;

/// The services that do as the server does. Health and reflection answer as long as anything does.
const SERVICES: [&str; 2] = ["", "inference.GRPCInferenceService"];

/// How `name` does; none where there is nothing of this name.
fn status(service: &Service, name: &str) -> Option<ServingStatus> {
    let serving = |is_serving| if is_serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    if SERVICES.contains(&name) {
        return Some(serving(service.readiness().problem.is_none()));
    }
    service.models().versions(name)?;
    Some(serving(!service.is_draining() && service.resolve(Some(name), None).is_ok()))
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

/// `Check`.
pub(super) fn check(service: &Service, message: Bytes) -> Result<Encoded, ServiceError> {
    let asked: HealthCheckRequest = decoded(message)?;
    let status = status(service, &asked.service).ok_or_else(|| {
        let detail = "there is no service and no model of this name";
        ServiceError::new(ErrorCode::NotFound, detail)
    })?;
    Ok(Encoded::of(&response(status)))
}

/// `List`: everything that `Check` knows.
pub(super) fn list(service: &Service, message: Bytes) -> Result<Encoded, ServiceError> {
    let HealthListRequest {} = decoded(message)?;
    let models: Vec<String> = service.models().names().map(ModelName::to_string).collect();
    let names = SERVICES.map(str::to_owned).into_iter().chain(models);
    let statuses = names.filter_map(|name| {
        let status = status(service, &name)?;
        Some((name, response(status)))
    });
    Ok(Encoded::of(&HealthListResponse { statuses: statuses.collect::<HashMap<_, _>>() }))
}

/// `Watch`: the status now, and each one that follows it, until the process stops.
pub(super) async fn watch<B>(call: Call<'_>, mut messages: Messages<B>) -> Handled
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    let mut held = call.grpc.inflight.hold();
    let asked = match messages.only(call.grpc, call.context, &mut held, unseen).await {
        Ok(message) => decoded::<HealthCheckRequest>(message).map_err(Broken::Refused),
        Err(Broken::Refused(error)) => return call.refuse(error, messages.into_body()).await,
        Err(gone) => Err(gone),
    };
    let asked = match asked {
        Ok(asked) => asked.service,
        Err(error) => return Err(error).into(),
    };
    let grpc = std::sync::Arc::clone(call.grpc);
    let replies = Replies::spawn(&call.context.id, grpc.observing.access_log, |outlet| async move {
        let (mut changes, mut shutdown) = (grpc.service.changes(), grpc.service.shutdown());
        let mut told = None;
        loop {
            let phase = shutdown.phase();
            let now = status(&grpc.service, &asked).unwrap_or(ServingStatus::ServiceUnknown);
            if told != Some(now) {
                told = Some(now);
                if outlet.send(Reply::Message(Encoded::of(&response(now)))).await.is_err() {
                    return;
                }
            }
            let next = if phase < Phase::Draining { Phase::Draining } else { Phase::Stopping };
            if phase >= Phase::Stopping {
                let error = ServiceError::draining();
                // The client may be gone by now.
                let _gone = outlet.send(Reply::End(error)).await;
                return;
            }
            tokio::select! {
                () = shutdown.reached(next) => {}
                alive = changes.changed() => if alive.is_err() { return },
                () = outlet.closed() => return,
            }
        }
    });
    Ok(CallReply::Stream(replies)).into()
}
