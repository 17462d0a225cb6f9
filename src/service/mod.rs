//! The one door that every protocol calls: find a model, decode, queue, run, encode, account.
//!
//! Protocols bring closures that decode and encode their own format; everything between them, and
//! every metric and span of an inference, is here. Knows no wire format.

mod access;
mod accounting;
mod batch_bounds;
mod classes;
mod declared;
pub mod description;
mod error;
mod evidence;
mod golden;
mod gpus;
mod health;
mod infer;
mod load;
mod model;
mod predict;
mod recovery;
mod registry;
mod repository;
mod sessions;
mod shapes;
mod timing;
mod turns;
mod verify;
mod wanted;
mod warm_up;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

pub use access::{Access, AdminToken, Caller, KeyProblem, Scope, key_entry};
pub use declared::{DeclaredInput, raw_tensor};
pub use error::{ErrorCode, GrpcCode, ServiceError};
pub use health::{Health, ModelHealth};
pub use infer::{InferInputs, InputRules, InputSlots};
pub use load::{LoadOptions, LoadedModel, load_version};
pub use model::{Model, ModelFacts, Priorities};
pub use predict::{PredictRequest, Predicted, Schedule};
pub use registry::{Absent, ModelState, Models, Registry};
pub use repository::{RepositoryError, RepositoryOptions};
pub use timing::Timeline;
pub use wanted::{AskedOutput, Form, Wanted, WantedOutput};

use recovery::Loss;
use tokio::sync::mpsc;

use crate::model::{ModelName, Version};
use crate::scheduler::{BatchLimits, DeviceKind, DeviceOptions, Grouping, ModelOptions, Scheduler};
use crate::shutdown::{Phase, ShutdownWatch};
use crate::task::DecodeLimits;
use crate::telemetry::{GpuWatch, LoadResult, Metrics, Outcome};

/// The device whose slots are cores.
const CPU: &str = "cpu";
/// Bodies beyond this are refused unread when the queue is full.
const EARLY_REFUSAL_BYTES: u64 = 64 << 10;

/// What the service is told by the configuration.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    /// The model of requests that name none.
    pub default_model: Option<String>,
    /// No request may take longer.
    pub request_timeout: Duration,
    /// Bounds of decoding.
    pub decode: DecodeLimits,
    /// A run that takes longer than this is stuck.
    pub stuck_after: Duration,
    /// Cores that this process may use: execution slots of the CPU, and heavy encodings at once.
    pub cores: usize,
}

/// Loaded models and the way to run them.
pub struct Service {
    registry: Registry,
    scheduler: Arc<Scheduler>,
    metrics: Arc<Metrics>,
    options: ServiceOptions,
    shutdown: ShutdownWatch,
    encoders: tokio::sync::Semaphore,
    repository: Option<repository::Repository>,
    /// Models whose devices are lost, from their sessions to who mends them.
    losses: (mpsc::UnboundedSender<Loss>, Mutex<Option<mpsc::UnboundedReceiver<Loss>>>),
    gpus: OnceLock<GpuWatch>,
}

impl Service {
    /// A service without models.
    pub fn new(
        scheduler: Arc<Scheduler>,
        metrics: Arc<Metrics>,
        options: ServiceOptions,
        shutdown: ShutdownWatch,
    ) -> Self {
        let encoders = tokio::sync::Semaphore::new(options.cores.max(1));
        let (registry, repository) = (Registry::default(), None);
        let (told, losses) = mpsc::unbounded_channel();
        let losses = (told, Mutex::new(Some(losses)));
        Self {
            registry,
            scheduler,
            metrics,
            options,
            shutdown,
            encoders,
            repository,
            losses,
            gpus: OnceLock::new(),
        }
    }

    /// Announces the versions that are about to be loaded.
    pub fn announce(&self, versions: &[(&ModelName, Version)]) {
        self.registry.set_all(versions, &ModelState::Loading);
    }

    /// Notes that a version could not be loaded.
    pub fn failed(&self, name: &ModelName, version: Version, reason: String) {
        self.registry.set(name, version, &ModelState::Failed(reason));
    }

    /// Lets a loaded model serve.
    ///
    /// # Errors
    /// When the system refuses a thread for its device.
    pub fn serve(&self, loaded: LoadedModel) -> std::io::Result<()> {
        let model = self.build(loaded)?;
        let (name, version) = (model.facts.name.clone(), model.facts.version);
        self.registry.set(&name, version, &ModelState::Ready(model));
        Ok(())
    }

    /// Gives a loaded model its queue and its metrics.
    fn build(&self, mut loaded: LoadedModel) -> std::io::Result<Arc<Model>> {
        let watched = self.watched(&mut loaded);
        self.gpus_in_use(&loaded.facts.cuda_devices);
        let LoadedModel { facts, task, sessions, measured, runtime_version, stamp, .. } = loaded;
        let version = facts.version.to_string();
        let metrics = self.metrics.model(facts.name.as_str(), &version, &facts.device);
        metrics.nodes(facts.placement.iter().map(|(provider, &nodes)| (provider.as_str(), nodes)));
        metrics.loaded(&facts.digest, &runtime_version, facts.provider, facts.load_time, facts.warmup_time);
        metrics.load_result(LoadResult::Ok);
        metrics.session_threads(facts.instances * facts.intra_threads);
        let features = task.features().map(|names| metrics.quality().features(names));
        let is_cpu = facts.device == CPU;
        let (kind, permits) = if is_cpu {
            (DeviceKind::Cores, self.options.cores)
        } else {
            (DeviceKind::Accelerator, sessions.len())
        };
        let (sessions, freed) = sessions::told(sessions, watched);
        let queue = self.scheduler.add_model(ModelOptions {
            model: facts.name.to_string(),
            version,
            device: DeviceOptions { name: facts.device.clone(), kind, permits },
            provider: facts.provider,
            cost: if is_cpu { facts.intra_threads } else { 1 },
            sessions,
            limits: BatchLimits {
                max_rows: facts.max_batch_size,
                max_tokens: facts.max_batch_tokens,
                max_delay: facts.max_queue_delay,
            },
            grouping: Grouping {
                batchable: facts.batchable,
                has_free_shape: warm_up::has_free_shape(&facts.signature),
                pads: facts.pads,
            },
            buckets: facts.buckets.clone(),
            measured,
            queue_capacity: facts.queue_capacity,
            metrics: Arc::clone(&metrics),
        })?;
        Ok(Arc::new(Model { facts, task, queue, metrics, features, stamp, freed }))
    }

    /// The models now.
    pub fn models(&self) -> arc_swap::Guard<Arc<Models>> {
        self.registry.models()
    }

    /// What decoding may take.
    pub fn decode_limits(&self) -> &DecodeLimits {
        &self.options.decode
    }

    /// Refuses until the first load has ended well.
    ///
    /// # Errors
    /// `not_ready`.
    pub fn started(&self) -> Result<(), ServiceError> {
        if self.registry.models().started() {
            return Ok(());
        }
        Err(ServiceError::new(ErrorCode::NotReady, "the models are still being loaded"))
    }

    /// The model that a request means.
    ///
    /// # Errors
    /// `not_ready` before the first load has ended; then 404 for what there is not.
    pub fn resolve(&self, name: Option<&str>, version: Option<&str>) -> Result<Arc<Model>, ServiceError> {
        self.started()?;
        let models = self.registry.models();
        let name = match name.or(self.options.default_model.as_deref()) {
            Some(name) => name,
            None => only_name(&models)?,
        };
        let not_found = || ServiceError::new(ErrorCode::ModelNotFound, unknown_model(&models));
        let versions = models.versions(name).ok_or_else(not_found)?;
        let Some(version) = version else {
            return Models::default_version(versions)
                .cloned()
                .ok_or_else(|| ServiceError::new(ErrorCode::NotReady, "no version of this model is ready"));
        };
        match Version::parse(version).and_then(|version| versions.get(&version)) {
            Some(ModelState::Ready(model)) => Ok(Arc::clone(model)),
            Some(ModelState::Loading | ModelState::Failed(_)) => {
                Err(ServiceError::new(ErrorCode::NotReady, "this version is not ready"))
            }
            None => {
                let known: Vec<String> = versions.keys().map(Version::to_string).collect();
                let detail = format!("the model has no such version; it has {}", known.join(", "));
                Err(ServiceError::new(ErrorCode::VersionNotFound, detail))
            }
        }
    }

    /// Refuses when nothing new may start.
    ///
    /// # Errors
    /// `draining` once the process has stopped accepting.
    pub fn accepting(&self) -> Result<(), ServiceError> {
        if self.shutdown.phase() >= Phase::Stopping {
            return Err(ServiceError::draining());
        }
        Ok(())
    }

    /// Refuses when nothing may be predicted, whatever the model.
    ///
    /// # Errors
    /// `not_ready` before the first load has ended, `draining` once the process has stopped accepting.
    pub fn open(&self) -> Result<(), ServiceError> {
        if !self.registry.models().started() {
            return Err(ServiceError::new(ErrorCode::NotReady, "the models are still being loaded"));
        }
        self.accepting()
    }

    /// The phase of the process' end.
    pub fn shutdown(&self) -> ShutdownWatch {
        self.shutdown.clone()
    }

    /// Tells of every change of a model's state.
    pub fn changes(&self) -> tokio::sync::watch::Receiver<()> {
        self.registry.changes()
    }

    /// Refuses a large body unread when its model's queue is full.
    ///
    /// # Errors
    /// `overloaded`.
    pub fn early_refusal(&self, model: &Model, body_bytes: Option<u64>) -> Result<(), ServiceError> {
        if body_bytes.is_none_or(|bytes| bytes <= EARLY_REFUSAL_BYTES) || !model.queue.is_full(1) {
            return Ok(());
        }
        let error = ServiceError::new(ErrorCode::Overloaded, "the model's queue is full");
        Err(error.retry_after(model.queue.retry_after()))
    }

    /// Counts a prediction that was refused before it began; `model` where it is known by then.
    pub fn refused(&self, model: Option<&Model>, error: &ServiceError) {
        let outcome = error.code.outcome();
        let Some(model) = model else { return self.metrics.unknown_model(outcome) };
        model.metrics.outcome(outcome);
        if outcome == Outcome::Rejected {
            model.metrics.rejected(error.code.text());
        }
    }

    /// Workers that have not returned from a run for too long; updates their gauge.
    pub fn stuck_workers(&self) -> usize {
        self.scheduler.stuck_workers(self.options.stuck_after, Instant::now())
    }

    /// True while the process is on its way out: answers ask connections to close.
    pub fn is_draining(&self) -> bool {
        self.shutdown.phase() > Phase::Serving
    }

    /// Lets go of every model, so that sessions end before the runtime does.
    pub fn clear(&self) {
        self.registry.clear();
        if let Some(gpus) = self.gpus.get() {
            gpus.end();
        }
    }
}

fn only_name(models: &Models) -> Result<&str, ServiceError> {
    let mut names = models.names();
    match (names.next(), names.next()) {
        (Some(only), None) => Ok(only.as_str()),
        (None, _) => Err(ServiceError::new(ErrorCode::ModelNotFound, unknown_model(models))),
        _ => Err(ServiceError::new(
            ErrorCode::ModelNotFound,
            format!("several models are served: name one, as in /predict/{{model}}; {}", known(models)),
        )),
    }
}

fn known(models: &Models) -> String {
    if models.names().next().is_none() {
        return "no model is loaded".to_owned();
    }
    let names: Vec<&str> = models.names().map(ModelName::as_str).take(8).collect();
    let more = if models.names().count() > names.len() { ", ..." } else { "" };
    format!("there are {}{more}", names.join(", "))
}

fn unknown_model(models: &Models) -> String {
    format!("no model has this name; {}", known(models))
}
