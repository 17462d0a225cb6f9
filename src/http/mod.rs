//! HTTP: routes, bodies, answers. Decodes a request, calls `service`, encodes the answer; one layer
//! (`observe.rs`) does what every request needs: its id, metrics, trace, problem body, log line.
//!
//! The only room that names axum, and the one that brings the JSON deserializer.

mod accept;
mod access;
mod answer;
mod body;
mod compress;
pub mod connection;
mod cors;
mod decode;
mod describe;
mod docs;
mod exposition;
mod health;
mod invocations;
mod kind;
mod media;
mod observe;
mod openapi;
mod predict;
mod problem;
mod routes;
mod shortcut;
mod split;
mod target;
mod telemetry;
mod v1;
mod v2;

use std::sync::Arc;
use std::time::Duration;

pub use answer::encode_prediction;
pub use decode::{decode_form, decode_prediction, may_be_json};
pub use routes::{admin_router, grpc_only_router, public_router};
pub use shortcut::Routes;
pub use split::Split;
pub use v1::decode_embeddings;
pub use v2::decode_inference;

use crate::exchange::{InflightBytes, Observing};
use crate::service::{Access, AdminToken, Service};

/// What the HTTP layers are told by the configuration.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Largest body.
    pub max_body_bytes: u64,
    /// For a whole body.
    pub body_timeout: Duration,
    /// The keys of callers of the public port; without them it is open.
    pub access: Option<Arc<Access>>,
    /// What lets other peers than loopback load and unload models.
    pub admin_token: Option<Arc<AdminToken>>,
    /// Whether `/metrics` of the public port asks for a key too.
    pub protect_metrics: bool,
    /// Origins whose pages may call from a browser, or `*`; none = no page may.
    pub cors_origins: Vec<String>,
}

/// What every handler has at hand.
pub struct Api {
    service: Arc<Service>,
    observing: Observing,
    options: HttpOptions,
    inflight: InflightBytes,
    openapi: openapi::Cache,
}

impl Api {
    /// The state of the routers.
    pub fn new(
        service: Arc<Service>,
        observing: Observing,
        options: HttpOptions,
        inflight: InflightBytes,
    ) -> Arc<Self> {
        let openapi = openapi::Cache::default();
        Arc::new(Self { service, observing, options, inflight, openapi })
    }
}
