//! gRPC, from outside: every method, its errors, its limits and its end, on both ports.

mod admission;
mod calls;
mod faults;
mod health;
mod life;
mod limits;
mod parity;
mod reflection;
mod streams;
mod telemetry;

use tokio::runtime::Runtime;

use crate::harness::Server;
use crate::harness::grpc::Client;

/// Runs `test` with a connection to the gRPC port of `server`.
pub(crate) fn with<F: Future>(server: &Server, test: impl FnOnce(Client) -> F) -> F::Output {
    Runtime::new().unwrap().block_on(async { test(Client::open(server.grpc).await).await })
}
