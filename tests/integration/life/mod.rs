//! The life of the process: what it refuses to start with, overload, and how it ends.

mod configuration;
mod faults;
mod overload;
mod runtime_library;
mod shutdown;
