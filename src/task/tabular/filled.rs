//! What callers left out of their instances and the model's defaults filled in, counted while it is decoded.
//!
//! Filled by [`super::TabularBuilder`], told to metrics by `service/`. Invariant: a row in which every value
//! is given costs nothing here.

use super::features::{FeatureSpec, Value};

/// How often features were absent or null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// By the feature's place in the model's order; empty where all were given.
    by_feature: Vec<u32>,
    missing: u64,
    total: u64,
}

impl Filled {
    /// Counts the default of feature `index` of `features`.
    pub(super) fn count(&mut self, index: usize, features: &[FeatureSpec]) {
        if self.by_feature.is_empty() {
            self.by_feature = vec![0; features.len()];
        }
        self.by_feature[index] = self.by_feature[index].saturating_add(1);
        self.total += 1;
        self.missing += u64::from(features[index].default == Some(Value::Missing));
    }

    /// How often each was left out, by its place in the model's order; empty where all were given.
    pub fn by_feature(&self) -> &[u32] {
        &self.by_feature
    }

    /// Values that a default stood in for.
    pub fn defaulted(&self) -> u64 {
        self.total - self.missing
    }

    /// Values that stay missing: their default is NaN, which the model gets.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Values that the caller gave, of `all`.
    pub fn given(&self, all: u64) -> u64 {
        all.saturating_sub(self.total)
    }
}
