//! From a model on disk to one that may serve: digest, sessions, task, batch check, warm-up, golden
//! samples. Blocking; called by `app` on a thread of its own and by `check`, `predict`, `bench`.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::batch_bounds::BatchBounds;
use super::verify::{self, Verified};
use super::{ModelFacts, Priorities, evidence};
use crate::engine::{self, LargestShape, Runtime, SessionOptions};
use crate::model::{
    Execution, Manifest, ManifestDefaults, ModelProblem, ModelSource, ProviderKind, Queue, Stamp,
    VersionSource, sha256_file, verify_digests,
};
use crate::scheduler::Measured;
use crate::task::Task;
use crate::tensor::Tensor;

/// Default for `queue.max_size`, rows.
const QUEUE_SIZE: usize = 2048;

/// How every model is loaded.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// What manifests leave out.
    pub defaults: ManifestDefaults,
    /// Where what is compiled at load is kept for the next start.
    pub cache_dir: Option<PathBuf>,
}

impl LoadOptions {
    /// The folder of the engines that are built of a graph: another graph has another one.
    fn engines(&self, model: &str, digest: &str) -> Option<PathBuf> {
        let graph = digest.get(..16).unwrap_or(digest);
        Some(self.cache_dir.as_ref()?.join("engines").join(model).join(graph))
    }
}

/// A model that is loaded and verified and has no queue yet.
pub struct LoadedModel {
    /// What it is.
    pub facts: ModelFacts,
    /// Instance to rows, rows to prediction.
    pub task: Task,
    /// Warm sessions.
    pub sessions: Vec<engine::Session>,
    /// What runs took at warm-up.
    pub measured: Vec<Measured>,
    /// Inputs that a session that works can run.
    pub probe: Option<Vec<Tensor>>,
    /// Version of the runtime that runs it.
    pub runtime_version: String,
    /// Its files before they were read.
    pub stamp: Stamp,
}

impl LoadedModel {
    /// Tells the log what was loaded.
    pub fn log(&self) {
        let facts = &self.facts;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (load_ms, verify_ms) = (millis(facts.load_time), millis(facts.warmup_time));
        tracing::info!(
            model = %facts.name, version = %facts.version, task = facts.task.name(),
            provider = facts.provider, batchable = facts.batchable, golden = facts.golden,
            load_ms, verify_ms, "model loaded"
        );
        for note in &facts.notes {
            tracing::info!(model = %facts.name, note, "model note");
        }
    }
}

/// Loads and verifies one version of a model.
///
/// # Errors
/// Everything that is wrong with it, as far as it could be looked at.
pub fn load_version(
    runtime: &'static Runtime,
    source: &ModelSource,
    version: &VersionSource,
    loading: &LoadOptions,
) -> Result<LoadedModel, Vec<ModelProblem>> {
    let label = format!("{} version {}", source.name, version.version);
    let fail = |message: String| vec![ModelProblem::new(label.clone(), message)];
    let stamp = Stamp::of(source, version);
    let mut description = version.description.clone();
    description.manifest.apply_defaults(&loading.defaults);
    let manifest = &description.manifest;
    let all = |messages: Vec<String>| -> Vec<ModelProblem> {
        messages.into_iter().map(|message| ModelProblem::new(label.clone(), message)).collect()
    };
    let folders = (source.root.as_path(), source.folder.as_path());
    let digest = digest(manifest, folders, &version.graph).map_err(all)?;
    let priorities = priorities(&manifest.queue).map_err(fail)?;
    let _alone = alone_on_gpu(&manifest.execution);
    let engines = loading.engines(source.name.as_str(), &digest);
    let options = options((source, version), manifest, engines.as_deref());
    let mut graph = engine::load(runtime, &options).map_err(|error| fail(error.to_string()))?;
    description.settle(&graph.signature).map_err(all)?;
    evidence::weigh(&mut description, folders, &mut graph);
    let manifest = &description.manifest;
    let warm = Instant::now();
    let Verified { task, of_batches, bounds, buckets, measured, probe, golden, notes } =
        verify::verify(&description, folders, &mut graph).map_err(all)?;
    let (batchable, batchable_reason, pads) = of_batches;
    let facts = ModelFacts {
        name: source.name.clone(),
        version: version.version,
        version_policy: source.version_policy.clone(),
        description: manifest.description.clone(),
        task: task.kind(),
        signature: graph.signature.clone(),
        batchable,
        batchable_reason,
        provider: graph.provider.name(),
        device: graph.device.clone(),
        cuda_devices: graph.cuda_devices.clone(),
        placement: graph.placement.clone(),
        instances: graph.sessions.len(),
        intra_threads: graph.intra_threads,
        buckets,
        max_batch_size: bounds.rows,
        max_batch_tokens: bounds.tokens,
        max_queue_delay: manifest.batching.max_queue_delay.map_or(Duration::ZERO, |delay| delay.0),
        pads,
        queue_capacity: manifest.queue.max_size.map_or(QUEUE_SIZE, std::num::NonZero::get),
        priorities,
        timeout: manifest.queue.timeout.map(|timeout| timeout.0),
        finite: manifest.limits.finite,
        digest,
        golden,
        notes: told(description.notes, &task, graph.providers_note, notes),
        loaded_at: SystemTime::now(),
        load_time: graph.load_time,
        warmup_time: warm.elapsed(),
        memory_bytes: graph.memory_bytes,
        shared_weights_bytes: graph.shared_weights_bytes,
    };
    let (sessions, runtime_version) = (graph.sessions, runtime.version().to_owned());
    Ok(LoadedModel { facts, task, sessions, measured, probe, runtime_version, stamp })
}

/// The graph's digest, after all that the manifest gives were found right.
fn digest(manifest: &Manifest, folders: (&Path, &Path), graph: &Path) -> Result<String, Vec<String>> {
    let digest = sha256_file(graph).map_err(|error| vec![format!("cannot be read: {error}")])?;
    let checked = verify_digests(manifest.sha256.as_ref(), folders, (graph, &digest));
    checked.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    Ok(digest)
}

/// Held while a model is loaded and warmed up on a GPU.
static GPU_LOADS: Mutex<()> = Mutex::new(());

/// For a model that asks for a GPU: side by side loads would take each other's memory and measure each other's runs.
fn alone_on_gpu(execution: &Execution) -> Option<MutexGuard<'static, ()>> {
    let is_gpu = |kind: &ProviderKind| matches!(kind, ProviderKind::Cuda | ProviderKind::Tensorrt);
    let asked = execution.providers.iter().flatten().any(is_gpu);
    asked.then(|| GPU_LOADS.lock().unwrap_or_else(PoisonError::into_inner))
}

fn options<'a>(
    (source, version): (&'a ModelSource, &'a VersionSource),
    manifest: &'a Manifest,
    engines: Option<&'a Path>,
) -> SessionOptions<'a> {
    // Only TensorRT wants to know.
    let rows = BatchBounds::rows(manifest, ProviderKind::Tensorrt);
    let largest = LargestShape { rows, tokens: manifest.max_length.map(NonZero::get) };
    let execution = &manifest.execution;
    let (graph, folder, name) = (version.graph.as_path(), source.root.as_path(), source.name.as_str());
    SessionOptions { graph, folder, execution, name, engines, largest }
}

/// Everything worth telling people: of the description, of what was assumed beyond it, of the run.
fn told(description: Vec<String>, task: &Task, providers: Vec<String>, verified: Vec<String>) -> Vec<String> {
    description.into_iter().chain(task.notes()).chain(providers).chain(verified).collect()
}

fn priorities(queue: &Queue) -> Result<Priorities, String> {
    let levels = queue.priority_levels.map_or(0, std::num::NonZero::get);
    match queue.default_priority.map(std::num::NonZero::get) {
        Some(default) if default > levels => Err(format!(
            "queue.default_priority = {default}: expected at most queue.priority_levels, which is {levels}"
        )),
        default => Ok(Priorities { levels, default: default.unwrap_or(levels) }),
    }
}
