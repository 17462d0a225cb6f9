//! The configuration: defaults, TOML file, environment and flags, merged and checked in one pass.
//!
//! `cli` collects the [`Sources`] and calls [`load()`]; nobody else reads a file or a variable for a
//! setting. What [`Config`] holds is valid: no layer below checks it again. Every mistake of every
//! source is reported at once, before anything is bound.

mod check;
mod environment;
mod file;
mod keys;
mod load;
mod reference;
mod settings;
mod show;
mod source;
#[cfg(test)]
mod tests;
mod values;

pub use load::{CudaVariables, Loaded, load};
pub use reference::json_schema;
pub use settings::{
    AccessLog, AdminConfig, AuthConfig, Config, DrainConfig, GrpcConfig, HttpConfig, LimitsConfig, LogConfig,
    LogFormat, ModelsConfig, TelemetryConfig, TlsConfig,
};
pub use show::show;
pub use source::{ConfigProblem, Flags, Origin, Sources};
pub use values::{CorsOrigin, LogFilter, ModelLocation, ValueError};
