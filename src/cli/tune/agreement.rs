//! The gate of accuracy: whether other numerics give the answers that the present ones give. Pure.

use serde::Serialize;
use serde_json::Value;

use super::data::Sample;
use crate::model::{Golden, ProviderKind};

/// What is compared, by what the answers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Measure {
    /// Share of instances with the same label.
    SameLabels,
    /// The lowest cosine between two vectors.
    LowestCosine,
    /// One less the largest difference of numbers, over the largest number.
    Numbers,
}

impl Measure {
    /// From this on answers count as the same.
    const fn threshold(self) -> f64 {
        match self {
            Self::SameLabels => 0.995,
            Self::LowestCosine => 0.9999,
            Self::Numbers => 0.999,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::SameLabels => "share of equal labels",
            Self::LowestCosine => "lowest cosine",
            Self::Numbers => "one less the largest difference over the largest number",
        }
    }
}

/// How two lists of answers agree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Agreement {
    pub(super) measure: Measure,
    pub(super) value: f64,
    pub(super) threshold: f64,
    pub(super) instances: usize,
    /// Largest difference between two scores, or two numbers.
    pub(super) largest_difference: f64,
    /// Share of right labels before and after, where labels are known.
    pub(super) accuracy: Option<Accuracy>,
    pub(super) passes: bool,
}

/// Right labels among the instances whose label is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Accuracy {
    pub(super) instances: usize,
    pub(super) before: f64,
    pub(super) after: f64,
}

impl Agreement {
    /// Compares the answers of the present settings with others. `threshold` overrides the measure's
    /// own. Known labels are a gate too: not more than the same share may get lost.
    pub(super) fn of(samples: &[Sample], before: &[Value], after: &[Value], threshold: Option<f64>) -> Self {
        let measure = measure(before);
        let pairs = || before.iter().zip(after);
        let value = match measure {
            Measure::SameLabels => share(pairs().map(|(a, b)| a["label"] == b["label"])),
            Measure::LowestCosine => {
                let cosines =
                    pairs().map(|(a, b)| cosine(&numbers(&a["embedding"]), &numbers(&b["embedding"])));
                cosines.fold(1.0, f64::min)
            }
            Measure::Numbers => {
                let scale = before.iter().flat_map(numbers).map(f64::abs).fold(0.0, f64::max);
                1.0 - difference(before, after) / scale.max(f64::MIN_POSITIVE)
            }
        };
        let threshold = threshold.unwrap_or(measure.threshold());
        let accuracy = accuracy(samples, before, after);
        let keeps_labels = accuracy.is_none_or(|found| found.after >= found.before - (1.0 - threshold));
        Self {
            measure,
            value,
            threshold,
            instances: before.len().min(after.len()),
            largest_difference: difference(before, after),
            accuracy,
            passes: value >= threshold && keeps_labels && !before.is_empty() && before.len() == after.len(),
        }
    }

    /// In words.
    pub(super) fn text(&self) -> String {
        let verdict = if self.passes { "agrees" } else { "DISAGREES" };
        let accuracy = self.accuracy.map_or_else(String::new, |found| {
            format!("; right labels {:.4} -> {:.4} of {}", found.before, found.after, found.instances)
        });
        format!(
            "{verdict}: {} {:.6} on {} instances (at least {}), largest difference {:.2e}{accuracy}",
            self.measure.words(),
            self.value,
            self.instances,
            self.threshold,
            self.largest_difference
        )
    }
}

fn measure(answers: &[Value]) -> Measure {
    let all_have =
        |member: &str| !answers.is_empty() && answers.iter().all(|answer| answer.get(member).is_some());
    if all_have("label") {
        Measure::SameLabels
    } else if all_have("embedding") {
        Measure::LowestCosine
    } else {
        Measure::Numbers
    }
}

/// All numbers of a value; objects in the order of their names.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Number(number) => number.as_f64().into_iter().collect(),
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        Value::Object(map) => map.values().flat_map(numbers).collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => Vec::new(),
    }
}

/// The largest difference of two numbers in the same place; infinite where the places differ.
fn difference(before: &[Value], after: &[Value]) -> f64 {
    let of = |(a, b): (&Value, &Value)| {
        let (a, b) = (numbers(a), numbers(b));
        if a.len() != b.len() {
            return f64::INFINITY;
        }
        a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    before.iter().zip(after).map(of).fold(0.0, f64::max)
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    if a.len() != b.len() {
        return -1.0;
    }
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 {
        return dot(a, b) / lengths;
    }
    let both_are_zero = a.iter().chain(b).all(|x| x.abs() < f64::MIN_POSITIVE);
    f64::from(u8::from(both_are_zero))
}

#[expect(clippy::cast_precision_loss, reason = "counts of instances")]
fn share(yes: impl Iterator<Item = bool>) -> f64 {
    let (count, all) = yes.fold((0_usize, 0_usize), |(count, all), yes| (count + usize::from(yes), all + 1));
    count as f64 / all.max(1) as f64
}

fn accuracy(samples: &[Sample], before: &[Value], after: &[Value]) -> Option<Accuracy> {
    let right = |answers: &[Value]| {
        let known = samples
            .iter()
            .zip(answers)
            .filter_map(|(sample, answer)| Some((sample.label.as_deref()?, answer)));
        share(known.map(|(label, answer)| answer["label"] == label))
    };
    let instances = samples.iter().filter(|sample| sample.label.is_some()).count();
    (instances > 0).then(|| Accuracy { instances, before: right(before), after: right(after) })
}

/// What a tolerance is set wider by than what was seen.
const ROOM: f64 = 1.5;

/// The golden samples whose own tolerance does not allow the answers of other numerics, and the
/// tolerance that does; infinite where none would. Golden samples are the first of the answers.
pub(super) fn wider_tolerances(
    golden: &[Golden],
    answers: &[Value],
    provider: ProviderKind,
) -> Vec<(usize, f64)> {
    let needed = |(index, (sample, answer)): (usize, (&Golden, &Value))| {
        let allows = |a, b| sample.tolerance.allows(a, b, provider);
        let expected = serde_json::to_value(&sample.expected).unwrap_or_default();
        let share = furthest(&expected, answer, &allows);
        (share > 0.0).then(|| (index, upwards(share * ROOM)))
    };
    golden.iter().zip(answers).enumerate().filter_map(needed).collect()
}

/// The largest tolerance that a number which is not allowed would need.
fn furthest(expected: &Value, actual: &Value, allows: &impl Fn(f64, f64) -> bool) -> f64 {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            let member =
                |(key, value)| actual.get(key).map_or(f64::INFINITY, |other| furthest(value, other, allows));
            expected.iter().map(member).fold(0.0, f64::max)
        }
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
            let pairs = expected.iter().zip(actual);
            pairs.map(|(a, b)| furthest(a, b, allows)).fold(0.0, f64::max)
        }
        _ => match (expected.as_f64(), actual.as_f64()) {
            (Some(a), Some(b)) if allows(a, b) => 0.0,
            (Some(a), Some(b)) => (a - b).abs() / (1.0 + a.abs()),
            _ if expected == actual => 0.0,
            _ => f64::INFINITY,
        },
    }
}

/// Rounded up to two digits.
fn upwards(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return value;
    }
    // By its text, so that it is written as short as it is meant.
    let shown = format!("{value:.1e}");
    let rounded: f64 = shown.parse().unwrap_or(value);
    if rounded >= value {
        return rounded;
    }
    let exponent = shown.split_once('e').map_or("0", |(_, exponent)| exponent);
    let step: f64 = format!("0.1e{exponent}").parse().unwrap_or(0.0);
    format!("{:.1e}", rounded + step).parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn labelled(labels: &[&str]) -> Vec<Value> {
        labels.iter().map(|label| json!({ "label": label, "scores": { "a": 0.5 } })).collect()
    }

    fn samples(labels: &[&str]) -> Vec<Sample> {
        let sample = |label: &&str| Sample { instance: Value::Null, label: Some((*label).to_owned()) };
        labels.iter().map(sample).collect()
    }

    #[test]
    fn labels_must_stay() {
        let (before, after) = (labelled(&["a", "b", "a"]), labelled(&["a", "b", "b"]));
        let same = Agreement::of(&[], &before, &before, None);
        assert!(same.passes && same.accuracy.is_none(), "{same:?}");
        let changed = Agreement::of(&[], &before, &after, None);
        assert!(!changed.passes && (changed.value - 2.0 / 3.0).abs() < 1e-9, "{changed:?}");
        assert!(Agreement::of(&[], &before, &after, Some(0.6)).passes);
        assert!(!Agreement::of(&[], &[], &[], None).passes, "nothing compared is no agreement");
        assert!(!Agreement::of(&[], &before, &after[..2], None).passes);
    }

    #[test]
    fn known_labels_must_not_get_lost() {
        let (before, after) = (labelled(&["a", "b"]), labelled(&["a", "a"]));
        let lost = Agreement::of(&samples(&["a", "b"]), &before, &after, Some(0.9));
        assert_eq!(lost.accuracy, Some(Accuracy { instances: 2, before: 1.0, after: 0.5 }));
        assert!(!lost.passes);
        let won = Agreement::of(&samples(&["a", "a"]), &before, &after, Some(0.5));
        assert!(won.passes, "{won:?}");
    }

    #[test]
    fn vectors_by_their_lowest_cosine() {
        let vector = |x: f64, y: f64| json!({ "embedding": [x, y], "tokens": 3 });
        let before = [vector(1.0, 0.0), vector(0.0, 1.0)];
        let near = Agreement::of(&[], &before, &[vector(1.0, 1e-4), vector(0.0, 1.0)], None);
        assert!(near.passes && near.measure == Measure::LowestCosine, "{near:?}");
        let far = Agreement::of(&[], &before, &[vector(1.0, 0.0), vector(0.1, 1.0)], None);
        assert!(!far.passes && (far.largest_difference - 0.1).abs() < 1e-9, "{far:?}");
        let other = Agreement::of(&[], &before, &[json!({ "embedding": [1.0] }), vector(0.0, 1.0)], None);
        assert!(!other.passes);
    }

    #[test]
    fn golden_samples_name_the_tolerance_that_they_need() {
        let golden: Golden =
            toml::from_str("input = \"a\"\n[expected]\nlabel = \"b\"\nconfidence = 0.5").unwrap();
        let of = |answer: Value| {
            wider_tolerances(std::slice::from_ref(&golden), &[answer], ProviderKind::Openvino)
        };
        assert_eq!(of(json!({ "label": "b", "confidence": 0.5004 })), []);
        let wider = of(json!({ "label": "b", "confidence": 0.5118 }));
        assert_eq!(wider, [(0, 0.012)]);
        let changed = of(json!({ "label": "c", "confidence": 0.5 }));
        assert_eq!(changed, [(0, f64::INFINITY)]);
    }

    #[test]
    fn tolerances_are_rounded_up() {
        for (value, expected) in [(0.0121, 0.013), (0.012, 0.012), (0.0099_1, 0.01), (3.14e-5, 3.2e-5)] {
            assert!((upwards(value) - expected).abs() < 1e-12, "{value}: {}", upwards(value));
        }
    }

    #[test]
    fn other_numbers_by_their_largest_difference() {
        let value = |x: f64| json!({ "value": x });
        let before = [value(100.0), value(1.0)];
        assert!(Agreement::of(&[], &before, &[value(100.05), value(1.0)], None).passes);
        assert!(!Agreement::of(&[], &before, &[value(100.0), value(1.2)], None).passes);
    }
}
