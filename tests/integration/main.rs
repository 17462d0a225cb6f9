//! The server's behaviour, seen from outside: the real binary, the real runtime, real sockets.
//!
//! One binary with a module per theme. Run by `make test`, which sets what the harness needs. No
//! test sleeps, relies on a fixed port, or leaves this machine.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot go on fails")]

mod access;
mod batching;
mod cli;
mod clients;
mod grpc;
mod harness;
mod health;
mod infer;
mod life;
mod models;
mod openapi;
mod predictions;
mod protocols;
mod repository;
mod requests;
mod rollout;
mod telemetry;
mod tls;
mod v2;
mod wire;
