//! What the models are and what they have done: the facts of `service/description`, as messages.

use std::sync::Arc;

use bytes::Bytes;

use super::answer::Encoded;
use super::call::decoded;
use super::proto::inference as pb;
use super::proto::inference::repository_index_response::ModelIndex;
use crate::service::description::{self, Listed};
use crate::service::{Model, Service, ServiceError};
use crate::telemetry::DurationTotal;

/// A text that is there.
fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn resolve(service: &Service, name: &str, version: &str) -> Result<Arc<Model>, ServiceError> {
    service.resolve(given(name), given(version))
}

/// `ModelReady`: false, and no error, for a model that there is not.
pub(super) fn ready(service: &Service, message: Bytes) -> Result<Encoded, ServiceError> {
    let asked: pb::ModelReadyRequest = decoded(message)?;
    let ready = resolve(service, &asked.name, &asked.version).is_ok() && service.accepting().is_ok();
    Ok(Encoded::of(&pb::ModelReadyResponse { ready }))
}

/// `ModelMetadata`.
pub(super) fn metadata(service: &Service, message: Bytes) -> Result<Encoded, ServiceError> {
    let asked: pb::ModelMetadataRequest = decoded(message)?;
    let model = resolve(service, &asked.name, &asked.version)?;
    let metadata = description::metadata(&service.models(), &model);
    let tensor = |tensor: &description::TensorMetadata<'_>| pb::model_metadata_response::TensorMetadata {
        name: tensor.name.to_owned(),
        datatype: tensor.datatype.to_owned(),
        shape: tensor.shape.clone(),
    };
    let properties = &metadata.properties;
    let described = properties.description.map(|text| ("description", text));
    let properties = [("task", properties.task), ("sha256", properties.sha256)].into_iter().chain(described);
    Ok(Encoded::of(&pb::ModelMetadataResponse {
        name: metadata.name.to_owned(),
        versions: metadata.versions,
        platform: metadata.platform.to_owned(),
        inputs: metadata.inputs.iter().map(tensor).collect(),
        outputs: metadata.outputs.iter().map(tensor).collect(),
        properties: properties.map(|(name, text)| (name.to_owned(), text.to_owned())).collect(),
    }))
}

/// `ModelStatistics`: of one version, of the ready ones of a model, or of all models.
pub(super) fn statistics(service: &Service, message: Bytes) -> Result<Encoded, ServiceError> {
    let asked: pb::ModelStatisticsRequest = decoded(message)?;
    let models = service.models();
    let list: Vec<Arc<Model>> = if asked.name.is_empty() {
        models.all().filter_map(|(_, _, state)| state.ready()).cloned().collect()
    } else {
        let model = resolve(service, &asked.name, &asked.version)?;
        if asked.version.is_empty() {
            models.ready_versions(model.name()).cloned().collect()
        } else {
            vec![model]
        }
    };
    let statistics = description::statistics(list.iter());
    Ok(Encoded::of(&pb::ModelStatisticsResponse {
        model_stats: statistics.model_stats.into_iter().map(of_model).collect(),
    }))
}

#[expect(clippy::unnecessary_wraps, reason = "the fields of messages are optional")]
fn total(DurationTotal { count, ns }: DurationTotal) -> Option<pb::StatisticDuration> {
    Some(pb::StatisticDuration { count, ns })
}

fn of_model(of: description::ModelStatistics<'_>) -> pb::ModelStatistics {
    let inference = of.inference_stats;
    let batch = |of: description::OfSize| pb::InferBatchStatistics {
        batch_size: of.batch_size as u64,
        compute_input: total(of.compute_input),
        compute_infer: total(of.compute_infer),
        compute_output: total(of.compute_output),
    };
    pb::ModelStatistics {
        name: of.name.to_owned(),
        version: of.version,
        last_inference: of.last_inference,
        inference_count: of.inference_count,
        execution_count: of.execution_count,
        inference_stats: Some(pb::InferStatistics {
            success: total(inference.success),
            fail: total(inference.fail),
            queue: total(inference.queue),
            compute_input: total(inference.compute_input),
            compute_infer: total(inference.compute_infer),
            compute_output: total(inference.compute_output),
            cache_hit: total(inference.cache_hit),
            cache_miss: total(inference.cache_miss),
        }),
        batch_stats: of.batch_stats.into_iter().map(batch).collect(),
        memory_usage: Vec::new(),
        response_stats: std::collections::HashMap::new(),
    }
}

/// `RepositoryIndex`.
pub(super) fn index(service: &Service, message: Bytes) -> Result<Encoded, ServiceError> {
    let asked: pb::RepositoryIndexRequest = decoded(message)?;
    let listed = if asked.ready { Listed::Ready } else { Listed::All };
    let models = service.models();
    let entries = description::index(&models, listed).into_iter().map(|entry| ModelIndex {
        name: entry.name.to_owned(),
        version: entry.version,
        state: entry.state.to_owned(),
        reason: entry.reason.to_owned(),
    });
    Ok(Encoded::of(&pb::RepositoryIndexResponse { models: entries.collect() }))
}

/// `ModelConfig`.
pub(super) fn config(service: &Service, message: Bytes) -> Result<Encoded, ServiceError> {
    let asked: pb::ModelConfigRequest = decoded(message)?;
    let model = resolve(service, &asked.name, &asked.version)?;
    let config = super::config::message(&description::config(&model.facts));
    Ok(Encoded::of(&pb::ModelConfigResponse { config: Some(config) }))
}
