//! `serve`: configuration, sockets, runtime, models, then serving until a signal.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::args::ServeArguments;
use super::signals::{Ending, Signals};
use super::{FAILED, Failure, complain, config, models};
use crate::app::{App, AppOptions, Ended, Listeners};
use crate::config::{AccessLog, Config, Loaded, LogFormat, TlsConfig};
use crate::cores::Cores;
use crate::engine::{self, Runtime};
use crate::exchange;
use crate::gpu::Visible;
use crate::http::HttpOptions;
use crate::http::connection::{ConnectionOptions, Tls, TlsFiles, bind, raise_descriptor_limit};
use crate::model::{Discovered, ModelPath, ModelProblem, discover};
use crate::service::{Access, AdminToken, KeyProblem, LoadOptions, RepositoryOptions, ServiceOptions};
use crate::shutdown::Shutdown;
use crate::task::DecodeLimits;
use crate::telemetry::{self, BuildInfo, LogOptions, OtelOptions, Telemetry};

/// A run that takes longer than the longest request, and this, is stuck.
const STUCK_MARGIN: Duration = Duration::from_secs(30);

/// Serves until a signal.
pub(super) fn run(arguments: &ServeArguments) -> Result<ExitCode, Failure> {
    let loaded = config::load(&arguments.source)?;
    let tls = tls(&loaded.config.tls)?;
    let access = access(&loaded.config)?;
    let admin_token = admin_token(&loaded.config)?;
    let found = find(&loaded.config)?;
    let executor = executor(&loaded.config)?;
    // Before anything is bound: from the moment that a probe can connect, a signal is heard.
    let signals = executor
        .block_on(async { Signals::new() })
        .map_err(|error| Failure::failed(format!("no signals: {error}")))?;
    let (_, descriptors) = raise_descriptor_limit();
    let listeners = Listeners {
        http: listen("http.addr", loaded.config.http.addr)?,
        grpc: listen("grpc.addr", loaded.config.grpc.addr)?,
        admin: listen("admin.addr", loaded.config.admin.addr)?,
    };
    let runtime = Runtime::load(&models::runtime_options(loaded.ort_dylib_path.clone()))
        .map_err(|error| Failure::failed(error.to_string()))?;
    let (telemetry, warnings) = start_telemetry(&loaded, runtime);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), runtime = runtime.version(), descriptors, "starting");
    for warning in loaded.warnings.iter().chain(&warnings) {
        tracing::warn!(warning, "configuration");
    }
    warn_if_open(&loaded.config);
    let repository = repository(&loaded.config, runtime);
    let visible =
        Visible { devices: loaded.cuda.visible_devices.clone(), order: loaded.cuda.device_order.clone() };
    let options = app_options(arguments, &loaded.config, (tls, access, admin_token), (repository, visible));
    let ended = executor.block_on(serve(options, listeners, &telemetry, (signals, runtime, found)));
    tracing::info!("stopped");
    let flush_timeout = loaded.config.telemetry.flush_timeout.0;
    if !telemetry.flush(flush_timeout) {
        tracing::warn!("not all telemetry could be exported in time");
    }
    let code = match ended {
        // A loader may still be inside the runtime, whose statics must not be torn down.
        Err(Stopped::Loading(ended)) => leave(if ended.clean { 0 } else { FAILED }),
        Ok(Ended { clean, is_loading: true, .. }) => leave(if clean { 0 } else { FAILED }),
        Ok(Ended { clean: true, workers_joined: true, .. }) => 0,
        Ok(ended) => {
            if !ended.workers_joined {
                // A worker is still inside the runtime, whose statics must not be torn down.
                leave(FAILED);
            }
            FAILED
        }
        Err(Stopped::Bad(problems)) => {
            report(&problems);
            FAILED
        }
        Err(Stopped::Again) => leave(FAILED),
        Err(Stopped::Failed(message)) => return Err(Failure::failed(message)),
    };
    executor.shutdown_timeout(Duration::from_millis(100));
    if engine::kept_outputs() > 0 || engine::is_device_lost() {
        // A thread that did not end in time holds an answer in the runtime's memory, or what is left of a lost device
        // can't be freed.
        leave(code);
    }
    Ok(code.into())
}

/// Where models come from, and how they are loaded.
fn repository(config: &Config, runtime: &'static Runtime) -> RepositoryOptions {
    let (defaults, cache_dir) = (config.defaults.clone(), config.models.cache_dir.clone());
    RepositoryOptions {
        runtime,
        paths: paths(config).0,
        loading: LoadOptions { defaults, cache_dir },
        timeout: config.admin.load_timeout.0,
    }
}

/// The async runtime, whose threads read, decode and answer requests.
fn executor(config: &Config) -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.http.worker_threads.map_or_else(cores, usize::from))
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("no threads: {error}")))
}

/// Cores that the process may use.
fn cores() -> usize {
    Cores::read().threads()
}

/// Why serving ended without a drain.
enum Stopped {
    /// Models are wrong.
    Bad(Vec<ModelProblem>),
    /// A signal came before every model was loaded.
    Loading(Ended),
    /// A second signal came.
    Again,
    /// The system refused something.
    Failed(String),
}

async fn serve(
    options: AppOptions,
    listeners: Listeners,
    telemetry: &Telemetry,
    (mut signals, runtime, found): (Signals, &'static Runtime, Discovered),
) -> Result<Ended, Stopped> {
    let failed = |error: std::io::Error| Stopped::Failed(error.to_string());
    let shutdown = Arc::new(Shutdown::new());
    let app = App::start(options, listeners, telemetry, shutdown).map_err(failed)?;
    let (ending, is_loaded) = tokio::select! {
        loaded = app.load(runtime, found) => {
            loaded.map_err(Stopped::Bad)?;
            (signals.next().await, true)
        }
        ending = signals.next() => (ending, false),
    };
    tracing::info!(signal = ?ending, "shutting down");
    tokio::select! {
        ended = app.drain(ending == Ending::Interrupt) => {
            if is_loaded { Ok(ended) } else { Err(Stopped::Loading(ended)) }
        }
        _ = signals.next() => Err(Stopped::Again),
    }
}

/// Reads the certificate, its key and the clients' authorities, where they are set.
fn tls(config: &TlsConfig) -> Result<Option<Tls>, Failure> {
    // That both are there or neither was checked with the configuration.
    let (Some(cert_file), Some(key_file)) = (config.cert_file.clone(), config.key_file.clone()) else {
        return Ok(None);
    };
    let files = TlsFiles { cert_file, key_file, client_ca_file: config.client_ca_file.clone() };
    Tls::load(files).map(Some).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
        Failure::usage(format!("the configuration is wrong:\n{}", lines.join("\n")))
    })
}

/// The keys of callers, where they are configured.
fn access(config: &Config) -> Result<Option<Arc<Access>>, Failure> {
    let Some(path) = &config.auth.keys_file else { return Ok(None) };
    // Checked with the rest of the configuration: this fails only if it changed since.
    let bad = |problems: Vec<KeyProblem>| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::usage(format!("auth.keys_file = {}: {}", path.display(), lines.join("; ")))
    };
    Ok(Some(Arc::new(Access::from_file(path).map_err(bad)?)))
}

/// The token of the admin listener, where it is configured.
fn admin_token(config: &Config) -> Result<Option<Arc<AdminToken>>, Failure> {
    let Some(path) = &config.admin.token_file else { return Ok(None) };
    // Checked with the rest of the configuration: this fails only if it changed since.
    let bad =
        |problem: KeyProblem| Failure::usage(format!("admin.token_file = {}: {problem}", path.display()));
    Ok(Some(Arc::new(AdminToken::from_file(path).map_err(bad)?)))
}

fn warn_if_open(config: &Config) {
    let is_closed = config.auth.keys_file.is_some() || config.tls.client_ca_file.is_some();
    let is_local = |address: SocketAddr| address.ip().to_canonical().is_loopback();
    if is_closed || (is_local(config.http.addr) && is_local(config.grpc.addr)) {
        return;
    }
    let warning = "anyone who can reach http.addr or grpc.addr can ask for predictions: set auth.keys_file or \
         tls.client_ca_file, or listen on loopback addresses";
    tracing::warn!(warning, http = %config.http.addr, grpc = %config.grpc.addr, "configuration");
}

/// Where the models are, and what is wrong with that.
fn paths(config: &Config) -> (Vec<ModelPath>, Vec<ModelProblem>) {
    let (mut paths, mut problems) = (Vec::new(), Vec::new());
    for location in &config.models.paths {
        match String::from(location.clone()).parse() {
            Ok(path) => paths.push(path),
            Err(problem) => problems.push(problem),
        }
    }
    (paths, problems)
}

/// Finds the models, and that the default one is among them.
fn find(config: &Config) -> Result<Discovered, Failure> {
    let (paths, mut problems) = paths(config);
    let mut found = discover(&paths);
    found.problems.append(&mut problems);
    let names: Vec<&str> = found.models.iter().map(|model| model.name.as_str()).collect();
    if let Some(default) = &config.models.default
        && found.problems.is_empty()
        && !names.contains(&default.as_str())
    {
        let there = names.join(", ");
        return Err(Failure::usage(format!(
            "models.default (MODEL_NAME) = {default}: expected the name of a model that is served, one of {there}"
        )));
    }
    Ok(found)
}

fn listen(key: &str, address: SocketAddr) -> Result<std::net::TcpListener, Failure> {
    bind(address).map_err(|error| Failure::failed(format!("{key} = {address}: cannot be bound: {error}")))
}

fn start_telemetry(loaded: &Loaded, runtime: &Runtime) -> (Telemetry, Vec<String>) {
    let config = &loaded.config;
    let (otel, warnings) = OtelOptions::from_variables(&loaded.otel);
    let service_name = otel.service_name.clone().unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned());
    let format = match config.log.format {
        LogFormat::Json => telemetry::LogFormat::Json,
        LogFormat::Text => telemetry::LogFormat::Text,
    };
    let options = telemetry::Options {
        service_name,
        service_label: config.telemetry.service_label,
        semantic_metrics: config.telemetry.semantic_metrics,
        trust_parent: config.telemetry.trust_parent,
        tail: telemetry::TailOptions {
            keep_failed: config.telemetry.keep_failed,
            keep_slower_than: config.telemetry.keep_slower_than.map(|limit| limit.0),
        },
        flush_timeout: config.telemetry.flush_timeout.0,
        log: LogOptions { filter: config.log.level.as_str().to_owned(), format },
        otel,
    };
    let build = BuildInfo {
        version: env!("CARGO_PKG_VERSION"),
        revision: env!("INFERENCE_BUILT_FROM").to_owned(),
        rustc: env!("INFERENCE_BUILT_WITH").to_owned(),
        runtime_version: runtime.version().to_owned(),
    };
    (telemetry::start(&options, &build), warnings)
}

fn app_options(
    arguments: &ServeArguments,
    config: &Config,
    (tls, access, admin_token): (Option<Tls>, Option<Arc<Access>>, Option<Arc<AdminToken>>),
    (repository, visible_gpus): (RepositoryOptions, Visible),
) -> AppOptions {
    let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    let access_log = match config.log.access {
        AccessLog::Errors => exchange::AccessLog::Errors { slower_than: config.log.slower_than.0 },
        AccessLog::All => exchange::AccessLog::All,
        AccessLog::Off => exchange::AccessLog::Off,
    };
    let request_timeout = config.limits.request_timeout.0;
    AppOptions {
        connections: ConnectionOptions {
            max_connections: config.http.max_connections.get(),
            header_timeout: config.http.header_timeout.0,
            idle_timeout: config.http.idle_timeout.0,
            write_timeout: config.http.write_timeout.0,
            max_header_bytes: bytes(config.http.max_header_bytes.0),
            tls: tls.map(Arc::new),
        },
        http: HttpOptions {
            max_body_bytes: config.limits.max_body_bytes.0,
            body_timeout: config.http.body_timeout.0,
            access,
            admin_token,
            protect_metrics: config.auth.protect_metrics,
            cors_origins: config.http.cors_origins.iter().cloned().map(String::from).collect(),
        },
        max_inflight_bytes: config.limits.max_inflight_bytes.0,
        access_log,
        service: ServiceOptions {
            default_model: config.models.default.as_ref().map(ToString::to_string),
            request_timeout,
            decode: DecodeLimits {
                max_instances: config.limits.max_instances.get(),
                max_depth: config.limits.max_json_depth.get(),
                max_bytes: config.limits.max_body_bytes.0,
                max_pixels: config.limits.max_image_pixels.get() as u64,
            },
            stuck_after: request_timeout + STUCK_MARGIN,
            cores: cores(),
        },
        repository,
        visible_gpus,
        drain_delay: config.drain.delay.0,
        drain_timeout: config.drain.timeout.0,
        ready_file: arguments.ready_file.clone(),
    }
}

fn report(problems: &[ModelProblem]) {
    let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
    complain(&format!("the models are wrong:\n{}", lines.join("\n")));
}

/// Ends the process at once: no destructors, and none of the handlers that `exit` would run, among
/// them the runtime's own, under which a thread that is still inside it would crash.
fn leave(code: u8) -> ! {
    // Whatever can't be flushed now is lost either way.
    drop(std::io::stdout().flush());
    signal_hook::low_level::exit(code.into())
}
