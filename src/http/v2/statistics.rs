//! `GET /v2/models/.../stats`: Triton's statistics extension, which load generators subtract before
//! and after. Invariant: only versions that are ready are listed, each once.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::{ready, ready_versions, resolve};
use crate::http::problem::Failure;
use crate::http::target::Target;
use crate::http::{Api, answer};
use crate::service::Model;
use crate::telemetry::{BatchStatistics, DurationTotal, StatisticsSnapshot};

#[derive(Serialize)]
struct Statistics<'a> {
    model_stats: Vec<ModelStatistics<'a>>,
}

#[derive(Serialize)]
struct ModelStatistics<'a> {
    name: &'a str,
    version: String,
    last_inference: u64,
    inference_count: u64,
    execution_count: u64,
    inference_stats: InferenceStatistics,
    response_stats: Nothing,
    batch_stats: Vec<OfSize>,
    memory_usage: [Nothing; 0],
}

#[derive(Serialize)]
struct InferenceStatistics {
    success: DurationTotal,
    fail: DurationTotal,
    queue: DurationTotal,
    compute_input: DurationTotal,
    compute_infer: DurationTotal,
    compute_output: DurationTotal,
    cache_hit: DurationTotal,
    cache_miss: DurationTotal,
}

/// The runs of one batch size.
#[derive(Serialize)]
struct OfSize {
    batch_size: usize,
    compute_input: DurationTotal,
    compute_infer: DurationTotal,
    compute_output: DurationTotal,
}

/// Members of the extension that count what this server does not have.
#[derive(Serialize)]
struct Nothing {}

/// `GET /v2/models/stats`.
pub(super) async fn all(State(api): State<Arc<Api>>) -> Result<Response, Failure> {
    let models = api.service.models();
    respond(models.all().filter_map(|(_, _, state)| ready(state)))
}

/// `GET /v2/models/{model}[/versions/{version}]/stats`: without a version, of all that are ready.
pub(super) async fn of_model(api: State<Arc<Api>>, target: Target) -> Result<Response, Failure> {
    let model = resolve(&api, &target)?;
    if target.version.is_some() {
        return respond(std::iter::once(&model));
    }
    respond(ready_versions(&api.service.models(), model.name()))
}

fn respond<'a>(models: impl Iterator<Item = &'a Arc<Model>>) -> Result<Response, Failure> {
    Ok(answer::json_of(&Statistics { model_stats: models.map(|model| of(model)).collect() })?)
}

fn of(model: &Model) -> ModelStatistics<'_> {
    let StatisticsSnapshot {
        last_inference_ms,
        inferences,
        executions,
        success,
        fail,
        queue,
        compute_input,
        compute_infer,
        compute_output,
        batches,
    } = model.metrics.statistics().snapshot();
    // There is no response cache.
    let (cache_hit, cache_miss) = (DurationTotal::default(), DurationTotal::default());
    ModelStatistics {
        name: model.name(),
        version: model.facts.version.to_string(),
        last_inference: last_inference_ms,
        inference_count: inferences,
        execution_count: executions,
        inference_stats: InferenceStatistics {
            success,
            fail,
            queue,
            compute_input,
            compute_infer,
            compute_output,
            cache_hit,
            cache_miss,
        },
        response_stats: Nothing {},
        batch_stats: batches.into_iter().map(batch).collect(),
        memory_usage: [],
    }
}

fn batch(statistics: BatchStatistics) -> OfSize {
    let BatchStatistics { rows, compute_input, compute_infer } = statistics;
    // A run includes taking its outputs from the runtime.
    let compute_output = DurationTotal { ns: 0, ..compute_infer };
    OfSize { batch_size: rows, compute_input, compute_infer, compute_output }
}
