//! `GET /v2/models/{model}/config`: what Triton's clients read of a model's configuration.
//!
//! Invariant: only what is true of the loaded model; what this server has no notion of is left out.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::{resolve, shape};
use crate::http::problem::Failure;
use crate::http::target::Target;
use crate::http::{Api, answer};
use crate::model::{NamedPolicy, TensorSpec, VersionPolicy};
use crate::service::ModelFacts;
use crate::tensor::DataType;

#[derive(Serialize)]
struct Config<'a> {
    name: &'a str,
    platform: &'static str,
    backend: &'static str,
    version_policy: Policy<'a>,
    max_batch_size: usize,
    input: Vec<Tensor<'a>>,
    output: Vec<Tensor<'a>>,
    instance_group: [InstanceGroup<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    dynamic_batching: Option<DynamicBatching>,
    #[serde(skip_serializing_if = "Option::is_none")]
    optimization: Option<Optimization>,
    parameters: Parameters,
    model_transaction_policy: TransactionPolicy,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Policy<'a> {
    All {},
    Latest { num_versions: usize },
    Specific { versions: &'a [u64] },
}

#[derive(Serialize)]
struct Tensor<'a> {
    name: &'a str,
    data_type: String,
    dims: Vec<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    optional: bool,
}

#[derive(Serialize)]
struct InstanceGroup<'a> {
    name: &'a str,
    kind: &'static str,
    count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpus: Option<[u32; 1]>,
}

#[derive(Serialize)]
struct Optimization {
    execution_accelerators: Accelerators,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Accelerators {
    CpuExecutionAccelerator([Accelerator; 1]),
    GpuExecutionAccelerator([Accelerator; 1]),
}

#[derive(Serialize)]
struct Accelerator {
    name: &'static str,
}

/// Of the parameters that Triton's ONNX Runtime backend knows.
#[derive(Serialize)]
struct Parameters {
    intra_op_thread_count: Parameter,
}

#[derive(Serialize)]
struct Parameter {
    string_value: String,
}

#[derive(Serialize)]
struct TransactionPolicy {
    decoupled: bool,
}

/// `GET /v2/models/{model}[/versions/{version}]/config`.
#[derive(Serialize)]
struct DynamicBatching {
    preferred_batch_size: [usize; 0],
    max_queue_delay_microseconds: u64,
    preserve_ordering: bool,
    priority_levels: u32,
    default_priority_level: u32,
}

pub(super) async fn config(api: State<Arc<Api>>, target: Target) -> Result<Response, Failure> {
    let model = resolve(&api, &target)?;
    Ok(answer::json_of(&of(&model.facts))?)
}

fn of(facts: &ModelFacts) -> Config<'_> {
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
            gpus: facts.device.strip_prefix("cuda:").and_then(|id| id.parse().ok()).map(|id| [id]),
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
