//! The instances that a model is measured and compared with, and its answers to them.

use std::path::Path;

use serde_json::{Map, Value};

use super::subject::Subject;
use crate::cli::Failure;
use crate::engine::Run;
use crate::model::Golden;
use crate::service::LoadedModel;
use crate::task::{DecodeLimits, Task};
use crate::tensor::Tensor;

/// Files of ours hold one instance at a time.
const LIMITS: DecodeLimits =
    DecodeLimits { max_instances: 1, max_depth: 64, max_bytes: u64::MAX, max_pixels: u64::MAX };

/// An instance, and what is known of its answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) instance: Value,
    /// The right label.
    pub(super) label: Option<String>,
}

/// All instances, and where they come from.
pub(super) struct Samples {
    pub(super) all: Vec<Sample>,
    pub(super) origin: String,
}

impl Samples {
    /// The golden samples and those of the file; without either the model's example.
    pub(super) fn gather(
        subject: &Subject,
        loaded: &LoadedModel,
        file: Option<&Path>,
    ) -> Result<Self, Failure> {
        let golden = &subject.manifest().golden;
        let mut all: Vec<Sample> = golden.iter().map(of_golden).collect::<Result<_, _>>()?;
        let mut origin = format!("{} golden samples", all.len());
        if let Some(file) = file {
            let bad = |error: String| Failure::usage(format!("--data {}: {error}", file.display()));
            let text = std::fs::read_to_string(file).map_err(|error| bad(error.to_string()))?;
            let read = read(&text).map_err(bad)?;
            origin = format!("{origin}, {} instances of {}", read.len(), file.display());
            all.extend(read);
        }
        if all.is_empty() {
            let example = serde_json::to_value(loaded.task.example());
            let instance = example.map_err(|error| Failure::failed(format!("no example: {error}")))?;
            all.push(Sample { instance, label: None });
            "the model's example".clone_into(&mut origin);
        }
        for (index, sample) in all.iter().enumerate() {
            loaded
                .task
                .rows_of(sample.instance.clone(), &LIMITS)
                .map_err(|error| Failure::failed(format!("instance {index} of {origin}: {error}")))?;
        }
        Ok(Self { all, origin })
    }

    /// The request bodies, an instance each.
    pub(super) fn bodies(&self) -> Vec<Vec<u8>> {
        let body = |sample: &Sample| format!("{{\"instances\":[{}]}}", sample.instance).into_bytes();
        self.all.iter().map(body).collect()
    }

    /// The inputs of the instance in the middle by length: what is run again and again at first.
    pub(super) fn typical(&self, task: &Task) -> Result<Vec<Tensor>, String> {
        let mut encoded: Vec<Vec<Tensor>> = self
            .all
            .iter()
            .map(|sample| task.rows_of(sample.instance.clone(), &LIMITS).map(|rows| rows.inputs))
            .collect::<Result<_, _>>()?;
        encoded.sort_by_key(|inputs| inputs.iter().map(|tensor| tensor.data().len()).sum::<usize>());
        let middle = encoded.len() / 2;
        Ok(encoded.swap_remove(middle))
    }
}

fn of_golden(golden: &Golden) -> Result<Sample, Failure> {
    let instance = serde_json::to_value(&golden.input)
        .map_err(|error| Failure::failed(format!("a golden sample: {error}")))?;
    let label = golden.expected.get("label").and_then(toml::Value::as_str).map(str::to_owned);
    Ok(Sample { instance, label })
}

/// A list in `instances`, a bare list, or a line each.
fn read(text: &str) -> Result<Vec<Sample>, String> {
    let all = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(mut whole)) if whole.contains_key("instances") => {
            if let Some(other) = whole.keys().find(|key| *key != "instances") {
                return Err(format!("unknown member {other:?} beside instances"));
            }
            match whole.remove("instances") {
                Some(Value::Array(list)) => list,
                _ => return Err("instances: expected a list".to_owned()),
            }
        }
        Ok(Value::Array(list)) => list,
        _ => {
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            lines
                .map(|(index, line)| {
                    serde_json::from_str(line).map_err(|error| format!("line {}: {error}", index + 1))
                })
                .collect::<Result<_, String>>()?
        }
    };
    if all.is_empty() {
        return Err("holds no instance".to_owned());
    }
    Ok(all.into_iter().map(sample).collect())
}

/// An instance alone, or one with what is expected of it.
fn sample(value: Value) -> Sample {
    let expects = |map: &Map<String, Value>| {
        map.len() == 2 && map.contains_key("input") && map.get("expected").is_some_and(Value::is_object)
    };
    match value {
        Value::Object(mut map) if expects(&map) => {
            let label = map["expected"].get("label").and_then(Value::as_str).map(str::to_owned);
            Sample { instance: map.remove("input").unwrap_or_default(), label }
        }
        instance => Sample { instance, label: None },
    }
}

/// What a loaded model answers to each of `samples`, alone.
pub(super) fn answers(loaded: &mut LoadedModel, samples: &[Sample]) -> Result<Vec<Value>, String> {
    let LoadedModel { task, sessions, .. } = loaded;
    let session = sessions.first_mut().ok_or("no session")?;
    let mut answer = |sample: &Sample| {
        let rows = task.rows_of(sample.instance.clone(), &LIMITS)?;
        let outputs = session.run(&rows.inputs).map_err(|error| error.to_string())?;
        let predictions = task.predictions(&outputs, &rows.reply).map_err(|error| error.to_string())?;
        serde_json::to_value(predictions.bare()).map_err(|error| error.to_string())
    };
    samples.iter().map(&mut answer).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn instances(text: &str) -> Vec<Value> {
        read(text).unwrap().into_iter().map(|sample| sample.instance).collect()
    }

    #[test]
    fn three_forms_of_a_file() {
        assert_eq!(instances("{\"instances\": [[1], [2]]}"), [json!([1]), json!([2])]);
        assert_eq!(instances("[\"a\", {\"text\": \"b\"}]"), [json!("a"), json!({ "text": "b" })]);
        assert_eq!(instances("{\"x\": 1}\n\n{\"x\": 2}\n"), [json!({ "x": 1 }), json!({ "x": 2 })]);
        assert_eq!(instances("{\"x\": 1}"), [json!({ "x": 1 })]);
    }

    #[test]
    fn labels_come_with_an_instance() {
        let read =
            read("{\"input\": \"a\", \"expected\": {\"label\": \"refund\"}}\n{\"text\": \"b\"}").unwrap();
        let expected = [
            Sample { instance: json!("a"), label: Some("refund".to_owned()) },
            Sample { instance: json!({ "text": "b" }), label: None },
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(read("").unwrap_err().contains("no instance"));
        assert!(read("{\"x\": 1}\n{").unwrap_err().starts_with("line 2"));
        assert!(read("{\"instances\": [1], \"labels\": []}").unwrap_err().contains("labels"));
        assert!(read("{\"instances\": 1}").is_err());
    }
}
