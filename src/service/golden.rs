//! Golden samples: instances whose predictions are known. A model that gets one wrong never serves.

use super::shapes::{as_served, without_filling};
use super::verify::LIMITS;
use crate::engine::{LoadedGraph, Run};
use crate::model::{Golden, Manifest, ProviderKind, Tolerance};
use crate::scheduler::Buckets;
use crate::task::Task;
use crate::tensor::AxisError;

/// The most differences that one sample is told with.
const MAX_DIFFERENCES: usize = 3;

/// What is wrong with each golden sample of the manifest; empty when all are right.
pub(super) fn check(
    task: &Task,
    manifest: &Manifest,
    graph: &mut LoadedGraph,
    buckets: &Buckets,
) -> Vec<String> {
    let provider = graph.provider;
    let Some(session) = graph.sessions.first_mut() else { return Vec::new() };
    let samples = manifest.golden.iter().enumerate();
    samples
        .filter_map(|(index, golden)| {
            let problem = check_one(task, golden, (session, buckets), provider).err()?;
            Some(format!("golden[{index}]: {problem}"))
        })
        .collect()
}

fn check_one(
    task: &Task,
    golden: &Golden,
    (session, buckets): (&mut dyn Run, &Buckets),
    provider: ProviderKind,
) -> Result<(), String> {
    let rows = task.rows_of(golden.input.clone(), &LIMITS)?;
    let broken = |error: AxisError| format!("its rows can't be filled up: {error}");
    let inputs = as_served(&rows, buckets).map_err(broken)?;
    let outputs = session.run(&inputs).map_err(|error| format!("the run failed: {error}"))?;
    let outputs =
        if buckets.is_exact() { outputs } else { without_filling(outputs, rows.rows).map_err(broken)? };
    let predictions = task.predictions(&outputs, &rows.reply).map_err(|error| error.to_string())?;
    let actual = toml::Value::try_from(predictions.bare()).map_err(|error| error.to_string())?;
    let mut compared =
        Comparison { tolerance: &golden.tolerance, provider, differences: Vec::new(), more: 0 };
    compared.values("", &toml::Value::Table(golden.expected.clone()), &actual);
    compared.verdict()
}

struct Comparison<'a> {
    tolerance: &'a Tolerance,
    provider: ProviderKind,
    differences: Vec<String>,
    more: usize,
}

impl Comparison<'_> {
    fn differ(&mut self, text: String) {
        if self.differences.len() < MAX_DIFFERENCES {
            self.differences.push(text);
        } else {
            self.more += 1;
        }
    }

    fn values(&mut self, path: &str, expected: &toml::Value, actual: &toml::Value) {
        use toml::Value::{Array, Table};
        match (expected, actual) {
            (Table(expected), Table(actual)) => {
                for (key, value) in expected {
                    let path = format!("{path}/{key}");
                    match actual.get(key) {
                        Some(other) => self.values(&path, value, other),
                        None => self.differ(format!("{path} is not in the prediction")),
                    }
                }
            }
            (Array(expected), Array(actual)) if expected.len() == actual.len() => {
                for (index, (value, other)) in expected.iter().zip(actual).enumerate() {
                    self.values(&format!("{path}/{index}"), value, other);
                }
            }
            (Array(expected), Array(actual)) => {
                self.differ(format!("{path} has {} elements, expected {}", actual.len(), expected.len()));
            }
            _ => match (number(expected), number(actual)) {
                (Some(wanted), Some(came)) if self.tolerance.allows(wanted, came, self.provider) => {}
                (None, None) if expected == actual => {}
                _ => self.differ(format!("{path} is {actual}, expected {expected}")),
            },
        }
    }

    fn verdict(self) -> Result<(), String> {
        if self.differences.is_empty() {
            return Ok(());
        }
        let mut text = self.differences.join("; ");
        if self.more > 0 {
            text = format!("{text}; and {} more", self.more);
        }
        Err(text)
    }
}

fn number(value: &toml::Value) -> Option<f64> {
    match value {
        toml::Value::Float(number) => Some(*number),
        #[expect(clippy::cast_precision_loss, reason = "compared within a tolerance")]
        toml::Value::Integer(number) => Some(*number as f64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(expected: &str, actual: &str) -> Result<(), String> {
        let table = |text: &str| toml::Value::Table(toml::from_str(text).unwrap());
        let tolerance = Tolerance::default();
        let provider = ProviderKind::Cpu;
        let mut comparison = Comparison { tolerance: &tolerance, provider, differences: Vec::new(), more: 0 };
        comparison.values("", &table(expected), &table(actual));
        comparison.verdict()
    }

    #[test]
    fn only_expected_members_count_and_numbers_have_a_tolerance() {
        assert_eq!(compare("label = \"a\"\nx = 1", "label = \"a\"\nx = 1.0005\ny = 2"), Ok(()));
        assert_eq!(compare("x = 1.0", "x = 1.1").unwrap_err(), "/x is 1.1, expected 1.0");
        assert_eq!(compare("label = \"a\"", "label = \"b\"").unwrap_err(), "/label is \"b\", expected \"a\"");
        assert_eq!(compare("z = 1", "x = 1").unwrap_err(), "/z is not in the prediction");
        assert_eq!(compare("v = [1, 2]", "v = [1]").unwrap_err(), "/v has 1 elements, expected 2");
        let many = compare("v = [1, 1, 1, 1, 1]", "v = [2, 2, 2, 2, 2]").unwrap_err();
        assert!(many.ends_with("; and 2 more"), "{many}");
    }
}
