//! Metrics in Prometheus' text format: typed handles for writers, one `render` for `/metrics`.
//!
//! Made by [`super::start`] and passed down. Invariant: every name is in `catalogue.rs`, every label
//! value comes from a closed list or a loaded model, so that no client can add series.

mod catalogue;
mod children;
mod deferred;
mod http;
mod model;
mod process;
mod statistics;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry, TextEncoder};

pub use http::{HttpMetrics, HttpObservation};
pub use model::ModelMetrics;
pub use statistics::{BatchStatistics, DurationTotal, Statistics, StatisticsSnapshot};

use catalogue::Catalogue;
use children::Children;
use model::Admitted;
use process::Process;

use super::BuildInfo;
use super::labels::Outcome;

const UNKNOWN: &str = "_unknown";

/// The service's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    catalogue: Arc<Catalogue>,
    http: HttpMetrics,
    models: Mutex<Models>,
    unknown: [IntCounter; Outcome::ALL.len()],
    panics: Children,
    process: Process,
}

#[derive(Debug, Default)]
struct Models {
    handles: HashMap<(String, String, String), Arc<ModelMetrics>>,
    admitted: HashMap<String, Admitted>,
}

impl Metrics {
    /// Metrics whose every series carries `service`, unless it is `None`.
    pub fn new(service: Option<&str>, build: &BuildInfo) -> Self {
        let (registry, catalogue) = catalogue::build(service);
        let info = [build.version, &build.revision, &build.rustc, &build.runtime_version];
        catalogue.build_info.with_label_values(&info).set(1);
        let catalogue = Arc::new(catalogue);
        let unknown =
            |outcome: Outcome| catalogue.requests.with_label_values(&[UNKNOWN, UNKNOWN, outcome.as_str()]);
        Self {
            http: HttpMetrics::new(&catalogue),
            models: Mutex::default(),
            unknown: Outcome::ALL.map(unknown),
            panics: Children::new(&catalogue.panics, &[], &["encode", "http", "worker"]),
            process: Process::new(),
            registry,
            catalogue,
        }
    }

    /// Everything, in text format 0.0.4.
    pub fn render(&self) -> String {
        self.process.refresh(&self.catalogue);
        let families = self.registry.gather();
        let mut text = String::with_capacity(64 << 10);
        if let Err(error) = TextEncoder::new().encode_utf8(&families, &mut text) {
            tracing::error!(%error, "metrics could not be written");
        }
        text
    }

    /// The HTTP metrics.
    pub fn http(&self) -> &HttpMetrics {
        &self.http
    }

    /// The handles of a loaded model; its outcomes and other closed lists start at zero.
    pub fn model(&self, model: &str, version: &str, device: &str) -> Arc<ModelMetrics> {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (model.to_owned(), version.to_owned(), device.to_owned());
        if let Some(known) = models.handles.get(&key) {
            return Arc::clone(known);
        }
        let admitted = Arc::clone(models.admitted.entry(model.to_owned()).or_default());
        let made = Arc::new(ModelMetrics::new(&self.catalogue, (model, version, device), admitted));
        if models.handles.len() < EAGER {
            made.begin();
        }
        models.handles.insert(key, Arc::clone(&made));
        made
    }

    /// Removes every series of a version that was unloaded. Handles still held count into nothing.
    pub fn forget(&self, model: &str, version: &str) {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.handles.retain(|(name, number, _), handle| {
            let stays = name != model || number != version;
            if !stays {
                handle.forget();
            }
            stays
        });
        if !models.handles.keys().any(|(name, ..)| name == model) {
            models.admitted.remove(model);
        }
        let c = &*self.catalogue;
        let pair = (model, version);
        for vec in [
            &c.requests,
            &c.rejected,
            &c.queue_expired,
            &c.predictions,
            &c.errors,
            &c.cancelled,
            &c.batch_splits,
        ] {
            remove(vec, pair);
        }
        for vec in [
            &c.queue_depth,
            &c.queue_capacity,
            &c.queue_limit,
            &c.in_flight,
            &c.model_info,
            &c.session_threads,
        ] {
            remove(vec, pair);
        }
        for vec in [&c.queue_wait, &c.batch_size, &c.batch_padding, &c.duration, &c.stage_duration] {
            remove(vec, pair);
        }
        for vec in [&c.input_length, &c.confidence] {
            remove(vec, pair);
        }
        for vec in [&c.model_load, &c.model_warmup, &c.model_loaded_at] {
            remove(vec, pair);
        }
        remove(&c.model_loads, pair);
    }

    /// An inference request ended before its model was known.
    pub fn unknown_model(&self, outcome: Outcome) {
        self.unknown[outcome as usize].inc();
    }

    /// The worker gauges of a device.
    pub fn workers(&self, device: &str) -> WorkerMetrics {
        let state = |state: &str| self.catalogue.workers.with_label_values(&[device, state]);
        WorkerMetrics { busy: state("busy"), idle: state("idle"), stuck: state("stuck") }
    }

    /// A task panicked and was caught.
    pub fn panicked(&self, task: &'static str) {
        self.panics.add(task, 1);
    }

    /// A changed file of secrets was read again; `secret` says which kind, such as `tls` or `keys`.
    pub fn secret_reloaded(&self, secret: &'static str, is_ok: bool) {
        let result = if is_ok { "ok" } else { "error" };
        self.catalogue.secret_reloads.with_label_values(&[secret, result]).inc();
    }

    /// The certificate that `listener` shows ends then.
    pub fn tls_expiry(&self, listener: &'static str, ends: SystemTime) {
        let seconds = ends.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        self.catalogue.tls_expiry.with_label_values(&[listener]).set(seconds);
    }

    /// Connections were cut when the drain's time was over.
    pub fn shutdown_forced(&self, connections: u64) {
        self.catalogue.shutdown_forced.inc_by(connections);
    }

    /// How long the drain has taken.
    pub fn shutdown_duration(&self, duration: Duration) {
        self.catalogue.shutdown_duration.set(duration.as_secs_f64());
    }

    /// The handles of the span queue.
    pub(super) fn spans(&self) -> SpanMetrics {
        let counter = |vec: &IntCounterVec, error: &str| vec.with_label_values(&[error]);
        let c = &*self.catalogue;
        SpanMetrics {
            processed: counter(&c.spans_processed, ""),
            queue_full: counter(&c.spans_processed, "queue_full"),
            exported: counter(&c.spans_exported, ""),
            timeout: counter(&c.spans_exported, "timeout"),
            unavailable: counter(&c.spans_exported, "unavailable"),
            rejected: counter(&c.spans_exported, "rejected"),
            queue_size: c.span_queue_size.clone(),
            queue_capacity: c.span_queue_capacity.clone(),
        }
    }
}

/// The workers of one device, by state.
#[derive(Clone, Debug)]
pub struct WorkerMetrics {
    busy: IntGauge,
    idle: IntGauge,
    stuck: IntGauge,
}

impl WorkerMetrics {
    /// Sets how many workers wait for work, run a batch, and have not come back in time.
    pub fn set(&self, idle: usize, busy: usize, stuck: usize) {
        for (gauge, workers) in [(&self.idle, idle), (&self.busy, busy), (&self.stuck, stuck)] {
            gauge.set(i64::try_from(workers).unwrap_or(i64::MAX));
        }
    }
}

/// What the span queue counts about itself, under the convention's names.
#[derive(Clone, Debug)]
pub(super) struct SpanMetrics {
    pub(super) processed: IntCounter,
    pub(super) queue_full: IntCounter,
    pub(super) exported: IntCounter,
    pub(super) timeout: IntCounter,
    pub(super) unavailable: IntCounter,
    pub(super) rejected: IntCounter,
    pub(super) queue_size: IntGauge,
    pub(super) queue_capacity: IntGauge,
}

/// So many models have all their series from the start, so that no rate misses a first observation.
/// Of further ones most are rarely asked: their histograms begin with their first request.
const EAGER: usize = 32;

/// Removes the children of `vec` that carry this model and version.
fn remove<B: MetricVecBuilder>(vec: &MetricVec<B>, (model, version): (&str, &str)) {
    for family in vec.collect() {
        for metric in family.get_metric() {
            let labels: HashMap<&str, &str> =
                metric.get_label().iter().map(|label| (label.name(), label.value())).collect();
            let ours = labels.get("model") == Some(&model) && labels.get("version") == Some(&version);
            if ours && let Err(error) = vec.remove(&labels) {
                tracing::debug!(%error, model, version, "a series was gone before it could be removed");
            }
        }
    }
}
