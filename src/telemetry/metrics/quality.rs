//! What a model's inputs and outputs are like: what callers left out, what was cut, what is no number.
//!
//! Counted once per request that the model ran, so that each count is a share of the instances. Invariant:
//! no label is a caller's text: features are the model's own, capped, and no call hashes a label.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use prometheus::IntCounter;

use super::catalogue::Catalogue;
use super::family::Family;
use super::model::{Admitted, LABEL_CAP};

/// Counters of the instances of one version of a model.
#[derive(Debug)]
pub struct Quality {
    catalogue: Arc<Catalogue>,
    names: (String, String),
    instances: IntCounter,
    truncated: IntCounter,
    non_finite: IntCounter,
    admitted: Admitted,
    forgotten: Arc<AtomicBool>,
    /// Its series are there from the start.
    begun: AtomicBool,
}

/// Counters of what callers give and leave out of a model's features.
#[derive(Debug)]
pub struct FeatureMetrics {
    given: IntCounter,
    defaulted: IntCounter,
    missing: IntCounter,
    /// The counter of each feature, by its place among `left_out`.
    places: Vec<usize>,
    left_out: Vec<LeftOut>,
    family: Family<IntCounter>,
    names: (String, String),
    forgotten: Arc<AtomicBool>,
}

/// How often a feature was left out: a series that may begin with the first time.
#[derive(Debug)]
struct LeftOut {
    feature: String,
    made: OnceLock<IntCounter>,
}

impl Quality {
    pub(super) fn new(
        catalogue: &Arc<Catalogue>,
        (model, version): (&str, &str),
        admitted: Admitted,
        forgotten: &Arc<AtomicBool>,
    ) -> Self {
        let both = &[model, version];
        Self {
            instances: catalogue.instances.with_label_values(both),
            truncated: catalogue.truncated.with_label_values(both),
            non_finite: catalogue.non_finite.with_label_values(both),
            catalogue: Arc::clone(catalogue),
            names: (model.to_owned(), version.to_owned()),
            admitted,
            forgotten: Arc::clone(forgotten),
            begun: AtomicBool::new(false),
        }
    }

    /// Makes the series of features be there from the start, once these are known.
    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// A request's instances ran: how many, and for how many of them a text was cut, and the model gave
    /// something that is not finite.
    pub fn ran(&self, instances: usize, truncated: usize, non_finite: usize) {
        for (counter, count) in
            [(&self.instances, instances), (&self.truncated, truncated), (&self.non_finite, non_finite)]
        {
            if count > 0 {
                counter.inc_by(count as u64);
            }
        }
    }

    /// The counters of the features that the model takes, which stand in its own order.
    pub fn features<'a>(&self, features: impl Iterator<Item = &'a str>) -> FeatureMetrics {
        let (model, version) = &self.names;
        let state = |state: &str| self.catalogue.features.with_label_values(&[model, version, state]);
        let mut known = HashMap::new();
        let mut left_out = Vec::new();
        let mut place = |feature: &'a str| {
            let name = self.admitted.admit(feature);
            *known.entry(name).or_insert_with(|| {
                left_out.push(LeftOut { feature: name.to_owned(), made: OnceLock::new() });
                left_out.len() - 1
            })
        };
        let places: Vec<usize> = features.map(&mut place).collect();
        let (begun, is_small) = (self.begun.load(Ordering::Relaxed), places.len() <= LABEL_CAP);
        let made = FeatureMetrics {
            given: state("given"),
            defaulted: state("defaulted"),
            missing: state("missing"),
            places,
            left_out,
            family: self.catalogue.features_defaulted.clone(),
            names: self.names.clone(),
            forgotten: Arc::clone(&self.forgotten),
        };
        if begun && is_small {
            for left_out in &made.left_out {
                made.counter(left_out);
            }
        }
        made
    }
}

impl FeatureMetrics {
    /// The features of a request's instances: given, filled from a default, missing; and how often each
    /// was left out, by its place in the model's order, where any was.
    pub fn count(&self, (given, defaulted, missing): (u64, u64, u64), left_out: &[u32]) {
        self.given.inc_by(given);
        if defaulted + missing == 0 {
            return;
        }
        self.defaulted.inc_by(defaulted);
        self.missing.inc_by(missing);
        for (&place, &times) in self.places.iter().zip(left_out).filter(|(_, times)| **times > 0) {
            if let Some(counter) = self.counter(&self.left_out[place]) {
                counter.inc_by(times.into());
            }
        }
    }

    /// The counter, made if it must be; none of a model that was forgotten before.
    fn counter<'a>(&self, left_out: &'a LeftOut) -> Option<&'a IntCounter> {
        let made = left_out.made.get();
        if made.is_some() || self.forgotten.load(Ordering::Relaxed) {
            return made;
        }
        let (model, version) = &self.names;
        let labels = [model.as_str(), version, &left_out.feature];
        Some(left_out.made.get_or_init(|| self.family.with_label_values(&labels)))
    }
}
