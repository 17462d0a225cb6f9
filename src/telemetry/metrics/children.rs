//! Counters found by one `&'static str` without hashing labels on each call.
//!
//! Used by the model and process metrics for reasons, kinds and tasks: few values, known only to
//! the rooms that pass them. Invariant: the labels before the last one never change.

use std::sync::{PoisonError, RwLock};

use prometheus::IntCounter;

use super::family::Family;

/// The children of one counter that differ only in the last label.
#[derive(Debug)]
pub(super) struct Children {
    vec: Family<IntCounter>,
    labels: Vec<String>,
    known: RwLock<Vec<(&'static str, IntCounter)>>,
}

impl Children {
    /// Children under `labels`; those in `zero` exist at once, so that their first count is seen by `rate`.
    pub(super) fn new(vec: &Family<IntCounter>, labels: &[&str], zero: &[&'static str]) -> Self {
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        let children = Self { vec: vec.clone(), labels, known: RwLock::default() };
        for value in zero {
            children.add(value, 0);
        }
        children
    }

    /// Adds to the child named `value`.
    pub(super) fn add(&self, value: &'static str, count: u64) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, child)) = known.iter().find(|(name, _)| *name == value) {
            child.inc_by(count);
            return;
        }
        drop(known);
        let mut labels: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        labels.push(value);
        let child = self.vec.with_label_values(&labels);
        child.inc_by(count);
        self.known.write().unwrap_or_else(PoisonError::into_inner).push((value, child));
    }
}
