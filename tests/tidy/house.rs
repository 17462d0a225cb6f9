//! The house as data: who may know whom, and which crate may be named where. `DESIGN.md` of the
//! project has the reasons; `ARCHITECTURE.md` tells it to readers.

/// A room and what it may import.
pub(crate) struct Room {
    /// `src/NAME/` or `src/NAME.rs`.
    pub(crate) name: &'static str,
    /// Rooms whose items it may name. Its own are always allowed.
    pub(crate) knows: &'static [&'static str],
}

const fn room(name: &'static str, knows: &'static [&'static str]) -> Room {
    Room { name, knows }
}

/// Every room. `units` is a leaf that anyone may use.
pub(crate) const ROOMS: [Room; 18] = [
    room("units", &[]),
    room("cores", &[]),
    room("gpu", &[]),
    room("watch", &[]),
    room("tensor", &["units"]),
    room("model", &["tensor", "units"]),
    room("telemetry", &["cores", "gpu", "units"]),
    room("shutdown", &["units"]),
    room("engine", &["cores", "gpu", "model", "telemetry", "tensor", "units"]),
    room("task", &["model", "tensor", "units"]),
    room("scheduler", &["engine", "model", "shutdown", "telemetry", "tensor", "units"]),
    room(
        "service",
        &[
            "cores",
            "engine",
            "gpu",
            "model",
            "scheduler",
            "shutdown",
            "task",
            "telemetry",
            "tensor",
            "units",
            "watch",
        ],
    ),
    room("exchange", &["service", "telemetry", "units"]),
    room(
        "http",
        &["exchange", "model", "service", "shutdown", "task", "telemetry", "tensor", "units", "watch"],
    ),
    room("grpc", &["exchange", "model", "service", "shutdown", "task", "telemetry", "tensor", "units"]),
    // The Options types of each layer.
    room("config", &["engine", "http", "model", "scheduler", "service", "telemetry", "units"]),
    room(
        "app",
        &[
            "config",
            "cores",
            "engine",
            "exchange",
            "gpu",
            "grpc",
            "http",
            "model",
            "scheduler",
            "service",
            "shutdown",
            "task",
            "telemetry",
            "tensor",
            "units",
            "watch",
        ],
    ),
    room(
        "cli",
        &[
            "app",
            "config",
            "cores",
            "engine",
            "exchange",
            "gpu",
            "http",
            "model",
            "scheduler",
            "service",
            "shutdown",
            "task",
            "telemetry",
            "tensor",
            "units",
            "watch",
        ],
    ),
];

/// Files at the crate's root that are no room: they may name what is listed.
pub(crate) const ROOT_FILES: [Room; 2] = [room("lib", &[]), room("main", &["cli"])];

/// Nobody but these may import `app` or `cli`.
pub(crate) const TOP: [&str; 2] = ["app", "cli"];

/// A dependency and the rooms that may name it; `*` = any.
pub(crate) struct External {
    /// As written in `Cargo.toml`.
    pub(crate) package: &'static str,
    pub(crate) rooms: &'static [&'static str],
}

const fn external(package: &'static str, rooms: &'static [&'static str]) -> External {
    External { package, rooms }
}

/// Every dependency. One that is missing here fails the test: its rooms are a decision.
pub(crate) const EXTERNALS: [External; 55] = [
    external("arc-swap", &["http", "scheduler", "service"]),
    external("axum", &["http"]),
    external("base64", &["grpc", "http", "task", "telemetry"]),
    external("bytemuck", &["engine", "tensor"]),
    external(
        "bytes",
        &["cli", "engine", "exchange", "grpc", "http", "service", "task", "telemetry", "tensor"],
    ),
    external("clap", &["cli", "config", "main"]),
    external("csv-core", &["http", "task"]),
    external("der", &["http"]),
    external("fastrand", &["cli", "exchange", "http", "scheduler", "service", "telemetry"]),
    external("flate2", &["exchange", "http", "telemetry"]),
    external("getrandom", &["cli"]),
    external("half", &["engine", "http", "task", "tensor"]),
    external("hdrhistogram", &["cli"]),
    external("http", &["cli", "exchange", "grpc", "http", "telemetry"]),
    external("http-body", &["cli", "exchange", "grpc", "http"]),
    external("http-body-util", &["cli", "exchange", "grpc", "http", "telemetry"]),
    external("hyper", &["cli", "http", "telemetry"]),
    external("hyper-util", &["cli", "http", "telemetry"]),
    external("image", &["task"]),
    external("indicatif", &["cli"]),
    external("libloading", &["engine"]),
    external("memchr", &["http"]),
    external("nvml-wrapper", &["gpu"]),
    external("opentelemetry", &["telemetry"]),
    external("opentelemetry_sdk", &["telemetry"]),
    external("opentelemetry-semantic-conventions", &["telemetry"]),
    external("ort", &["engine"]),
    external("prometheus", &["telemetry"]),
    external("prost", &["grpc"]),
    external("prost-types", &["grpc"]),
    external("rlimit", &["app", "cli", "http", "main"]),
    external("rustls-native-certs", &["telemetry"]),
    external("rustix", &["cli"]),
    external(
        "schemars",
        &["cli", "config", "engine", "http", "model", "scheduler", "service", "telemetry", "units"],
    ),
    external("serde", &["*"]),
    external("serde-saphyr", &["model"]),
    external("serde_json", &["app", "cli", "config", "http", "model", "telemetry"]),
    external("serde_path_to_error", &["http"]),
    external("sha2", &["engine", "model", "service"]),
    external("signal-hook", &["cli"]),
    external("socket2", &["cli", "http"]),
    external("strsim", &["config", "http", "task"]),
    external("subtle", &["service"]),
    external("tempfile", &["engine"]),
    external("thiserror", &["*"]),
    external("tokenizers", &["task"]),
    external(
        "tokio",
        &[
            "app",
            "cli",
            "engine",
            "exchange",
            "gpu",
            "grpc",
            "http",
            "scheduler",
            "service",
            "shutdown",
            "telemetry",
            "watch",
        ],
    ),
    external("tokio-rustls", &["http", "telemetry"]),
    external("toml", &["app", "cli", "config", "model", "service", "task"]),
    external("toml_edit", &["cli"]),
    external("tower", &["http"]),
    external(
        "tracing",
        &[
            "app",
            "cli",
            "config",
            "engine",
            "exchange",
            "gpu",
            "grpc",
            "http",
            "main",
            "model",
            "scheduler",
            "service",
            "telemetry",
        ],
    ),
    external("tracing-opentelemetry", &["telemetry"]),
    external("tracing-subscriber", &["telemetry"]),
    external("zmij", &["http"]),
];

/// Functions of these folders are handlers.
pub(crate) const HANDLERS: [&str; 2] = ["src/http/routes", "src/http/handlers"];

/// Rooms (and `main`) that may read the environment: `cli` takes it once and hands it to `config`.
pub(crate) const READS_ENVIRONMENT: [&str; 3] = ["cli", "config", "main"];

/// Largest sizes, in lines.
pub(crate) const MAX_FILE: usize = 400;
pub(crate) const MAX_FUNCTION: usize = 60;
pub(crate) const MAX_HANDLER: usize = 40;
pub(crate) const MAX_MAIN: usize = 40;
