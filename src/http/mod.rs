//! HTTP: routes, bodies, answers. Decodes a request, calls `service`, encodes the answer; one layer
//! (`observe.rs`) does what every request needs: its id, metrics, trace, problem body, log line.
//!
//! The only room that names axum, and the one that brings the JSON deserializer.

mod access;
mod answer;
mod body;
mod catch_panic;
mod collect;
mod compress;
pub mod connection;
mod context;
mod cors;
mod decode;
mod describe;
mod health;
mod inflate;
mod inflight;
mod invocations;
mod media;
mod observe;
mod predict;
mod problem;
mod routes;
mod schedule;
mod shortcut;
mod target;
mod v1;
mod v2;
mod whole_number;

use std::sync::Arc;
use std::time::Duration;

pub use answer::encode_prediction;
pub use decode::{decode_form, decode_prediction, may_be_json};
pub use routes::{admin_router, public_router};
pub use shortcut::Routes;
pub use v1::decode_embeddings;
pub use v2::decode_inference;

use crate::service::{Access, Service};
use crate::telemetry::{Metrics, Tracer};
use inflight::InflightBytes;

/// Which answers get a line in the log, beside every fault of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// Faults of ours: a status of 500 or more, other than the 503 of refusals.
    Errors,
    /// Every answer.
    All,
    /// None.
    Off,
}

/// What the HTTP layers are told by the configuration.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Largest body.
    pub max_body_bytes: u64,
    /// Bytes of bodies that may be held at once, over all requests.
    pub max_inflight_bytes: u64,
    /// For a whole body.
    pub body_timeout: Duration,
    /// Which answers are logged.
    pub access_log: AccessLog,
    /// The keys of callers of the public port; without them it is open.
    pub access: Option<Arc<Access>>,
    /// Whether `/metrics` of the public port asks for a key too.
    pub protect_metrics: bool,
    /// Origins whose pages may call from a browser, or `*`; none = no page may.
    pub cors_origins: Vec<String>,
}

/// What every handler has at hand.
pub struct Api {
    service: Arc<Service>,
    metrics: Arc<Metrics>,
    tracer: Tracer,
    options: HttpOptions,
    inflight: InflightBytes,
}

impl Api {
    /// The state of the routers.
    pub fn new(
        service: Arc<Service>,
        metrics: Arc<Metrics>,
        tracer: Tracer,
        options: HttpOptions,
    ) -> Arc<Self> {
        let inflight = InflightBytes::new(options.max_inflight_bytes);
        Arc::new(Self { service, metrics, tracer, options, inflight })
    }
}
