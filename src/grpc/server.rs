//! What the server is and how it does.

use bytes::Bytes;

use super::answer::Encoded;
use super::call::decoded;
use super::proto::inference::{
    ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse, ServerReadyRequest,
    ServerReadyResponse,
};
use crate::service::{Service, ServiceError, description};

/// `ServerLive`: false for a stuck worker only.
pub(super) fn live(service: &Service, message: Bytes) -> Result<Encoded, ServiceError> {
    let ServerLiveRequest {} = decoded(message)?;
    Ok(Encoded::of(&ServerLiveResponse { live: service.liveness().problem.is_none() }))
}

/// `ServerReady`: every model is, and the process is not on its way out.
pub(super) fn ready(service: &Service, message: Bytes) -> Result<Encoded, ServiceError> {
    let ServerReadyRequest {} = decoded(message)?;
    Ok(Encoded::of(&ServerReadyResponse { ready: service.readiness().problem.is_none() }))
}

/// `ServerMetadata`.
pub(super) fn metadata(message: Bytes) -> Result<Encoded, ServiceError> {
    let ServerMetadataRequest {} = decoded(message)?;
    let server = description::server();
    Ok(Encoded::of(&ServerMetadataResponse {
        name: server.name.to_owned(),
        version: server.version.to_owned(),
        extensions: server.extensions.map(str::to_owned).to_vec(),
    }))
}
