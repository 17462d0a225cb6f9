//! Loading and unloading while the process serves: the model repository, for every protocol.
//!
//! A load goes the whole way of a start (files, digests, warm-up, golden samples) beside what serves, and
//! only what came out well takes its place, in one step. Who began a request with the old model ends it
//! there: its sessions are freed with the last such request. Invariant: one change of a model at a time;
//! a load that fails changes nothing of what serves; nothing outside the configured paths is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::registry::{Absent, Replacement};
use super::sessions::Freed;
use super::turns::{Turn, Turns};
use super::{ErrorCode, LoadOptions, LoadedModel, Model, ModelHealth, Service, ServiceError, load_version};
use crate::engine::Runtime;
use crate::model::{
    Discovered, ModelName, ModelPath, ModelProblem, ModelSource, Stamp, Version, VersionSource, discover,
};
use crate::shutdown::Phase;
use crate::telemetry::LoadResult;

/// Loads that go on at once: each needs the memory of another model.
const LOADS: usize = 2;
/// The reason of a version that was unloaded, as Triton words it.
const UNLOADED: &str = "unloaded";

/// Where models come from.
#[derive(Clone)]
pub struct RepositoryOptions {
    /// What runs them.
    pub runtime: &'static Runtime,
    /// Models and folders of models.
    pub paths: Vec<ModelPath>,
    /// How they are loaded.
    pub loading: LoadOptions,
    /// A load or unload that takes longer is given up.
    pub timeout: Duration,
}

/// The state of loading and unloading.
pub(super) struct Repository {
    options: RepositoryOptions,
    turns: Arc<Turns>,
    loads: Arc<Semaphore>,
    /// Threads that load.
    inside: AtomicUsize,
}

impl Repository {
    pub(super) fn new(options: RepositoryOptions) -> Self {
        let loads = Arc::new(Semaphore::new(LOADS));
        Self { options, turns: Arc::default(), loads, inside: AtomicUsize::new(0) }
    }

    /// Where models come from.
    pub(super) fn paths(&self) -> &[ModelPath] {
        &self.options.paths
    }

    /// Who changes which model.
    pub(super) const fn turns(&self) -> &Arc<Turns> {
        &self.turns
    }

    /// Counts the calling thread as inside the runtime until what comes is dropped.
    fn enter(&self) -> Inside<'_> {
        self.inside.fetch_add(1, Ordering::SeqCst);
        Inside(&self.inside)
    }

    /// Loads one version. Blocking.
    pub(super) fn load(
        &self,
        source: &ModelSource,
        version: &VersionSource,
    ) -> Result<LoadedModel, Vec<ModelProblem>> {
        let _inside = self.enter();
        load_version(self.options.runtime, source, version, &self.options.loading)
    }
}

/// Why a model was not loaded or unloaded.
#[derive(Debug)]
pub struct RepositoryError {
    /// What the caller is told.
    pub error: ServiceError,
    /// The versions that are bad, each with all its reasons.
    pub models: Vec<ModelHealth>,
}

impl From<ServiceError> for RepositoryError {
    fn from(error: ServiceError) -> Self {
        Self { error, models: Vec::new() }
    }
}

/// A model as its files are now: what of it serves on, and what was loaded anew.
struct Prepared {
    kept: Vec<Version>,
    loaded: Vec<LoadedModel>,
}

/// Counts a thread as long as it is inside the runtime.
struct Inside<'a>(&'a AtomicUsize);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Service {
    /// A service whose models may be loaded and unloaded while it runs.
    #[must_use]
    pub fn with_repository(mut self, options: RepositoryOptions) -> Self {
        self.repository = Some(Repository::new(options));
        self
    }

    /// True while a thread loads a model: it is inside the runtime.
    pub fn is_loading(&self) -> bool {
        self.repository.as_ref().is_some_and(|repository| repository.inside.load(Ordering::SeqCst) > 0)
    }

    /// Loads a model out of the configured paths, or reads it again: versions that are new or changed are
    /// loaded and verified, those whose files are gone are let go. Goes on when the caller leaves.
    ///
    /// # Errors
    /// `model_not_found` where no configured path holds it; `model_load_failed` with everything that is
    /// wrong with it, after which what served serves on; `not_ready`, `draining`, `overloaded`,
    /// `deadline_exceeded`.
    pub async fn load_model(self: &Arc<Self>, name: &str) -> Result<(), RepositoryError> {
        let (repository, name) = self.changeable(name)?;
        let place = repository.turns.enter()?;
        let given_up = Arc::new(AtomicBool::new(false));
        let (service, told) = (Arc::clone(self), Arc::clone(&given_up));
        let loads = Arc::clone(&repository.loads);
        let loading = tokio::spawn(async move {
            let turn = place.turn(name.clone()).await;
            let permit = loads.acquire_owned().await.map_err(ServiceError::internal)?;
            service.load_in_turn(name, (turn, permit), told).await
        });
        self.settled(repository, loading, &given_up).await
    }

    /// Takes a model out of service: no new request finds it, those that have begun are answered, then its
    /// sessions are freed and its metrics removed. Goes on when the caller leaves.
    ///
    /// # Errors
    /// `model_not_found` for a model that never served; `not_ready`, `draining`, `overloaded`,
    /// `deadline_exceeded`.
    pub async fn unload_model(self: &Arc<Self>, name: &str) -> Result<(), RepositoryError> {
        let (repository, name) = self.changeable(name)?;
        let place = repository.turns.enter()?;
        let service = Arc::clone(self);
        let unloading = tokio::spawn(async move {
            let _turn = place.turn(name.clone()).await;
            service.unload_in_turn(&name).await
        });
        self.settled(repository, unloading, &AtomicBool::new(false)).await
    }

    /// Every version that the configured paths hold now, whether it serves or not.
    pub async fn discoverable(self: &Arc<Self>) -> Vec<(ModelName, Version)> {
        let Some(repository) = &self.repository else { return Vec::new() };
        let paths = repository.options.paths.clone();
        let found = tokio::task::spawn_blocking(move || discover(&paths)).await.unwrap_or_default();
        let versions = |source: ModelSource| {
            let name = source.name;
            source.versions.into_iter().map(move |version| (name.clone(), version.version))
        };
        found.models.into_iter().flat_map(versions).collect()
    }

    /// The repository and the name, where models may be changed now.
    fn changeable(&self, name: &str) -> Result<(&Repository, ModelName), ServiceError> {
        let name = name.parse::<ModelName>().map_err(|_| not_in_a_repository())?;
        if self.shutdown.phase() > Phase::Serving {
            return Err(ServiceError::draining());
        }
        if !self.registry.models().started() {
            return Err(ServiceError::new(ErrorCode::NotReady, "the models are still being loaded"));
        }
        let repository = self.repository.as_ref();
        Ok((repository.ok_or_else(|| ServiceError::internal("a service without repository"))?, name))
    }

    /// The end of a change, unless the process ends or the time is over before it.
    async fn settled(
        &self,
        repository: &Repository,
        change: JoinHandle<Result<(), RepositoryError>>,
        given_up: &AtomicBool,
    ) -> Result<(), RepositoryError> {
        let mut shutdown = self.shutdown.clone();
        let limit = repository.options.timeout;
        let error = tokio::select! {
            ended = change => {
                return ended.unwrap_or_else(|error| Err(ServiceError::internal(error).into()));
            }
            () = shutdown.reached(Phase::Draining) => ServiceError::draining(),
            () = tokio::time::sleep(limit) => {
                let detail = format!("it took longer than {} s and is given up", limit.as_secs_f64());
                ServiceError::new(ErrorCode::DeadlineExceeded, detail)
            }
        };
        given_up.store(true, Ordering::Relaxed);
        Err(error.into())
    }

    async fn load_in_turn(
        self: &Arc<Self>,
        name: ModelName,
        (turn, permit): (Turn, OwnedSemaphorePermit),
        given_up: Arc<AtomicBool>,
    ) -> Result<(), RepositoryError> {
        let (service, loading) = (Arc::clone(self), name.clone());
        // The turn stays with the thread: it ends with the load, whoever still waits for it.
        let prepared = tokio::task::spawn_blocking(move || {
            let prepared = service.prepare(&loading, &given_up);
            drop(permit);
            (turn, prepared)
        });
        let Ok((turn, prepared)) = prepared.await else {
            self.registry.end_loading(&name, "the load panicked");
            return Err(ServiceError::internal("a load panicked").into());
        };
        let replaced = prepared.and_then(|prepared| self.replace(&name, prepared));
        match replaced {
            Ok(vanished) => {
                if !vanished.is_empty() {
                    let service = Arc::clone(self);
                    tokio::spawn(async move {
                        service.let_go(vanished, None).await;
                        drop(turn);
                    });
                }
                Ok(())
            }
            Err(error) => {
                let reasons = error.models.iter().filter_map(|model| model.reason.clone());
                let reasons = reasons.collect::<Vec<_>>().join("; ");
                let cause = if reasons.is_empty() { &error.error.detail } else { &reasons };
                tracing::error!(model = %name, cause, "the model was not loaded");
                self.registry.end_loading(&name, cause);
                Err(error)
            }
        }
    }

    /// Looks at the files and loads what is new or changed. Blocking.
    fn prepare(&self, name: &ModelName, given_up: &AtomicBool) -> Result<Prepared, RepositoryError> {
        let Some(repository) = &self.repository else { return Err(not_in_a_repository().into()) };
        let _inside = repository.enter();
        let source = find(discover(repository.paths()), name)?;
        let served = self.served(name);
        let mut prepared = Prepared { kept: Vec::new(), loaded: Vec::new() };
        let mut to_load = Vec::new();
        for version in &source.versions {
            let known = served.iter().find(|model| model.facts.version == version.version);
            let is_same = known.is_some_and(|model| model.stamp.is_same(&Stamp::of(&source, version)));
            if is_same { prepared.kept.push(version.version) } else { to_load.push(version) }
        }
        let new = to_load.iter().map(|version| version.version);
        let new = new.filter(|version| !served.iter().any(|model| model.facts.version == *version));
        self.registry.mark(name, &new.collect::<Vec<_>>(), &Absent::Loading);
        let mut bad = Vec::new();
        for version in to_load {
            if given_up.load(Ordering::Relaxed) {
                return Err(abandoned().into());
            }
            match repository.load(&source, version) {
                Ok(loaded) => prepared.loaded.push(loaded),
                Err(problems) => {
                    let known = served.iter().find(|model| model.facts.version == version.version);
                    let number = version.version.to_string();
                    let metrics = known.map(|model| Arc::clone(&model.metrics));
                    let metrics =
                        metrics.unwrap_or_else(|| self.metrics.model(name.as_str(), &number, "none"));
                    metrics.load_result(LoadResult::Error);
                    bad.push(health(name, number, &problems));
                }
            }
        }
        if given_up.load(Ordering::Relaxed) {
            return Err(abandoned().into());
        }
        if bad.is_empty() { Ok(prepared) } else { Err(failed(bad)) }
    }

    /// Puts what was prepared into service in one step; gives what serves no more.
    fn replace(&self, name: &ModelName, prepared: Prepared) -> Result<Vec<Arc<Model>>, RepositoryError> {
        let Prepared { kept, loaded } = prepared;
        let mut fresh = Vec::with_capacity(loaded.len());
        for loaded in loaded {
            loaded.log();
            fresh.push(self.build(loaded).map_err(ServiceError::internal)?);
        }
        let before = self.served(name);
        let stays = |model: &Arc<Model>| {
            let version = model.facts.version;
            kept.contains(&version) || fresh.iter().any(|model| model.facts.version == version)
        };
        let vanished: Vec<Arc<Model>> = before.into_iter().filter(|model| !stays(model)).collect();
        if !self.registry.replace(name, &Replacement { kept: &kept, fresh: &fresh }) {
            return Err(ServiceError::draining().into());
        }
        Ok(vanished)
    }

    /// The versions of a model that serve.
    fn served(&self, name: &ModelName) -> Vec<Arc<Model>> {
        self.registry.models().ready_versions(name.as_str()).cloned().collect()
    }

    async fn unload_in_turn(self: &Arc<Self>, name: &ModelName) -> Result<(), RepositoryError> {
        let served = self.served(name);
        // Those that do not serve, such as one whose device is lost, have nothing to be let go.
        let others: Vec<Version> = {
            let models = self.registry.models();
            let versions = models.versions(name.as_str()).into_iter().flatten();
            versions.filter(|(_, state)| state.ready().is_none()).map(|(version, _)| *version).collect()
        };
        if served.is_empty() && others.is_empty() {
            let is_known = self.registry.models().absent().any(|(known, ..)| known == name);
            return if is_known { Ok(()) } else { Err(not_in_a_repository().into()) };
        }
        self.registry.remove(name);
        self.registry.mark(name, &others, &Absent::Unavailable(UNLOADED.to_owned()));
        for version in others {
            self.metrics.forget(name.as_str(), &version.to_string());
        }
        self.let_go(served, Some(UNLOADED)).await;
        tracing::info!(model = %name, "model unloaded");
        Ok(())
    }

    /// Waits until the last request has left these versions of a model and their sessions are freed, then
    /// removes their metrics. They are told as unavailable for `reason` from then on, or not at all.
    async fn let_go(&self, models: Vec<Arc<Model>>, reason: Option<&str>) {
        let of = |model: &Arc<Model>| (model.facts.name.clone(), model.facts.version, model.freed.take());
        let leaving: Vec<_> = models.iter().map(of).collect();
        drop(models);
        for (name, version, sessions) in leaving {
            Freed::wait(sessions).await;
            self.metrics.forget(name.as_str(), &version.to_string());
            match reason {
                Some(reason) => {
                    self.registry.mark(&name, &[version], &Absent::Unavailable(reason.to_owned()));
                }
                None => self.registry.unmark(&name, version),
            }
        }
    }
}

/// The one model of that name.
fn find(found: Discovered, name: &ModelName) -> Result<ModelSource, RepositoryError> {
    let Discovered { models, problems, .. } = found;
    let ours: Vec<ModelProblem> =
        problems.into_iter().filter(|problem| problem.model == name.as_str()).collect();
    if !ours.is_empty() {
        return Err(failed(vec![health(name, String::new(), &ours)]));
    }
    let source = models.into_iter().find(|source| source.name == *name);
    source.ok_or_else(|| not_in_a_repository().into())
}

fn health(name: &ModelName, version: String, problems: &[ModelProblem]) -> ModelHealth {
    let reasons = problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; ");
    ModelHealth { name: name.to_string(), version, state: "failed", reason: Some(reasons) }
}

fn failed(models: Vec<ModelHealth>) -> RepositoryError {
    let detail = "the model could not be loaded, and what was served is served on; `models` has the reasons";
    RepositoryError { error: ServiceError::new(ErrorCode::ModelLoadFailed, detail), models }
}

fn not_in_a_repository() -> ServiceError {
    ServiceError::new(ErrorCode::ModelNotFound, "no configured path holds a model of this name")
}

/// Of a load that nobody waits for any more; told to the log and the index.
fn abandoned() -> ServiceError {
    ServiceError::new(ErrorCode::DeadlineExceeded, "the load was given up before its end")
}
