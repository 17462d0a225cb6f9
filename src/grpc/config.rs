//! A model's configuration as Triton's message.

use std::collections::HashMap;

use super::proto::inference as pb;
use super::proto::inference::model_config::SchedulingChoice;
use super::proto::inference::model_instance_group::Kind;
use super::proto::inference::model_optimization_policy::ExecutionAccelerators;
use super::proto::inference::model_optimization_policy::execution_accelerators::Accelerator;
use super::proto::inference::model_version_policy::{All, Latest, PolicyChoice, Specific};
use crate::service::description::{Accelerators, Config, DynamicBatching, Policy, Tensor};

fn small(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// The configuration.
pub(super) fn message(config: &Config<'_>) -> pb::ModelConfig {
    let threads = config.parameters.intra_op_thread_count.string_value.clone();
    let parameter = pb::ModelParameter { string_value: threads };
    pb::ModelConfig {
        name: config.name.to_owned(),
        platform: config.platform.to_owned(),
        backend: config.backend.to_owned(),
        version_policy: Some(pb::ModelVersionPolicy { policy_choice: Some(policy(&config.version_policy)) }),
        max_batch_size: small(config.max_batch_size),
        input: config.input.iter().map(input).collect(),
        output: config.output.iter().map(output).collect(),
        instance_group: config.instance_group.iter().map(group).collect(),
        scheduling_choice: config.dynamic_batching.as_ref().map(batching),
        optimization: config.optimization.as_ref().map(|optimization| pb::ModelOptimizationPolicy {
            execution_accelerators: Some(accelerators(&optimization.execution_accelerators)),
            ..pb::ModelOptimizationPolicy::default()
        }),
        parameters: HashMap::from([("intra_op_thread_count".to_owned(), parameter)]),
        model_transaction_policy: Some(pb::ModelTransactionPolicy {
            decoupled: config.model_transaction_policy.decoupled,
        }),
        ..pb::ModelConfig::default()
    }
}

fn policy(policy: &Policy<'_>) -> PolicyChoice {
    match policy {
        Policy::All {} => PolicyChoice::All(All {}),
        Policy::Latest { num_versions } => {
            PolicyChoice::Latest(Latest { num_versions: u32::try_from(*num_versions).unwrap_or(u32::MAX) })
        }
        Policy::Specific { versions } => {
            let versions = versions.iter().map(|version| i64::try_from(*version).unwrap_or(i64::MAX));
            PolicyChoice::Specific(Specific { versions: versions.collect() })
        }
    }
}

fn data_type(tensor: &Tensor<'_>) -> i32 {
    pb::DataType::from_str_name(&tensor.data_type).unwrap_or(pb::DataType::TypeInvalid).into()
}

fn input(tensor: &Tensor<'_>) -> pb::ModelInput {
    pb::ModelInput {
        name: tensor.name.to_owned(),
        data_type: data_type(tensor),
        dims: tensor.dims.clone(),
        optional: tensor.optional,
        ..pb::ModelInput::default()
    }
}

fn output(tensor: &Tensor<'_>) -> pb::ModelOutput {
    pb::ModelOutput {
        name: tensor.name.to_owned(),
        data_type: data_type(tensor),
        dims: tensor.dims.clone(),
        ..pb::ModelOutput::default()
    }
}

fn group(group: &crate::service::description::InstanceGroup<'_>) -> pb::ModelInstanceGroup {
    let gpus = group.gpus.iter().flatten().map(|&gpu| i32::try_from(gpu).unwrap_or(i32::MAX));
    pb::ModelInstanceGroup {
        name: group.name.to_owned(),
        kind: Kind::from_str_name(group.kind).unwrap_or_default().into(),
        count: small(group.count),
        gpus: gpus.collect(),
        ..pb::ModelInstanceGroup::default()
    }
}

fn batching(batching: &DynamicBatching) -> SchedulingChoice {
    SchedulingChoice::DynamicBatching(pb::ModelDynamicBatching {
        max_queue_delay_microseconds: batching.max_queue_delay_microseconds,
        preserve_ordering: batching.preserve_ordering,
        priority_levels: batching.priority_levels.into(),
        default_priority_level: batching.default_priority_level.into(),
        ..pb::ModelDynamicBatching::default()
    })
}

fn accelerators(accelerators: &Accelerators) -> ExecutionAccelerators {
    let named = |list: &[crate::service::description::Accelerator]| {
        let accelerators = list
            .iter()
            .map(|accelerator| Accelerator { name: accelerator.name.to_owned(), parameters: HashMap::new() });
        accelerators.collect()
    };
    match accelerators {
        Accelerators::CpuExecutionAccelerator(list) => ExecutionAccelerators {
            cpu_execution_accelerator: named(list),
            ..ExecutionAccelerators::default()
        },
        Accelerators::GpuExecutionAccelerator(list) => ExecutionAccelerators {
            gpu_execution_accelerator: named(list),
            ..ExecutionAccelerators::default()
        },
    }
}
