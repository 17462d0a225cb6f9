//! A loaded, verified model: everything a request needs to find in one place.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::sessions::Freed;
use crate::cores::SessionThreads;
use crate::engine::Placement;
use crate::model::{ModelName, Signature, Stamp, TaskKind, TensorSpec, Version, VersionPolicy};
use crate::scheduler::{Buckets, ModelQueue};
use crate::task::Task;
use crate::telemetry::{FeatureMetrics, ModelMetrics};
use crate::tensor::DataType;

/// What a model is and how it runs: facts found at load, shown by `check` and `GET /predict/{model}`.
#[derive(Clone, Debug)]
pub struct ModelFacts {
    /// The name it is served under.
    pub name: ModelName,
    /// The version.
    pub version: Version,
    /// Which versions of the model are loaded.
    pub version_policy: VersionPolicy,
    /// One sentence for people.
    pub description: Option<String>,
    /// What it does with an instance.
    pub task: TaskKind,
    /// Names, types and shapes of the graph.
    pub signature: Signature,
    /// Whether rows may be run together, checked by running.
    pub batchable: bool,
    /// Why not, or how it was found.
    pub batchable_reason: String,
    /// The provider that is really in use.
    pub provider: &'static str,
    /// The device that runs it.
    pub device: String,
    /// CUDA's numbers of the devices; empty elsewhere.
    pub cuda_devices: Vec<u32>,
    /// How many of the graph's nodes each provider runs; empty where the runtime does not say.
    pub placement: Placement,
    /// Sessions of it.
    pub instances: usize,
    /// Threads of one session inside a run.
    pub intra_threads: usize,
    /// Shapes that its batches are filled up to: on an accelerator.
    pub buckets: Buckets,
    /// Most rows of one run.
    pub max_batch_size: usize,
    /// Most padded tokens of one run, where rows have tokens: the manifest's, or the default.
    pub max_batch_tokens: Option<usize>,
    /// How long a run may wait for company.
    pub max_queue_delay: Duration,
    /// Rows of different lengths may share a run, padded: checked by running.
    pub pads: bool,
    /// Most rows that wait.
    pub queue_capacity: usize,
    /// Which priorities callers may choose.
    pub priorities: Priorities,
    /// How long a request may wait and run, where the manifest says so.
    pub timeout: Option<Duration>,
    /// Inputs that hold NaN or infinity are refused.
    pub finite: bool,
    /// SHA-256 of the graph, in hexadecimal.
    pub digest: String,
    /// Golden samples that were verified.
    pub golden: usize,
    /// What was recognised, assumed or ignored, and what went wrong without making the model bad.
    pub notes: Vec<String>,
    /// When it was ready to serve.
    pub loaded_at: SystemTime,
    /// Time to build the sessions.
    pub load_time: Duration,
    /// Time to warm up and verify.
    pub warmup_time: Duration,
    /// Growth of the resident memory during the load.
    pub memory_bytes: Option<i64>,
    /// The size of the file of weights that all sessions map, bytes; none where each has its own copy.
    pub shared_weights_bytes: Option<u64>,
}

impl ModelFacts {
    /// The threads of its sessions; none where it does not run on the CPU.
    pub fn cpu_threads(&self) -> Option<SessionThreads<'_>> {
        let Self { name, device, instances, intra_threads, .. } = self;
        let threads =
            SessionThreads { model: name.as_str(), instances: *instances, intra_threads: *intra_threads };
        (device == "cpu").then_some(threads)
    }

    /// Bytes to be decoded of a request of `length`, whose raw tensors begin at `raw_at` if it has any. Raw
    /// numbers are used where they lie, or copied at worst, which takes less than a sixteenth of what
    /// reading them would.
    pub fn bytes_to_decode(&self, raw_at: Option<usize>, length: usize) -> usize {
        let is_number = |spec: &TensorSpec| !matches!(spec.data_type, DataType::Bytes | DataType::Bool);
        match raw_at {
            Some(at) if self.signature.inputs.iter().all(is_number) => {
                let at = at.min(length);
                at + (length - at) / 16
            }
            _ => length,
        }
    }
}

/// The priorities of a model's requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Priorities {
    /// 1, the most urgent, to this one; 0 = all requests are equal.
    pub levels: u32,
    /// That of requests that choose none, or one beyond the levels.
    pub default: u32,
}

impl Priorities {
    /// The level of a request that asked for `asked` (0 = none).
    pub fn level(self, asked: Option<u64>) -> u32 {
        let asked = asked.and_then(|asked| u32::try_from(asked).ok()).filter(|asked| *asked > 0);
        asked.filter(|asked| *asked <= self.levels).unwrap_or(self.default)
    }
}

/// A model that serves.
pub struct Model {
    /// What it is.
    pub facts: ModelFacts,
    /// Instance to rows, rows to prediction.
    pub task: Task,
    /// The way to its sessions.
    pub queue: ModelQueue,
    /// Where its figures go.
    pub metrics: Arc<ModelMetrics>,
    /// Where those of its features go, if it takes a table.
    pub(super) features: Option<FeatureMetrics>,
    /// Its files when it was loaded.
    pub(super) stamp: Stamp,
    /// Tells when its sessions are freed.
    pub(super) freed: Freed,
}

impl Model {
    /// Name as it stands in bodies and spans.
    pub fn name(&self) -> &str {
        self.facts.name.as_str()
    }
}
