//! What a model has done so far, as Triton's statistics extension counts it.

use std::sync::Arc;

use serde::Serialize;

use crate::service::Model;
use crate::telemetry::{BatchStatistics, DurationTotal, StatisticsSnapshot};

#[derive(Serialize)]
pub struct Statistics<'a> {
    pub model_stats: Vec<ModelStatistics<'a>>,
}

#[derive(Serialize)]
pub struct ModelStatistics<'a> {
    pub name: &'a str,
    pub version: String,
    pub last_inference: u64,
    pub inference_count: u64,
    pub execution_count: u64,
    pub inference_stats: InferenceStatistics,
    pub response_stats: Nothing,
    pub batch_stats: Vec<OfSize>,
    pub memory_usage: [Nothing; 0],
}

#[derive(Serialize)]
pub struct InferenceStatistics {
    pub success: DurationTotal,
    pub fail: DurationTotal,
    pub queue: DurationTotal,
    pub compute_input: DurationTotal,
    pub compute_infer: DurationTotal,
    pub compute_output: DurationTotal,
    pub cache_hit: DurationTotal,
    pub cache_miss: DurationTotal,
}

/// The runs of one batch size.
#[derive(Serialize)]
pub struct OfSize {
    pub batch_size: usize,
    pub compute_input: DurationTotal,
    pub compute_infer: DurationTotal,
    pub compute_output: DurationTotal,
}

/// Members of the extension that count what this server does not have.
#[derive(Serialize)]
pub struct Nothing {}

/// The statistics of `models`.
pub fn statistics<'a>(models: impl Iterator<Item = &'a Arc<Model>>) -> Statistics<'a> {
    Statistics { model_stats: models.map(|model| of(model)).collect() }
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
