//! `ml-inference-api`: ONNX models behind HTTP, fast, bounded and observable.
//!
//! The binary is a thin shell over [`cli`]; [`app`] wires the rooms together. Which room may know
//! which is written down in `ARCHITECTURE.md` and held by `tests/tidy.rs`.

pub mod app;
pub mod cli;
pub mod config;
pub mod cores;
pub mod engine;
pub mod exchange;
pub mod gpu;
pub mod grpc;
pub mod http;
pub mod model;
pub mod scheduler;
pub mod service;
pub mod shutdown;
pub mod task;
pub mod telemetry;
pub mod tensor;
pub mod units;
pub mod watch;
