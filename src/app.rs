//! Wires the rooms together and runs them from bound listeners to the last flushed span.
//!
//! Knows no signals and no arguments: `cli` brings the end as a [`Shutdown`] and reads the outcome.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::cores::{self, Cores};
use crate::engine::Runtime;
use crate::exchange::{AccessLog, InflightBytes, Observing};
use crate::gpu::Visible;
use crate::grpc::{self, Grpc, GrpcOptions};
use crate::http::connection::{
    ConnectionErrorKind, ConnectionObserver, ConnectionOptions, Listening, ServeReport, spawn,
};
use crate::http::{Api, HttpOptions, Split, admin_router, grpc_only_router, public_router};
use crate::model::{Discovered, ModelProblem, ModelSource, VersionSource};
use crate::scheduler::Scheduler;
use crate::service::{LoadOptions, RepositoryOptions, Service, ServiceOptions, load_version};
use crate::shutdown::{Phase, Shutdown};
use crate::telemetry::{ConnectionError, LoadResult, Metrics, Telemetry};

/// The sockets, bound before anything slow begins.
pub struct Listeners {
    /// The public HTTP listener.
    pub http: TcpListener,
    /// gRPC.
    pub grpc: TcpListener,
    /// Health and metrics for operators.
    pub admin: TcpListener,
}

/// Everything that the parts are told.
pub struct AppOptions {
    /// Limits of connections, and the public ones' TLS.
    pub connections: ConnectionOptions,
    /// Limits of requests.
    pub http: HttpOptions,
    /// Bytes of bodies that may be held at once, over all requests of all protocols.
    pub max_inflight_bytes: u64,
    /// Which answers are logged.
    pub access_log: AccessLog,
    /// Deadlines and the default model.
    pub service: ServiceOptions,
    /// Where the models come from, which may be loaded again while the process runs.
    pub repository: RepositoryOptions,
    /// Which GPUs CUDA was told to see.
    pub visible_gpus: Visible,
    /// How long to keep serving, not ready, before anything closes.
    pub drain_delay: Duration,
    /// How long what is in flight may take after that.
    pub drain_timeout: Duration,
    /// Gets the bound addresses once every model is ready.
    pub ready_file: Option<PathBuf>,
}

/// How the service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Everything in flight was answered.
    pub clean: bool,
    /// Every worker has left: destructors may run.
    pub workers_joined: bool,
    /// A model was being loaded: its thread is still inside the runtime.
    pub is_loading: bool,
}

/// The running service.
pub struct App {
    options: AppOptions,
    service: Arc<Service>,
    scheduler: Arc<Scheduler>,
    metrics: Arc<Metrics>,
    shutdown: Arc<Shutdown>,
    admin_shutdown: Shutdown,
    http: Listening,
    grpc: Listening,
    admin: Listening,
}

impl App {
    /// Starts to accept: health answers from now on, inference is not ready.
    ///
    /// # Errors
    /// When a bound listener has no address any more.
    pub fn start(
        options: AppOptions,
        listeners: Listeners,
        telemetry: &Telemetry,
        shutdown: Arc<Shutdown>,
    ) -> std::io::Result<Self> {
        let metrics = Arc::clone(&telemetry.metrics);
        let scheduler = Arc::new(Scheduler::new(Arc::clone(&metrics), telemetry.tracer.clone()));
        let service = Arc::new(
            Service::new(
                Arc::clone(&scheduler),
                Arc::clone(&metrics),
                options.service.clone(),
                shutdown.watch(),
            )
            .with_repository(options.repository.clone()),
        );
        service.watch_gpus(options.visible_gpus.clone());
        tokio::spawn(Arc::clone(&service).recover());
        let observing = Observing {
            metrics: Arc::clone(&metrics),
            tracer: telemetry.tracer.clone(),
            access_log: options.access_log,
            log_level: telemetry.log_level.clone(),
        };
        let inflight = InflightBytes::new(options.max_inflight_bytes);
        let http = options.http.clone();
        let api = Api::new(Arc::clone(&service), observing.clone(), http, inflight.clone());
        let limits = GrpcOptions {
            max_message_bytes: options.http.max_body_bytes,
            body_timeout: options.http.body_timeout,
            access: options.http.access.clone(),
        };
        let grpc = Grpc::new(Arc::clone(&service), observing, limits, inflight);
        let calls = move |request| grpc::answer(Arc::clone(&grpc), request);
        if let Some(access) = &options.http.access {
            tokio::spawn(Arc::clone(access).watch(Arc::clone(&metrics)));
        }
        if let Some(token) = &options.http.admin_token {
            tokio::spawn(Arc::clone(token).watch(Arc::clone(&metrics)));
        }
        let admin_shutdown = Shutdown::new();
        let observer: Arc<dyn ConnectionObserver> = Arc::new(Observer(Arc::clone(&metrics)));
        let connections = options.connections.clone();
        let plain = ConnectionOptions { tls: None, ..connections.clone() };
        if let Some(tls) = &connections.tls {
            tokio::spawn(Arc::clone(tls).follow(Arc::clone(&metrics)));
        }
        let public = Split::new(public_router(&api), calls.clone());
        let only_grpc = Split::new(grpc_only_router(&api), calls);
        let told = || Arc::clone(&observer);
        let http = spawn(listeners.http, public, connections.clone(), told(), shutdown.watch())?;
        let grpc = spawn(listeners.grpc, only_grpc, connections, told(), shutdown.watch())?;
        let admin = spawn(listeners.admin, admin_router(&api), plain, told(), admin_shutdown.watch())?;
        Ok(Self { options, service, scheduler, metrics, shutdown, admin_shutdown, http, grpc, admin })
    }

    /// Loads every model; serves each as soon as it is verified. Then writes the ready file.
    ///
    /// # Errors
    /// Everything that is wrong with any model.
    pub async fn load(&self, runtime: &'static Runtime, found: Discovered) -> Result<(), Vec<ModelProblem>> {
        let Discovered { models, mut problems, ignored } = found;
        for entry in ignored {
            tracing::info!(entry, "not a model, ignored");
        }
        let versions = models
            .iter()
            .flat_map(|source| source.versions.iter().map(move |version| (&source.name, version.version)));
        self.service.announce(&versions.collect::<Vec<_>>());
        let (service, metrics) = (Arc::clone(&self.service), Arc::clone(&self.metrics));
        let options = self.options.repository.loading.clone();
        // A service that will end for its faults must not be ready in between.
        let serves = problems.is_empty();
        let loading = tokio::task::spawn_blocking(move || {
            let loader = Loader { runtime, service: &service, metrics: &metrics, options: &options, serves };
            loader.all(&models)
        });
        match loading.await {
            Ok(mut found) => problems.append(&mut found),
            Err(error) => problems.push(ModelProblem::new("loading", error.to_string())),
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        self.tell_cores();
        if let Some(path) = &self.options.ready_file {
            self.write_ready_file(path).map_err(|error| {
                vec![ModelProblem::new("ready file", format!("{}: {error}", path.display()))]
            })?;
        }
        tracing::info!(http = %self.http.address, grpc = %self.grpc.address, admin = %self.admin.address, "ready");
        Ok(())
    }

    /// Logs what does not fit together of cores, quota and threads.
    fn tell_cores(&self) {
        let models = self.service.models();
        let ready = models.all().filter_map(|(_, _, state)| state.ready()?.facts.cpu_threads());
        for finding in cores::findings(&Cores::read(), &ready.collect::<Vec<_>>(), None) {
            tracing::warn!("{finding}");
        }
    }

    fn write_ready_file(&self, path: &Path) -> std::io::Result<()> {
        let addresses = serde_json::json!({
            "http": self.http.address.to_string(),
            "grpc": self.grpc.address.to_string(),
            "admin": self.admin.address.to_string(),
        });
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.part", std::process::id()));
        std::fs::write(&beside, addresses.to_string())?;
        std::fs::rename(&beside, path)
    }

    /// Ends in order: not ready, keep serving for a while (unless `at_once`), stop accepting, finish
    /// what is in flight, stop the workers, stop the probes' listener.
    pub async fn drain(self, at_once: bool) -> Ended {
        let begun = Instant::now();
        self.shutdown.advance(Phase::Draining);
        if let Some(path) = &self.options.ready_file
            && let Err(error) = std::fs::remove_file(path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the ready file could not be removed");
        }
        if !at_once {
            tracing::info!(delay_s = self.options.drain_delay.as_secs_f64(), "draining: still serving");
            tokio::time::sleep(self.options.drain_delay).await;
        }
        self.shutdown.advance(Phase::Stopping);
        let deadline = Instant::now() + self.options.drain_timeout;
        let (http, grpc) = tokio::join!(
            finish(self.http.serving, &self.shutdown, deadline),
            finish(self.grpc.serving, &self.shutdown, deadline),
        );
        let forced = http + grpc;
        self.scheduler.close();
        let scheduler = Arc::clone(&self.scheduler);
        let grace = deadline.max(Instant::now() + WORKER_GRACE);
        let joined = tokio::task::spawn_blocking(move || scheduler.join(grace)).await.unwrap_or(false);
        self.service.clear();
        self.metrics.shutdown_duration(begun.elapsed());
        self.admin_shutdown.advance(Phase::Stopping);
        finish(self.admin.serving, &self.admin_shutdown, Instant::now() + PROBE_GRACE).await;
        if forced > 0 {
            tracing::warn!(connections = forced, "cut what did not finish in time");
        }
        Ended { clean: forced == 0, workers_joined: joined, is_loading: self.service.is_loading() }
    }
}

/// How long workers may take to end a run whose caller was cut off.
const WORKER_GRACE: Duration = Duration::from_millis(500);
/// How long a probe or scrape in flight may take at the very end.
const PROBE_GRACE: Duration = Duration::from_millis(200);

/// Waits for a listener's connections, cuts them at `deadline`; how many were cut.
async fn finish(
    mut serving: JoinHandle<std::io::Result<ServeReport>>,
    shutdown: &Shutdown,
    deadline: Instant,
) -> usize {
    if let Ok(ended) = tokio::time::timeout_at(deadline.into(), &mut serving).await {
        return forced(ended);
    }
    shutdown.advance(Phase::Cut);
    forced(serving.await)
}

fn forced(ended: Result<std::io::Result<ServeReport>, tokio::task::JoinError>) -> usize {
    match ended {
        Ok(Ok(report)) => report.forced,
        Ok(Err(error)) => {
            tracing::error!(%error, "a listener failed");
            0
        }
        Err(error) => {
            tracing::error!(%error, "a listener's task failed");
            0
        }
    }
}

/// Loads models side by side, as many at once as there are cores.
struct Loader<'a> {
    runtime: &'static Runtime,
    service: &'a Service,
    metrics: &'a Metrics,
    options: &'a LoadOptions,
    /// False when the models are only looked at, to tell all their faults.
    serves: bool,
}

impl Loader<'_> {
    fn all(&self, sources: &[ModelSource]) -> Vec<ModelProblem> {
        let jobs: Vec<(&ModelSource, &VersionSource)> = sources
            .iter()
            .flat_map(|source| source.versions.iter().map(move |version| (source, version)))
            .collect();
        let next = std::sync::atomic::AtomicUsize::new(0);
        let loaders = Cores::read().threads().min(jobs.len());
        let mut problems: Vec<(usize, Vec<ModelProblem>)> = std::thread::scope(|scope| {
            let work = || {
                let mut found = Vec::new();
                loop {
                    let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some((source, version)) = jobs.get(index) else { return found };
                    found.push((index, self.one(source, version)));
                }
            };
            let threads: Vec<_> = (0..loaders).map(|_| scope.spawn(work)).collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap_or_else(|_| vec![panicked()]))
                .collect()
        });
        problems.sort_by_key(|(index, _)| *index);
        problems.into_iter().flat_map(|(_, problems)| problems).collect()
    }

    #[tracing::instrument(
        target = "ml_inference_api::lifecycle",
        name = "load-model",
        skip_all,
        fields(model.name = %source.name, model.version = %version.version)
    )]
    fn one(&self, source: &ModelSource, version: &VersionSource) -> Vec<ModelProblem> {
        match load_version(self.runtime, source, version, self.options) {
            Ok(loaded) => {
                loaded.log();
                if !self.serves {
                    return Vec::new();
                }
                let served = self.service.serve(loaded);
                let failed =
                    |error: std::io::Error| vec![ModelProblem::new(source.name.as_str(), error.to_string())];
                served.map_or_else(failed, |()| Vec::new())
            }
            Err(problems) => {
                let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                self.service.failed(&source.name, version.version, text);
                let version = version.version.to_string();
                self.metrics.model(source.name.as_str(), &version, "none").load_result(LoadResult::Error);
                problems
            }
        }
    }
}

fn panicked() -> (usize, Vec<ModelProblem>) {
    (usize::MAX, vec![ModelProblem::new("loading", "a loader panicked")])
}

/// Connection events as metrics.
struct Observer(Arc<Metrics>);

impl ConnectionObserver for Observer {
    fn opened(&self) {
        self.0.http().connection_opened();
    }

    fn closed(&self) {
        self.0.http().connection_closed();
    }

    fn busy(&self) {
        self.0.http().connection_active();
    }

    fn idle(&self) {
        self.0.http().connection_idle();
    }

    fn error(&self, kind: ConnectionErrorKind) {
        let kind = match kind {
            ConnectionErrorKind::HeaderTimeout => ConnectionError::HeaderTimeout,
            ConnectionErrorKind::WriteTimeout => ConnectionError::WriteTimeout,
            ConnectionErrorKind::Tls => ConnectionError::Tls,
            ConnectionErrorKind::Protocol => ConnectionError::Protocol,
            ConnectionErrorKind::Limit => ConnectionError::Limit,
            ConnectionErrorKind::Accept => ConnectionError::Accept,
            ConnectionErrorKind::ResetFlood => ConnectionError::ResetFlood,
        };
        self.0.http().connection_error(kind);
    }

    fn forced(&self) {
        self.0.shutdown_forced(1);
    }
}
