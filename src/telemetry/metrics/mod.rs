//! Metrics: typed handles for writers; Prometheus' formats for `/metrics`, and OTLP's for who pushes them.
//!
//! Made by [`super::start`] and passed down. Invariant: every name is in `catalogue.rs`, every label
//! value comes from a closed list or a loaded model, so that no client can add series.

mod catalogue;
mod children;
mod deferred;
mod export;
mod family;
mod gpu;
mod histogram;
mod http;
mod model;
mod otlp;
mod process;
mod quality;
mod semantic;
mod statistics;
mod text;
mod unit;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{IntCounter, IntGauge};

pub(super) use export::{ExportedMetrics, OperationMetrics, QueueMetrics};
pub use gpu::GpuMetrics;
pub use histogram::SampledSpan;
pub use http::{HttpMetrics, HttpObservation};
pub use model::ModelMetrics;
pub use quality::{FeatureMetrics, Quality};
pub use semantic::{ObservedEnd, SemanticMetrics, Spoken};
pub use statistics::{BatchStatistics, DurationTotal, Statistics, StatisticsSnapshot};
pub use text::Exposition;

use catalogue::Catalogue;
use children::Children;
use model::AllAdmitted;
use process::Process;

use super::BuildInfo;
use super::labels::Outcome;

const UNKNOWN: &str = "_unknown";

/// The service's metrics.
#[derive(Debug)]
pub struct Metrics {
    /// The label `service`, as every series carries it.
    common: String,
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
    admitted: HashMap<String, AllAdmitted>,
}

impl Metrics {
    /// Metrics whose every series carries `service`, unless it is `None`.
    pub fn new(service: Option<&str>, build: &BuildInfo) -> Self {
        let catalogue = Catalogue::new();
        let info = [build.version, &build.revision, &build.rustc, &build.runtime_version];
        catalogue.build_info.with_label_values(&info).set(1);
        let catalogue = Arc::new(catalogue);
        let unknown =
            |outcome: Outcome| catalogue.requests.with_label_values(&[UNKNOWN, UNKNOWN, outcome.as_str()]);
        Self {
            http: HttpMetrics::new(&catalogue, SemanticMetrics::default()),
            models: Mutex::default(),
            unknown: Outcome::ALL.map(unknown),
            panics: Children::new(&catalogue.panics, &[], &["encode", "http", "worker"]),
            process: Process::new(),
            common: service.map(|name| text::label("service", name)).unwrap_or_default(),
            catalogue,
        }
    }

    /// Keeps those under the semantic conventions' names too. To be told before anything is counted.
    #[must_use]
    pub fn with_semantic(mut self, wanted: SemanticMetrics) -> Self {
        self.http = HttpMetrics::new(&self.catalogue, wanted);
        self
    }

    /// Everything, in text format 0.0.4.
    pub fn render(&self) -> String {
        self.render_as(Exposition::Text)
    }

    /// Everything, in one of the formats.
    pub fn render_as(&self, format: Exposition) -> String {
        self.process.refresh(&self.catalogue);
        self.catalogue.render(format, &self.common)
    }

    /// Everything as fields [`ITEM`](super::otlp::ITEM) of OTLP's `ScopeMetrics`, and the number of data points in them.
    /// Series have no label `service` there: the resource says it.
    pub(in crate::telemetry) fn otlp_items(&self) -> (Vec<u8>, u64) {
        self.process.refresh(&self.catalogue);
        self.catalogue.encode()
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
        let admitted = models.admitted.entry(model.to_owned()).or_default().clone();
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
        self.catalogue.forget(model, version);
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

    /// The handles of a GPU, such as `cuda:0`. No series is there before its first value is.
    pub fn gpu(&self, device: &str) -> GpuMetrics {
        GpuMetrics::new(&self.catalogue, device)
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

/// So many models have all their series from the start, so that no rate misses a first observation.
/// Of further ones most are rarely asked: their histograms begin with their first request.
const EAGER: usize = 32;
