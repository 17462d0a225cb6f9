//! From a model on disk to one that may serve: digest, sessions, task, batch check, warm-up, golden
//! samples. Blocking; called by `app` on a thread of its own and by `check`, `predict`, `bench`.

use std::time::{Duration, Instant, SystemTime};

use super::verify::{self, Verified};
use super::{ModelFacts, Priorities, evidence};
use crate::engine::{self, Runtime, SessionOptions};
use crate::model::{
    ManifestDefaults, ModelProblem, ModelSource, Queue, Stamp, VersionSource, sha256_file, verify_digests,
};
use crate::scheduler::Measured;
use crate::task::Task;

/// Default for `queue.max_size`, rows.
const QUEUE_SIZE: usize = 2048;

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
    defaults: &ManifestDefaults,
) -> Result<LoadedModel, Vec<ModelProblem>> {
    let label = format!("{} version {}", source.name, version.version);
    let fail = |message: String| vec![ModelProblem::new(label.clone(), message)];
    let stamp = Stamp::of(source, version);
    let mut description = version.description.clone();
    description.manifest.apply_defaults(defaults);
    let manifest = &description.manifest;
    let digest = sha256_file(&version.graph).map_err(|error| fail(format!("cannot be read: {error}")))?;
    let folders = (source.root.as_path(), source.folder.as_path());
    verify_digests(manifest.sha256.as_ref(), folders, (&version.graph, &digest)).map_err(|errors| {
        errors.iter().map(|error| ModelProblem::new(label.clone(), error.to_string())).collect::<Vec<_>>()
    })?;
    let priorities = priorities(&manifest.queue).map_err(fail)?;
    let options = SessionOptions {
        graph: &version.graph,
        folder: &source.root,
        execution: &manifest.execution,
        name: source.name.as_str(),
    };
    let mut graph = engine::load(runtime, &options).map_err(|error| fail(error.to_string()))?;
    let all = |messages: Vec<String>| -> Vec<ModelProblem> {
        messages.into_iter().map(|message| ModelProblem::new(label.clone(), message)).collect()
    };
    description.settle(&graph.signature).map_err(all)?;
    evidence::weigh(&mut description, folders, &mut graph);
    let manifest = &description.manifest;
    let warm = Instant::now();
    let Verified { task, batchable, batchable_reason, bounds, pads, measured, golden, notes } =
        verify::verify(&description, folders, &mut graph).map_err(all)?;
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
        instances: graph.sessions.len(),
        intra_threads: graph.intra_threads,
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
    let runtime_version = runtime.version().to_owned();
    Ok(LoadedModel { facts, task, sessions: graph.sessions, measured, runtime_version, stamp })
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
