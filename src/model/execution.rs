//! How a model is to be run: providers, threads, batching, queue. Shared by `model.toml` and by
//! `[defaults.*]` of the configuration; a manifest's value wins over a default's.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Timespan;

/// An execution provider of ONNX Runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// The default CPU provider.
    Cpu,
    /// Intel's `OpenVINO`, on the CPU.
    Openvino,
    /// NVIDIA CUDA.
    Cuda,
    /// NVIDIA `TensorRT`.
    Tensorrt,
}

impl ProviderKind {
    /// The name in manifests, metrics and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Openvino => "openvino",
            Self::Cuda => "cuda",
            Self::Tensorrt => "tensorrt",
        }
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The arithmetic that a provider is asked to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision, as the graph says.
    #[default]
    Fp32,
    /// bfloat16 inside the provider.
    Bf16,
    /// Half precision inside the provider.
    Fp16,
    /// 8-bit integers inside the provider.
    Int8,
}

/// How hard the runtime rewrites the graph at load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GraphOptimization {
    /// Not at all.
    Disabled,
    /// Redundant nodes go.
    Basic,
    /// Nodes are fused too.
    Extended,
    /// Everything, layouts included.
    #[default]
    All,
}

/// `[execution]`: where and how a model runs.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Execution {
    /// Providers in order of preference; without `allow_fallback` the first must work.
    pub providers: Option<Vec<ProviderKind>>,
    /// Precision inside the provider.
    pub precision: Option<Precision>,
    /// Whether a later provider may stand in for one that cannot be had.
    pub allow_fallback: Option<bool>,
    /// CUDA's numbers of the devices that the providers `cuda` and `tensorrt` run on (default: the first).
    pub devices: Option<Vec<u32>>,
    /// Sessions of the model per device.
    pub instances: Option<NonZeroUsize>,
    /// Threads of one session inside a run.
    pub intra_threads: Option<NonZeroUsize>,
    /// How hard the runtime rewrites the graph at load.
    pub graph_optimization: Option<GraphOptimization>,
    /// Options of the `OpenVINO` provider, passed on as they are.
    pub openvino: Option<std::collections::BTreeMap<String, String>>,
    /// Options of the CUDA provider, passed on as they are.
    pub cuda: Option<std::collections::BTreeMap<String, String>>,
    /// Options of the `TensorRT` provider, passed on as they are.
    pub tensorrt: Option<std::collections::BTreeMap<String, String>>,
}

/// `[batching]`: whether and how rows of several requests are run together.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Batching {
    /// Unset: where the model is batchable; true: skip the dimension-name rule; false: never.
    pub enabled: Option<bool>,
    /// Most rows of one run (default 32 on a CPU; on a GPU what warm-up finds to be best).
    pub max_batch_size: Option<NonZeroUsize>,
    /// Most padded tokens of one run (text models; default 2048 on a CPU, else no bound).
    pub max_batch_tokens: Option<NonZeroUsize>,
    /// How long a run may wait for company (default `0ms`).
    pub max_queue_delay: Option<Timespan>,
    /// On a GPU: batches that take longer at warm-up are not made (default: no bound).
    pub target_latency: Option<Timespan>,
}

/// `[queue]`: how many rows may wait, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// Most rows that wait (default 2048).
    pub max_size: Option<NonZeroUsize>,
    /// How long a request may wait and run (default: the request timeout).
    pub timeout: Option<Timespan>,
    /// Priorities that callers may choose, 1 the most urgent (default: none, all are equal).
    pub priority_levels: Option<NonZeroU32>,
    /// The priority of requests that choose none, or one beyond the levels (default: the lowest).
    pub default_priority: Option<NonZeroU32>,
}

/// `[defaults.*]`: what manifests leave out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ManifestDefaults {
    /// Defaults of `[execution]`.
    pub execution: Execution,
    /// Defaults of `[batching]`.
    pub batching: Batching,
    /// Defaults of `[queue]`.
    pub queue: Queue,
}

/// Sets the fields of one value that are none from those of another.
macro_rules! fill {
    ($to:expr, $from:expr, $($field:ident),+) => {$(
        if $to.$field.is_none() {
            $to.$field.clone_from(&$from.$field);
        }
    )+};
}

pub(super) use fill;

impl ManifestDefaults {
    /// Fills what `execution`, `batching` and `queue` leave out.
    pub fn apply(&self, execution: &mut Execution, batching: &mut Batching, queue: &mut Queue) {
        fill!(execution, self.execution, providers, precision, allow_fallback, devices);
        fill!(execution, self.execution, instances);
        fill!(execution, self.execution, intra_threads, graph_optimization, openvino, cuda, tensorrt);
        fill!(batching, self.batching, enabled, max_batch_size, max_batch_tokens);
        fill!(batching, self.batching, max_queue_delay, target_latency);
        fill!(queue, self.queue, max_size, timeout, priority_levels, default_priority);
    }
}
