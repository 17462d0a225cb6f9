//! What the tests stand on: the real binary as a child process, a small HTTP client over plain
//! sockets, temporary model repositories, and readers of metrics and spans.
//!
//! Nothing here knows the server's code: it is a black box behind the contract.

pub(crate) mod collector;
pub(crate) mod command;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod http2;
pub(crate) mod invariants;
pub(crate) mod ledger;
pub(crate) mod loading;
pub(crate) mod metrics;
pub(crate) mod models;
pub(crate) mod ports;
pub(crate) mod problem;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod server;
pub(crate) mod settings;
pub(crate) mod signals;
pub(crate) mod spans;
pub(crate) mod vectors;
pub(crate) mod wait;

pub(crate) use http::{Connection, Request, Response};
pub(crate) use invariants::Invariants;
pub(crate) use models::Repository;
pub(crate) use problem::assert_problem;
pub(crate) use server::{Server, shared};
