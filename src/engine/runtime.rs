//! ONNX Runtime itself: found, checked and loaded once per process.
//!
//! Every session hangs on the one environment held here, which is never dropped: the runtime allows
//! only one per process. Its log goes to `tracing` under the target `onnxruntime`.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider};
use ort::logging::LogLevel;

use super::library;
use crate::model::ProviderKind;

/// The loaded runtime.
#[derive(Debug)]
pub struct Runtime {
    path: PathBuf,
    version: String,
    providers: Vec<ProviderKind>,
    environment: Environment,
}

/// What the runtime's loading depends on; read from the environment by the caller.
#[derive(Clone, Debug, Default)]
pub struct RuntimeOptions {
    /// `ORT_DYLIB_PATH`: the library's file. Unset: beside the executable, then in `../lib`.
    pub dylib_path: Option<PathBuf>,
    /// Whether the process runs with `ORT_DISABLE_TELEMETRY=1`. The library reads the variable
    /// itself, when it is loaded, so without it nothing is loaded.
    pub telemetry_disabled: bool,
}

/// Why there is no runtime. For the operator, at start-up: names files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// No library file.
    #[error(
        "ONNX Runtime's library was not found; looked for {looked_for}; run `make build`, which puts \
         it beside the executable, or set ORT_DYLIB_PATH to its file"
    )]
    NotFound {
        /// The files that were looked for.
        looked_for: String,
    },
    /// A file that is not a library of a version that works here.
    #[error(
        "{path} can't be used as ONNX Runtime's library: {reason}; run `make build`, or set \
         ORT_DYLIB_PATH to a library of version 1.24 or later"
    )]
    Unusable {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The library's telemetry client would run.
    #[error("ORT_DISABLE_TELEMETRY=1 must be set before ONNX Runtime's library is loaded")]
    TelemetryEnabled,
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());

impl Runtime {
    /// Loads the library, or gives what an earlier call loaded, whatever its options were.
    ///
    /// # Errors
    /// When there is no library, it is not one that works, or telemetry is not switched off. A
    /// later call may try again.
    pub fn load(options: &RuntimeOptions) -> Result<&'static Self, RuntimeError> {
        if !options.telemetry_disabled {
            return Err(RuntimeError::TelemetryEnabled);
        }
        let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = RUNTIME.get() {
            return Ok(loaded);
        }
        let executable = std::env::current_exe().ok();
        let folder = executable.as_deref().and_then(Path::parent);
        let path = library::find(options.dylib_path.as_deref(), folder)?;
        let version = library::inspect(&path)?;
        let built = catch_unwind(|| build(&path, version)).unwrap_or_else(|_panic| {
            Err(library::unusable(&path, "its interface is not the one expected".into()))
        })?;
        Ok(RUNTIME.get_or_init(|| built))
    }

    /// The library's version, such as `1.31.1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The library's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The providers that the library was built with. Whether their devices and drivers are there
    /// is only known once a session asks for one.
    pub fn available_providers(&self) -> Vec<ProviderKind> {
        self.providers.clone()
    }

    pub(super) fn has_provider(&self, kind: ProviderKind) -> bool {
        self.providers.contains(&kind)
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }
}

fn build(path: &Path, version: Option<String>) -> Result<Runtime, RuntimeError> {
    let builder = ort::init_from(path).map_err(|error| library::unusable(path, load_reason(&error)))?;
    let environment = builder
        .with_name("ml-inference-api")
        .with_telemetry(false)
        .with_logger(Arc::new(log))
        .build()
        .map_err(|error| library::unusable(path, error.to_string()))?;
    // The crate makes the environment at its most talkative.
    environment.set_log_level(LogLevel::Warning);
    let providers = [
        (ProviderKind::Cpu, Ok(true)),
        (ProviderKind::Openvino, ep::OpenVINO::is_available()),
        (ProviderKind::Cuda, ep::CUDA::is_available()),
        (ProviderKind::Tensorrt, ep::TensorRT::is_available()),
    ]
    .into_iter()
    .filter(|(_, available)| matches!(available, Ok(true)))
    .map(|(kind, _)| kind)
    .collect();
    let version = version.unwrap_or_else(|| "unknown".into());
    Ok(Runtime { path: path.to_path_buf(), version, providers, environment })
}

fn load_reason(error: &ort::LoadDynamicError) -> String {
    match error {
        ort::LoadDynamicError::Dlopen { error, .. } => error.to_string(),
        ort::LoadDynamicError::MissingApi { .. } => "it does not export OrtGetApiBase".into(),
        ort::LoadDynamicError::InvalidVersionString => "its version is not readable".into(),
        ort::LoadDynamicError::BadVersion { version_str, .. } => {
            format!("its version is {version_str}, and 1.{} is the oldest that works", library::OLDEST_MINOR)
        }
    }
}

/// How the runtime begins to say, of every graph that it writes, that it belongs to this machine: true, and nothing
/// that anyone has to do something about, since it is read by this process alone.
const WRITES_A_GRAPH: &str = "Serializing optimized model";

/// Passes the runtime's log on. `id` is the name under which a session was loaded.
fn log(level: LogLevel, _category: &str, id: &str, _source_line: &str, message: &str) {
    match level {
        LogLevel::Warning if message.starts_with(WRITES_A_GRAPH) => {}
        LogLevel::Fatal | LogLevel::Error => tracing::error!(target: "onnxruntime", id, "{message}"),
        LogLevel::Warning => tracing::warn!(target: "onnxruntime", id, "{message}"),
        LogLevel::Info | LogLevel::Verbose => {}
    }
}
