//! Open Inference Protocol v2 over REST: what the server and its models say of themselves.

mod config;
mod health;
mod index;
mod metadata;
mod routes;
mod statistics;
