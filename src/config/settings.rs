//! The tree of settings with its defaults and the sentences that describe it.
//!
//! The one source of the TOML file's keys, the variables' names, the JSON Schema and the tables in
//! `docs/configuration.md`. `x-min`, `x-max` and `x-form` in the schema are what the loader checks
//! and says; they leave the published schema as words.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{
    CORS_ORIGINS_FORM, CorsOrigin, LOG_FILTER_FORM, LogFilter, MODEL_LOCATION_FORM, MODEL_NAME_FORM,
    ModelLocation, model_name,
};
use crate::model::{ManifestDefaults, ModelName};
use crate::units::{ByteSize, Timespan};

const ADDRESS_FORM: &str =
    "an IP address and a port, such as `0.0.0.0:8080` or `[::]:8080`; port 0 takes any free one";
const PATH_FORM: &str = "the path of a file that can be read";

/// Everything that can be set, valid.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The public HTTP listener.
    pub http: HttpConfig,
    /// The public gRPC listener.
    pub grpc: GrpcConfig,
    /// The listener for operators: health, metrics, loading and unloading.
    pub admin: AdminConfig,
    /// Which models are served.
    pub models: ModelsConfig,
    /// What one request, and all of them together, may cost.
    pub limits: LimitsConfig,
    /// TLS of the public listeners.
    pub tls: TlsConfig,
    /// Who may call the public listeners.
    pub auth: AuthConfig,
    /// How the process ends.
    pub drain: DrainConfig,
    /// Traces and metrics beyond what the `OTEL_*` variables say.
    pub telemetry: TelemetryConfig,
    /// Logs on stderr.
    pub log: LogConfig,
    /// What the manifests of models leave out.
    pub defaults: ManifestDefaults,
}

/// `[http]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Where to listen.
    #[schemars(extend("x-form" = ADDRESS_FORM))]
    pub addr: SocketAddr,
    /// Most connections at a time.
    #[schemars(extend("maximum" = 1_000_000))]
    pub max_connections: NonZeroUsize,
    /// Time for the whole header of a request, its first byte included.
    #[schemars(extend("x-min" = "1ms", "x-max" = "24h"))]
    pub header_timeout: Timespan,
    /// Time for the whole body of a request.
    #[schemars(extend("x-min" = "1ms", "x-max" = "24h"))]
    pub body_timeout: Timespan,
    /// Time that writing an answer may go without progress.
    #[schemars(extend("x-min" = "1ms", "x-max" = "24h"))]
    pub write_timeout: Timespan,
    /// Time that a connection may stay open between requests.
    #[schemars(extend("x-min" = "1ms", "x-max" = "24h"))]
    pub idle_timeout: Timespan,
    /// Most bytes of a request's header. The HTTP/1 parser needs 8KiB to work in.
    #[schemars(extend("x-min" = "8KiB", "x-max" = "16MiB"))]
    pub max_header_bytes: ByteSize,
    /// Whose web pages may call from a browser (CORS). Without any, none may.
    #[schemars(extend("x-form" = CORS_ORIGINS_FORM))]
    pub cors_origins: Vec<CorsOrigin>,
    /// Threads that read, decode and answer requests (default: as many as there are cores).
    #[schemars(extend("maximum" = 1024))]
    pub worker_threads: Option<NonZeroUsize>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            addr: (Ipv4Addr::UNSPECIFIED, 8080).into(),
            max_connections: at_least_one(10_000),
            header_timeout: seconds(10),
            body_timeout: seconds(30),
            write_timeout: seconds(30),
            idle_timeout: seconds(75),
            max_header_bytes: ByteSize(64 << 10),
            cors_origins: Vec::new(),
            worker_threads: None,
        }
    }
}

/// `[grpc]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcConfig {
    /// Where to listen.
    #[schemars(extend("x-form" = ADDRESS_FORM))]
    pub addr: SocketAddr,
}

impl Default for GrpcConfig {
    fn default() -> Self {
        Self { addr: (Ipv4Addr::UNSPECIFIED, 8081).into() }
    }
}

/// `[admin]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Where to listen. Beyond health and metrics only loopback peers are served, or the token.
    #[schemars(extend("x-form" = ADDRESS_FORM))]
    pub addr: SocketAddr,
    /// File with the token that lets other peers than loopback load and unload models.
    #[schemars(extend("x-form" = PATH_FORM))]
    pub token_file: Option<PathBuf>,
    /// Most time for loading or unloading a model while the service runs.
    #[schemars(extend("x-min" = "1s", "x-max" = "24h"))]
    pub load_timeout: Timespan,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { addr: (Ipv4Addr::LOCALHOST, 8082).into(), token_file: None, load_timeout: seconds(600) }
    }
}

/// `[models]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelsConfig {
    /// Models, and repositories of models.
    #[schemars(extend("x-form" = MODEL_LOCATION_FORM, "minItems" = 1))]
    pub paths: Vec<ModelLocation>,
    /// The model that answers `/predict` without a name. `MODEL_NAME` sets it too.
    #[serde(with = "model_name")]
    #[schemars(with = "Option<String>", extend("x-form" = MODEL_NAME_FORM))]
    pub default: Option<ModelName>,
    /// Folder for what is fetched or compiled once and used again.
    #[schemars(extend("x-form" = "the path of a folder"))]
    pub cache_dir: Option<PathBuf>,
}

impl Default for ModelsConfig {
    fn default() -> Self {
        let models = ModelLocation { name: None, location: "models".to_owned() };
        Self { paths: vec![models], default: None, cache_dir: None }
    }
}

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Most bytes of one body, on the wire and decoded; gRPC messages alike.
    #[schemars(extend("x-min" = "1B"))]
    pub max_body_bytes: ByteSize,
    /// Most bytes of all requests received and unpacked and not yet answered.
    #[schemars(extend("x-min" = "1B"))]
    pub max_inflight_bytes: ByteSize,
    /// How deep JSON may nest. The reader's own bound is 127.
    #[schemars(extend("maximum" = 127))]
    pub max_json_depth: NonZeroUsize,
    /// Most instances, CSV rows, or rows of a batchable model, in one request.
    #[schemars(extend("maximum" = 1_000_000))]
    pub max_instances: NonZeroUsize,
    /// Most pixels of one image, held against its header before it is unpacked.
    #[schemars(extend("maximum" = 1_000_000_000))]
    pub max_image_pixels: NonZeroUsize,
    /// Most time for one request, from its header's first byte to its answer.
    #[schemars(extend("x-min" = "1ms", "x-max" = "24h"))]
    pub request_timeout: Timespan,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: ByteSize(64 << 20),
            max_inflight_bytes: ByteSize(256 << 20),
            max_json_depth: at_least_one(64),
            max_instances: at_least_one(1024),
            max_image_pixels: at_least_one(25_000_000),
            request_timeout: seconds(30),
        }
    }
}

/// `[tls]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the certificate and its chain. Needs `key_file`.
    #[schemars(extend("x-form" = PATH_FORM))]
    pub cert_file: Option<PathBuf>,
    /// PEM file with the private key. Needs `cert_file`.
    #[schemars(extend("x-form" = PATH_FORM))]
    pub key_file: Option<PathBuf>,
    /// PEM file with the authorities whose clients are let in. Needs `cert_file`.
    #[schemars(extend("x-form" = PATH_FORM))]
    pub client_ca_file: Option<PathBuf>,
}

/// `[auth]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// File with the digests of the keys that callers send as `authorization: Bearer`. Read again
    /// when it changes.
    #[schemars(extend("x-form" = PATH_FORM))]
    pub keys_file: Option<PathBuf>,
    /// Whether `/metrics` of the public listener asks for a key with the scope `metadata`.
    pub protect_metrics: bool,
}

/// `[drain]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DrainConfig {
    /// How long to keep serving, not ready, after SIGTERM.
    #[schemars(extend("x-max" = "24h"))]
    pub delay: Timespan,
    /// How long what is in flight may take to finish after that.
    #[schemars(extend("x-max" = "24h"))]
    pub timeout: Timespan,
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self { delay: seconds(5), timeout: seconds(30) }
    }
}

/// `[telemetry]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "switches that have nothing to do with each other")]
pub struct TelemetryConfig {
    /// How long the last spans may take to leave when the process ends.
    #[schemars(extend("x-max" = "24h"))]
    pub flush_timeout: Timespan,
    /// Whether a caller's trace context is continued and its sampling decision kept.
    pub trust_parent: bool,
    /// Whether every metric carries the label `service`.
    pub service_label: bool,
    /// Whether failed requests (5xx but 503) are exported although they were not sampled.
    pub keep_failed: bool,
    /// Requests that took longer are exported although they were not sampled.
    #[schemars(extend("x-max" = "24h"))]
    pub keep_slower_than: Option<Timespan>,
    /// Whether requests are also measured under the names of OpenTelemetry's semantic conventions.
    pub semantic_metrics: bool,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            flush_timeout: seconds(2),
            trust_parent: true,
            service_label: true,
            semantic_metrics: false,
            keep_failed: false,
            keep_slower_than: None,
        }
    }
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// What is logged. `RUST_LOG` wins over it.
    #[schemars(extend("x-form" = LOG_FILTER_FORM))]
    pub level: LogFilter,
    /// One JSON object a line, or text for people.
    pub format: LogFormat,
    /// Which requests are logged.
    pub access: AccessLog,
    /// With `access = "errors"` requests that took longer are logged too, at most ten lines a second.
    #[schemars(extend("x-max" = "24h"))]
    pub slower_than: Timespan,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: LogFilter::default(),
            format: LogFormat::default(),
            access: AccessLog::default(),
            slower_than: seconds(1),
        }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// Text for people.
    Text,
}

/// Which requests are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccessLog {
    /// Faults of ours (a status of 500 or more, other than the 503 of refusals), and what was slow.
    #[default]
    Errors,
    /// Every one.
    All,
    /// None.
    Off,
}

const fn seconds(seconds: u64) -> Timespan {
    Timespan(Duration::from_secs(seconds))
}

const fn at_least_one(number: usize) -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(number.saturating_sub(1))
}
