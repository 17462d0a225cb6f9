//! TLS on the public port, as clients and operators see it.

mod client;
mod pki;
mod refusals;
mod reload;
mod requests;
mod start;
mod triton;

use crate::harness::server::Builder;
use crate::harness::{Repository, Server, models};

/// A server with something quick and something slow to serve.
fn builder() -> Builder {
    let repository = Repository::new().model("slow", "slow", &models::slow_manifest(100)).fixture("add-one");
    Server::builder().repository(repository)
}
