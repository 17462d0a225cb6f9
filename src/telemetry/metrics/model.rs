//! A model's metrics, resolved once when it is loaded.
//!
//! The scheduler and the service record through it. Invariant: no call hashes labels once a value
//! was seen, and no label is a client's text: predicted labels are the model's own, capped.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{Gauge, IntCounter, IntGauge};

use super::catalogue::Catalogue;
use super::children::Children;
use super::deferred::Deferred;
use super::family::Rendered as _;
use super::histogram::SampledSpan;
use super::quality::Quality;
use super::statistics::Statistics;
use crate::telemetry::labels::{LoadResult, Outcome, Stage};

/// Predicted labels, and features, that get a series of their own, per model.
pub(super) const LABEL_CAP: usize = 100;
const OTHER: &str = "_other";
const REASONS: &[&str] = &["overloaded", "deadline_unmeetable", "draining", "not_ready", "quota_exceeded"];
const KINDS: &[&str] = &["runtime", "non_finite", "device", "memory", "shape"];

/// The values of a label that have series, shared by a model's versions: at most [`LABEL_CAP`].
#[derive(Clone, Debug, Default)]
pub(super) struct Admitted(Arc<Mutex<HashSet<String>>>);

/// What is admitted of a model.
#[derive(Clone, Debug, Default)]
pub(super) struct AllAdmitted {
    labels: Admitted,
    features: Admitted,
}

impl Admitted {
    /// `value`, or `_other` where there are as many already.
    pub(super) fn admit<'a>(&self, value: &'a str) -> &'a str {
        let mut admitted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if admitted.contains(value) {
            return value;
        }
        if admitted.len() >= LABEL_CAP {
            return OTHER;
        }
        admitted.insert(value.to_owned());
        value
    }
}

/// Handles of everything counted for one version of a model on one device.
#[derive(Debug)]
pub struct ModelMetrics {
    catalogue: Arc<Catalogue>,
    names: (String, String),
    outcomes: [IntCounter; Outcome::ALL.len()],
    request: Deferred,
    stages: [Deferred; Stage::ALL.len()],
    cancelled: [IntCounter; Stage::ALL.len()],
    loads: [IntCounter; LoadResult::ALL.len()],
    rejected: Children,
    errors: Children,
    queue_depth: IntGauge,
    queue_capacity: IntGauge,
    session_threads: IntGauge,
    queue_limit: IntGauge,
    queue_wait: Deferred,
    queue_expired: IntCounter,
    batch_size: Deferred,
    batch_padding: Deferred,
    batch_splits: IntCounter,
    duration: Deferred,
    input_length: Deferred,
    confidence: Deferred,
    in_flight: IntGauge,
    load: Gauge,
    warmup: Gauge,
    loaded_at: Gauge,
    predictions: RwLock<HashMap<String, IntCounter>>,
    admitted: Admitted,
    forgotten: Arc<AtomicBool>,
    quality: Quality,
    statistics: Statistics,
}

impl ModelMetrics {
    pub(super) fn new(catalogue: &Arc<Catalogue>, key: (&str, &str, &str), admitted: AllAdmitted) -> Self {
        let (model, version, device) = key;
        let c = catalogue;
        let both = &[model, version];
        let forgotten = Arc::default();
        let deferred = |vec, labels: &[&str]| Deferred::new(vec, labels, &forgotten);
        Self {
            outcomes: Outcome::ALL.map(|it| c.requests.with_label_values(&[model, version, it.as_str()])),
            request: deferred(&c.request_duration, both),
            stages: Stage::ALL.map(|it| deferred(&c.stage_duration, &[model, version, it.as_str()])),
            cancelled: Stage::ALL.map(|it| c.cancelled.with_label_values(&[model, version, it.as_str()])),
            loads: LoadResult::ALL.map(|it| c.model_loads.with_label_values(&[model, version, it.as_str()])),
            rejected: Children::new(&c.rejected, both, REASONS),
            errors: Children::new(&c.errors, both, KINDS),
            queue_depth: c.queue_depth.with_label_values(both),
            queue_capacity: c.queue_capacity.with_label_values(both),
            session_threads: c.session_threads.with_label_values(both),
            queue_limit: c.queue_limit.with_label_values(both),
            queue_wait: deferred(&c.queue_wait, both),
            queue_expired: c.queue_expired.with_label_values(both),
            batch_size: deferred(&c.batch_size, both),
            batch_splits: c.batch_splits.with_label_values(both),
            batch_padding: deferred(&c.batch_padding, both),
            duration: deferred(&c.duration, &[model, version, device]),
            input_length: deferred(&c.input_length, both),
            confidence: deferred(&c.confidence, both),
            in_flight: c.in_flight.with_label_values(both),
            load: c.model_load.with_label_values(both),
            warmup: c.model_warmup.with_label_values(both),
            loaded_at: c.model_loaded_at.with_label_values(both),
            predictions: RwLock::default(),
            names: (model.to_owned(), version.to_owned()),
            catalogue: Arc::clone(catalogue),
            quality: Quality::new(c, (model, version), admitted.features, &forgotten),
            admitted: admitted.labels,
            forgotten,
            statistics: Statistics::default(),
        }
    }

    /// Makes every series be there, at zero.
    pub(super) fn begin(&self) {
        let single =
            [&self.queue_wait, &self.batch_size, &self.batch_padding, &self.duration, &self.input_length];
        for histogram in self.stages.iter().chain(single).chain([&self.confidence]) {
            histogram.begin();
        }
        self.request.begin();
        self.quality.begin();
    }

    /// What its inputs and outputs are like.
    pub fn quality(&self) -> &Quality {
        &self.quality
    }

    /// What Triton's statistics extension counts.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// A request ended.
    pub fn outcome(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].inc();
    }

    /// A request was not admitted; `code` is the error code.
    pub fn rejected(&self, code: &'static str) {
        self.rejected.add(code, 1);
    }

    /// A request, of this `model-inference` span if it is exported, was answered so long after its first byte.
    pub fn answered(&self, took: Duration, span: Option<SampledSpan>) {
        self.request.observe_in(took.as_secs_f64(), span);
    }

    /// A request, of this `model-inference` span if it is exported, spent this long in a stage.
    pub fn stage(&self, stage: Stage, duration: Duration, span: Option<SampledSpan>) {
        self.stages[stage as usize].observe_in(duration.as_secs_f64(), span);
    }

    /// Rows entered (positive) or left (negative) the queue.
    pub fn queue_depth_add(&self, rows: i64) {
        self.queue_depth.add(rows);
    }

    /// How many rows the queue holds at most.
    pub fn queue_capacity(&self, rows: usize) {
        self.queue_capacity.set(i64::try_from(rows).unwrap_or(i64::MAX));
        self.queue_limit(rows);
    }

    /// How many rows the queue takes in now.
    pub fn queue_limit(&self, rows: usize) {
        self.queue_limit.set(i64::try_from(rows).unwrap_or(i64::MAX));
    }

    /// A batch failed and was run again member by member.
    pub fn batch_split(&self) {
        self.batch_splits.inc();
    }

    /// How many threads all its sessions have inside runs.
    pub fn session_threads(&self, threads: usize) {
        self.session_threads.set(i64::try_from(threads).unwrap_or(i64::MAX));
    }

    /// A request, of this `model-inference` span if it is sampled, waited this long.
    pub fn queue_wait(&self, wait: Duration, span: Option<SampledSpan>) {
        self.queue_wait.observe_in(wait.as_secs_f64(), span);
    }

    /// A request's deadline passed in the queue.
    pub fn queue_expired(&self) {
        self.queue_expired.inc();
    }

    /// A batch ran: its rows, the share of padding where it has any meaning, the run's duration, the batch's span if it
    /// is sampled.
    pub fn batch(
        &self,
        size: usize,
        padding_ratio: Option<f64>,
        execute: Duration,
        span: Option<SampledSpan>,
    ) {
        #[expect(clippy::cast_precision_loss, reason = "batches are far below 2^53 rows")]
        self.batch_size.observe(size as f64);
        // There with the first batch, whether it has a ratio or not.
        let padding = self.batch_padding.begin();
        if let Some((histogram, ratio)) = padding.zip(padding_ratio.filter(|ratio| ratio.is_finite())) {
            histogram.observe(ratio);
        }
        self.duration.observe_in(execute.as_secs_f64(), span);
    }

    /// A request's `input.length`.
    pub fn input_length(&self, length: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a histogram's sum is approximate anyway")]
        self.input_length.observe(length as f64);
    }

    /// A prediction: its label as the model names it, its confidence where finite.
    pub fn prediction(&self, label: Option<&str>, confidence: Option<f64>) {
        if let Some(label) = label {
            self.count_label(label);
        }
        if let Some(confidence) = confidence.filter(|value| value.is_finite()) {
            self.confidence.observe(confidence);
        }
    }

    /// Requests entered (positive) or left (negative) service.
    pub fn in_flight_add(&self, requests: i64) {
        self.in_flight.add(requests);
    }

    /// An inference failed.
    pub fn error(&self, kind: &'static str) {
        self.errors.add(kind, 1);
    }

    /// A request's client went away in this stage.
    pub fn cancelled(&self, stage: Stage) {
        self.cancelled[stage as usize].inc();
    }

    /// The model is loaded: what it is, and what its load and warm-up took.
    #[expect(clippy::too_many_arguments, reason = "told once per load; a struct would only repeat the names")]
    pub fn loaded(&self, digest: &str, runtime: &str, provider: &str, load: Duration, warmup: Duration) {
        let (model, version) = &self.names;
        // A reload may bring another graph under the same version: one series per loaded model. The
        // search goes through the series of all models, so a first load spares itself it.
        if self.loaded_at.get() > 0.0 {
            self.catalogue.model_info.forget(model, version);
        }
        self.catalogue.model_info.with_label_values(&[model, version, digest, runtime, provider]).set(1);
        self.load.set(load.as_secs_f64());
        self.warmup.set(warmup.as_secs_f64());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.loaded_at.set(now.as_secs_f64());
    }

    /// How many nodes of its graph each provider runs.
    pub fn nodes<'a>(&self, nodes: impl Iterator<Item = (&'a str, usize)>) {
        let (model, version) = &self.names;
        if self.loaded_at.get() > 0.0 {
            self.catalogue.model_nodes.forget(model, version);
        }
        for (provider, count) in nodes {
            let gauge = self.catalogue.model_nodes.with_label_values(&[model, version, provider]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// The version was unloaded: handles still held begin no series.
    pub(super) fn forget(&self) {
        self.forgotten.store(true, Ordering::Relaxed);
    }

    /// A load ended.
    pub fn load_result(&self, result: LoadResult) {
        self.loads[result as usize].inc();
    }

    fn count_label(&self, label: &str) {
        let known = self.predictions.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = known.get(label) {
            counter.inc();
            return;
        }
        let other = (known.len() > LABEL_CAP).then(|| known.get(OTHER).cloned()).flatten();
        drop(known);
        if let Some(counter) = other {
            counter.inc();
            return;
        }
        let name = self.admitted.admit(label);
        let (model, version) = &self.names;
        let counter = self.catalogue.predictions.with_label_values(&[model, version, name]);
        counter.inc();
        self.predictions.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), counter);
    }
}
