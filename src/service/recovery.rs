//! A model whose device was lost: out of service at once, loaded anew until that works.
//!
//! Requests are refused with 503 and the pod is not ready meanwhile; never does another device, or the CPU, stand
//! in without being asked. A load goes the whole way (warm-up, golden samples), so that what comes back is right.
//! What the process can't mend (a broken card, a corrupt CUDA context) keeps it unready until it is started anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::sessions::{Freed, Watched};
use super::{LoadedModel, Model, ModelState, Models, Service};
use crate::engine;
use crate::model::{ModelName, ModelSource, Version, discover};
use crate::shutdown::Phase;
use crate::telemetry::LoadResult;

/// Before an attempt: the first soon, the others ever later.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Who is lost again within this time waits longer.
const STEADY: Duration = Duration::from_mins(10);

/// How an attempt to mend a model ended.
enum Attempt {
    /// It serves, or is somebody else's to change.
    Ended,
    /// It does not, and why.
    Failed(String),
}

/// A model's device was lost.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Loss {
    pub(super) name: ModelName,
    pub(super) version: Version,
}

impl Service {
    /// How the sessions of this model are watched; not at all on the CPU.
    pub(super) fn watched(&self, loaded: &mut LoadedModel) -> Option<Watched> {
        if loaded.facts.device == super::CPU {
            return None;
        }
        let losses = self.losses.0.clone();
        let loss = Loss { name: loaded.facts.name.clone(), version: loaded.facts.version };
        let device = loaded.facts.device.clone();
        let on_loss = move |text: &str| {
            tracing::error!(model = %loss.name, version = %loss.version, device, cause = text, "device lost");
            engine::device_lost();
            // The service listens for as long as it is there.
            drop(losses.send(loss.clone()));
        };
        Some(Watched { probe: loaded.probe.take(), on_loss: Box::new(on_loss) })
    }

    /// Mends models whose devices are lost, until the process is on its way out. Runs once.
    pub async fn recover(self: Arc<Self>) {
        let losses = self.losses.1.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(mut losses) = losses else { return };
        let mut shutdown = self.shutdown.clone();
        // Until when each model that was lost is to stay for its next loss to be its first.
        let mut known: BTreeMap<Loss, (Instant, Duration)> = BTreeMap::new();
        loop {
            let loss = tokio::select! {
                loss = losses.recv() => loss,
                () = shutdown.reached(Phase::Draining) => None,
            };
            let Some(loss) = loss else { return };
            let Some(model) = self.take_out(&loss.name, loss.version) else { continue };
            let now = Instant::now();
            let pause = known.get(&loss).filter(|(until, _)| *until > now);
            let pause = pause.map_or(FIRST_PAUSE, |(_, pause)| (*pause * 2).min(LONGEST_PAUSE));
            known.insert(loss.clone(), (now + STEADY, pause));
            tokio::spawn(Arc::clone(&self).mend(loss, model, pause));
        }
    }

    async fn mend(self: Arc<Self>, loss: Loss, model: Arc<Model>, mut pause: Duration) {
        let Loss { name, version } = loss;
        let sessions = model.freed.take();
        drop(model);
        Freed::wait(sessions).await;
        let mut shutdown = self.shutdown.clone();
        while self.shutdown.phase() == Phase::Serving {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.reached(Phase::Draining) => return,
            }
            match self.try_to_mend(&name, version).await {
                Attempt::Ended => return,
                Attempt::Failed(reason) => {
                    tracing::warn!(model = %name, %version, reason, retry_s = pause.as_secs(), "device still lost");
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_to_mend(self: &Arc<Self>, name: &ModelName, version: Version) -> Attempt {
        let Some(repository) = &self.repository else { return Attempt::Ended };
        let place = match repository.turns().enter() {
            Ok(place) => place,
            Err(busy) => return Attempt::Failed(busy.detail),
        };
        let turn = place.turn(name.clone()).await;
        // Somebody may have loaded or unloaded it meanwhile.
        let is_failed = |models: &Models| {
            let state = models.versions(name.as_str()).and_then(|versions| versions.get(&version));
            matches!(state, Some(ModelState::Failed(_)))
        };
        if !is_failed(&self.registry.models()) {
            return Attempt::Ended;
        }
        let (service, loading) = (Arc::clone(self), name.clone());
        // The turn stays with the thread, and ends with the load.
        let load = tokio::task::spawn_blocking(move || (service.load_again(&loading, version), turn));
        let reason = match load.await {
            Ok((Ok(loaded), _turn)) => match self.serve(loaded) {
                Ok(()) => {
                    tracing::info!(model = %name, %version, "the model serves again after its device was lost");
                    return Attempt::Ended;
                }
                Err(error) => error.to_string(),
            },
            Ok((Err(reason), _turn)) => reason,
            Err(error) => error.to_string(),
        };
        self.failed(name, version, format!("its device was lost; loading it again failed: {reason}"));
        Attempt::Failed(reason)
    }

    /// Takes a version out of service, if it serves: of several sessions each tells.
    fn take_out(&self, name: &ModelName, version: Version) -> Option<Arc<Model>> {
        let model: Arc<Model> = {
            let models = self.registry.models();
            let is_it = |model: &&Arc<Model>| model.facts.version == version;
            Arc::clone(models.ready_versions(name.as_str()).find(is_it)?)
        };
        let reason = "its device was lost; it is being loaded again".to_owned();
        self.registry.set(name, version, &ModelState::Failed(reason));
        Some(model)
    }

    fn load_again(&self, name: &ModelName, version: Version) -> Result<LoadedModel, String> {
        let repository = self.repository.as_ref().ok_or("there is no repository to load it from")?;
        let source = self.source_of(name).ok_or("its files are not there any more")?;
        let found = source.versions.iter().find(|found| found.version == version);
        let found = found.ok_or("its files are not there any more")?;
        repository.load(&source, found).map_err(|problems| {
            self.metrics.model(name.as_str(), &version.to_string(), "none").load_result(LoadResult::Error);
            problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; ")
        })
    }

    fn source_of(&self, name: &ModelName) -> Option<ModelSource> {
        let repository = self.repository.as_ref()?;
        discover(repository.paths()).models.into_iter().find(|source| source.name == *name)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::engine::test_runtime;
    use crate::model::ModelPath;
    use crate::scheduler::Scheduler;
    use crate::service::{ErrorCode, LoadOptions, RepositoryOptions, ServiceOptions, load_version};
    use crate::shutdown::Shutdown;
    use crate::task::DecodeLimits;
    use crate::telemetry::{BuildInfo, Metrics, Tracer};

    const GRAPH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/models/add-one.onnx");
    const SOON: Duration = Duration::from_secs(20);

    fn service(folder: &Path, shutdown: &Shutdown) -> Arc<Service> {
        let metrics = Arc::new(Metrics::new(None, &BuildInfo::default()));
        let scheduler = Arc::new(Scheduler::new(Arc::clone(&metrics), Tracer::disabled()));
        let options = ServiceOptions {
            default_model: None,
            request_timeout: SOON,
            decode: DecodeLimits { max_instances: 8, max_depth: 8, max_bytes: 1 << 20, max_pixels: 1 << 20 },
            stuck_after: SOON,
            cores: 2,
        };
        let repository = RepositoryOptions {
            runtime: test_runtime(),
            paths: vec![ModelPath { name: None, path: folder.to_owned() }],
            loading: LoadOptions::default(),
            timeout: SOON,
        };
        let service = Service::new(scheduler, metrics, options, shutdown.watch());
        Arc::new(service.with_repository(repository))
    }

    /// Serves what the folder holds, as if it ran on a GPU.
    fn serve(service: &Arc<Service>, folder: &Path) -> Loss {
        let source = discover(&[ModelPath { name: None, path: folder.to_owned() }]).models.remove(0);
        let loaded = load_version(test_runtime(), &source, &source.versions[0], &LoadOptions::default());
        let Ok(mut loaded) = loaded else { panic!("the fixture loads") };
        loaded.facts.device = "cuda:0".into();
        let loss = Loss { name: loaded.facts.name.clone(), version: loaded.facts.version };
        service.serve(loaded).unwrap();
        loss
    }

    async fn until(service: &Service, what: impl Fn(&Service) -> bool) {
        let mut changes = service.changes();
        let waited = tokio::time::timeout(SOON, async {
            while !what(service) {
                changes.changed().await.unwrap();
            }
        });
        waited.await.expect("it comes to that");
    }

    #[tokio::test]
    async fn a_model_whose_device_is_lost_refuses_and_comes_back_when_it_loads_again() {
        let folder = tempfile::tempdir().unwrap();
        let graph = folder.path().join("m.onnx");
        std::fs::copy(GRAPH, &graph).unwrap();
        let shutdown = Shutdown::new();
        let service = service(folder.path(), &shutdown);
        let loss = serve(&service, folder.path());
        let before = service.resolve(Some("m"), None).map_err(|error| error.detail).unwrap();
        tokio::spawn(Arc::clone(&service).recover());
        // Every session of a model tells.
        for _ in 0..3 {
            service.losses.0.send(loss.clone()).unwrap();
        }
        until(&service, |service| service.readiness().problem.is_some()).await;
        let refused = service.resolve(Some("m"), None).err().expect("it is out of service");
        assert_eq!(refused.code, ErrorCode::NotReady);
        assert!(service.liveness().problem.is_none(), "no model decides over liveness");
        // A request that has begun keeps its model, and the load waits until its memory is free.
        std::fs::remove_file(&graph).unwrap();
        drop(before);
        let told = |service: &Service| service.readiness().models[0].reason.clone().unwrap_or_default();
        until(&service, |service| told(service).contains("loading it again failed")).await;
        assert!(told(&service).contains("its files are not there any more"), "{}", told(&service));
        std::fs::copy(GRAPH, &graph).unwrap();
        until(&service, |service| service.readiness().problem.is_none()).await;
        let after = service.resolve(Some("m"), None).map_err(|error| error.detail).unwrap();
        assert_eq!(after.facts.device, "cpu", "what it says is what the load found");
        shutdown.advance(Phase::Draining);
    }

    #[tokio::test]
    async fn what_was_unloaded_meanwhile_is_not_brought_back() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(GRAPH, folder.path().join("m.onnx")).unwrap();
        let shutdown = Shutdown::new();
        let service = service(folder.path(), &shutdown);
        let loss = serve(&service, folder.path());
        service.registry.remove(&loss.name);
        assert!(service.take_out(&loss.name, loss.version).is_none());
        assert!(matches!(service.try_to_mend(&loss.name, loss.version).await, Attempt::Ended));
        assert!(service.models().versions("m").is_none());
    }

    #[tokio::test]
    async fn a_model_whose_device_is_lost_can_be_unloaded() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(GRAPH, folder.path().join("m.onnx")).unwrap();
        let shutdown = Shutdown::new();
        let service = service(folder.path(), &shutdown);
        let loss = serve(&service, folder.path());
        drop(service.take_out(&loss.name, loss.version).expect("it served"));
        assert!(service.unload_model("m").await.is_ok());
        assert!(matches!(service.try_to_mend(&loss.name, loss.version).await, Attempt::Ended));
        assert!(service.models().versions("m").is_none());
        assert!(service.unload_model("other").await.is_err());
    }
}
