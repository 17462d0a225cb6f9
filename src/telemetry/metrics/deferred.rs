//! Histograms that begin with their first observation.
//!
//! Used by the model metrics: a histogram has a dozen series and more, and of many loaded models few
//! may ever be asked. Invariant: once made, an observation hashes no label; of a model that was
//! forgotten none is made any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::family::Family;
use super::histogram::{Histogram, SampledSpan};

/// A histogram, made when it is first observed.
#[derive(Debug)]
pub(super) struct Deferred {
    vec: Family<Histogram>,
    labels: Box<[String]>,
    forgotten: Arc<AtomicBool>,
    made: OnceLock<Histogram>,
}

impl Deferred {
    /// The child of `vec` under `labels`; `forgotten` is raised when its model is unloaded.
    pub(super) fn new(vec: &Family<Histogram>, labels: &[&str], forgotten: &Arc<AtomicBool>) -> Self {
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        Self { vec: vec.clone(), labels, forgotten: Arc::clone(forgotten), made: OnceLock::new() }
    }

    /// Counts `value`.
    pub(super) fn observe(&self, value: f64) {
        if let Some(histogram) = self.begin() {
            histogram.observe(value);
        }
    }

    /// Counts `value`; within a sampled span it becomes an exemplar.
    pub(super) fn observe_in(&self, value: f64, span: Option<SampledSpan>) {
        if let Some(histogram) = self.begin() {
            histogram.observe_in(value, span);
        }
    }

    /// Makes its series be there; none of a model that was forgotten before.
    pub(super) fn begin(&self) -> Option<&Histogram> {
        let made = self.made.get();
        if made.is_some() || self.forgotten.load(Ordering::Relaxed) {
            return made;
        }
        Some(self.made.get_or_init(|| self.vec.with_label_values::<String>(&self.labels)))
    }
}
