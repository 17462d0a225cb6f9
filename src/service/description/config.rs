//! A model's configuration in Triton's words. Invariant: only what is true of the loaded model; what
//! this server has no notion of is left out.

use serde::Serialize;

use super::shape;
use crate::model::{NamedPolicy, TensorSpec, VersionPolicy};
use crate::service::ModelFacts;
use crate::tensor::DataType;

#[derive(Serialize)]
pub struct Config<'a> {
    pub name: &'a str,
    pub platform: &'static str,
    pub backend: &'static str,
    pub version_policy: Policy<'a>,
    pub max_batch_size: usize,
    pub input: Vec<Tensor<'a>>,
    pub output: Vec<Tensor<'a>>,
    pub instance_group: [InstanceGroup<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamic_batching: Option<DynamicBatching>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimization: Option<Optimization>,
    pub parameters: Parameters,
    pub model_transaction_policy: TransactionPolicy,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy<'a> {
    All {},
    Latest { num_versions: usize },
    Specific { versions: &'a [u64] },
}

#[derive(Serialize)]
pub struct Tensor<'a> {
    pub name: &'a str,
    pub data_type: String,
    pub dims: Vec<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

#[derive(Serialize)]
pub struct InstanceGroup<'a> {
    pub name: &'a str,
    pub kind: &'static str,
    pub count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<Vec<u32>>,
}

#[derive(Serialize)]
pub struct Optimization {
    pub execution_accelerators: Accelerators,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Accelerators {
    CpuExecutionAccelerator([Accelerator; 1]),
    GpuExecutionAccelerator([Accelerator; 1]),
}

#[derive(Serialize)]
pub struct Accelerator {
    pub name: &'static str,
}

/// Of the parameters that Triton's ONNX Runtime backend knows.
#[derive(Serialize)]
pub struct Parameters {
    pub intra_op_thread_count: Parameter,
}

#[derive(Serialize)]
pub struct Parameter {
    pub string_value: String,
}

#[derive(Serialize)]
pub struct TransactionPolicy {
    pub decoupled: bool,
}

#[derive(Serialize)]
pub struct DynamicBatching {
    pub preferred_batch_size: [usize; 0],
    pub max_queue_delay_microseconds: u64,
    pub preserve_ordering: bool,
    pub priority_levels: u32,
    pub default_priority_level: u32,
}

/// The configuration of a model.
pub fn config(facts: &ModelFacts) -> Config<'_> {
    let name = facts.name.as_str();
    let threads = facts.intra_threads.to_string();
    Config {
        name,
        platform: "onnxruntime_onnx",
        backend: "onnxruntime",
        version_policy: policy(&facts.version_policy),
        // In Triton's words 0 says that shapes have no batch dimension.
        max_batch_size: if facts.batchable { facts.max_batch_size } else { 0 },
        input: inputs(facts),
        output: facts.signature.outputs.iter().map(|spec| tensor(spec, facts.batchable)).collect(),
        instance_group: [InstanceGroup {
            name,
            kind: kind(&facts.device),
            count: facts.instances,
            gpus: (!facts.cuda_devices.is_empty()).then(|| facts.cuda_devices.clone()),
        }],
        dynamic_batching: (facts.max_batch_size > 1).then(|| dynamic_batching(facts)),
        optimization: accelerators(facts)
            .map(|execution_accelerators| Optimization { execution_accelerators }),
        parameters: Parameters { intra_op_thread_count: Parameter { string_value: threads } },
        model_transaction_policy: TransactionPolicy { decoupled: false },
    }
}

fn dynamic_batching(facts: &ModelFacts) -> DynamicBatching {
    DynamicBatching {
        preferred_batch_size: [],
        max_queue_delay_microseconds: u64::try_from(facts.max_queue_delay.as_micros()).unwrap_or(u64::MAX),
        preserve_ordering: false,
        priority_levels: facts.priorities.levels,
        default_priority_level: facts.priorities.default,
    }
}

fn policy(policy: &VersionPolicy) -> Policy<'_> {
    match policy {
        VersionPolicy::Named(NamedPolicy::All) => Policy::All {},
        VersionPolicy::Named(NamedPolicy::Latest) => Policy::Latest { num_versions: 1 },
        VersionPolicy::Latest { latest } => Policy::Latest { num_versions: latest.get() },
        VersionPolicy::Only(versions) => Policy::Specific { versions },
    }
}

fn tensor(spec: &TensorSpec, batchable: bool) -> Tensor<'_> {
    let data_type = match spec.data_type {
        DataType::Bytes => "TYPE_STRING".to_owned(),
        other => format!("TYPE_{other}"),
    };
    let dims = shape(&spec.dims[usize::from(batchable)..]);
    Tensor { name: &spec.name, data_type, dims, optional: false }
}

/// The inputs, then those that have values of their own, whose shapes never have a batch dimension.
fn inputs(facts: &ModelFacts) -> Vec<Tensor<'_>> {
    let signature = &facts.signature;
    let optional = signature.optional.iter().map(|spec| Tensor { optional: true, ..tensor(spec, false) });
    signature.inputs.iter().map(|spec| tensor(spec, facts.batchable)).chain(optional).collect()
}

/// `cpu`, `cuda:0`, and what OpenVINO calls its devices.
fn kind(device: &str) -> &'static str {
    match device.split(':').next() {
        Some("cpu") => "KIND_CPU",
        Some("cuda" | "gpu") => "KIND_GPU",
        _ => "KIND_MODEL",
    }
}

/// The provider, where it is one that Triton calls an accelerator.
fn accelerators(facts: &ModelFacts) -> Option<Accelerators> {
    let name = facts.provider;
    match (name, kind(&facts.device)) {
        ("openvino", "KIND_CPU") => Some(Accelerators::CpuExecutionAccelerator([Accelerator { name }])),
        ("openvino" | "tensorrt", "KIND_GPU") => {
            Some(Accelerators::GpuExecutionAccelerator([Accelerator { name }]))
        }
        _ => None,
    }
}
