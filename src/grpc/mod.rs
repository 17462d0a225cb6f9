//! gRPC: the Open Inference Protocol's service with Triton's extensions, health, reflection. Decodes a
//! call, calls `service`, encodes the answer.
//!
//! The only room that names prost. The framing of messages is ours: it is five bytes before a message
//! and a status behind it, and a library's would buffer beyond our bounds and answer with its own words.
//! Invariant: every call ends with a status of the table in `service/error.rs`, in our words.

mod answer;
mod call;
mod config;
mod health;
mod infer;
mod message;
mod method;
mod models;
pub mod proto;
mod reflection;
mod server;
mod status;
mod stream;
mod timeout;
mod wire;

use std::sync::Arc;
use std::time::Duration;

pub use answer::Answer;
pub use call::answer;
pub use infer::decode_inference;

use crate::exchange::{InflightBytes, Observing};
use crate::service::{Access, Service};

/// What the room is told by the configuration.
#[derive(Clone, Debug)]
pub struct GrpcOptions {
    /// Largest message, on the wire and in memory.
    pub max_message_bytes: u64,
    /// For a whole message.
    pub body_timeout: Duration,
    /// The keys of callers; without them everyone may call.
    pub access: Option<Arc<Access>>,
}

/// What every method has at hand.
pub struct Grpc {
    service: Arc<Service>,
    observing: Observing,
    options: GrpcOptions,
    inflight: InflightBytes,
}

impl Grpc {
    /// The state of the room; its methods count from now on, at zero.
    pub fn new(
        service: Arc<Service>,
        observing: Observing,
        options: GrpcOptions,
        inflight: InflightBytes,
    ) -> Arc<Self> {
        for path in method::paths() {
            observing.metrics.http().register_route("POST", path);
        }
        Arc::new(Self { service, observing, options, inflight })
    }
}
