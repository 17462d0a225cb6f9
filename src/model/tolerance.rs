//! How far two results may differ and still be called equal.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::ProviderKind;

const DEFAULT: f64 = 1e-3;

/// A tolerance as written: one number for both bounds, or a table.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Tolerance {
    /// Absolute and relative alike.
    Both(f64),
    /// Each by itself, with overrides by provider.
    Table(Bounds),
}

/// The long form of a [`Tolerance`].
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Largest allowed absolute difference.
    #[serde(default = "default_bound")]
    pub absolute: f64,
    /// Largest allowed difference as a share of the expected value.
    #[serde(default = "default_bound")]
    pub relative: f64,
    /// Bounds for single providers, which win over the two above.
    #[serde(default)]
    pub providers: BTreeMap<ProviderKind, f64>,
}

fn default_bound() -> f64 {
    DEFAULT
}

impl Default for Tolerance {
    fn default() -> Self {
        Self::Both(DEFAULT)
    }
}

impl Tolerance {
    /// True when `actual` is within the bounds of `expected` on `provider`. Not-a-number agrees
    /// with itself only.
    pub fn allows(&self, expected: f64, actual: f64, provider: ProviderKind) -> bool {
        if expected.is_nan() || actual.is_nan() {
            return expected.is_nan() && actual.is_nan();
        }
        if expected.is_infinite() || actual.is_infinite() {
            #[expect(clippy::float_cmp, reason = "infinities are equal or they are not")]
            return expected == actual;
        }
        let (absolute, relative) = match self {
            Self::Both(bound) => (*bound, *bound),
            Self::Table(table) => table
                .providers
                .get(&provider)
                .map_or((table.absolute, table.relative), |&bound| (bound, bound)),
        };
        (expected - actual).abs() <= absolute + relative * expected.abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_and_relative_add_up_and_providers_override() {
        let cpu = ProviderKind::Cpu;
        assert!(Tolerance::default().allows(0.0, 0.0009, cpu));
        assert!(!Tolerance::default().allows(0.0, 0.0011, cpu));
        assert!(Tolerance::default().allows(100.0, 100.1, cpu));
        assert!(Tolerance::default().allows(f64::NAN, f64::NAN, cpu));
        assert!(!Tolerance::default().allows(0.0, f64::NAN, cpu));
        assert!(!Tolerance::default().allows(f64::INFINITY, 1.0, cpu));
        let table: Tolerance = toml::from_str::<BTreeMap<String, Tolerance>>(
            "t = { absolute = 1e-6, providers = { cuda = 0.5 } }",
        )
        .unwrap()["t"]
            .clone();
        assert!(table.allows(0.0, 0.4, ProviderKind::Cuda));
        assert!(!table.allows(0.0, 0.4, cpu));
    }
}
