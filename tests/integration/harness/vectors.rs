//! The demo models' known answers, computed by other programs.

use std::fs;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::settings;

fn read(model: &str) -> Value {
    let path = settings::package("models").join(model).join("testdata/vectors.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// Rows of `fraud-detector` with scikit-learn's scores.
pub(crate) fn fraud() -> &'static Value {
    static VECTORS: OnceLock<Value> = OnceLock::new();
    VECTORS.get_or_init(|| read("fraud-detector"))
}

/// Sentences with an FP64 computation's embeddings.
pub(crate) fn sentences() -> &'static Value {
    static VECTORS: OnceLock<Value> = OnceLock::new();
    VECTORS.get_or_init(|| read("sentence-embedder"))
}

/// Pictures of digits with Pillow's and scikit-learn's scores.
pub(crate) fn digits() -> &'static Value {
    static VECTORS: OnceLock<Value> = OnceLock::new();
    VECTORS.get_or_init(|| read("digits"))
}

/// Tickets with an FP64 computation's scores.
pub(crate) fn topics() -> &'static Value {
    static VECTORS: OnceLock<Value> = OnceLock::new();
    VECTORS.get_or_init(|| read("ticket-topic"))
}

/// The names of `fraud-detector`'s features, in order.
pub(crate) fn fraud_features() -> Vec<String> {
    let text = fs::read_to_string(settings::package("models/fraud-detector/model.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let features = manifest["features"].as_array().unwrap();
    features.iter().map(|feature| feature["name"].as_str().unwrap().to_owned()).collect()
}

/// Row `index` with its features by name.
pub(crate) fn fraud_instance(index: usize) -> Value {
    let values = fraud()["rows"][index].as_array().unwrap();
    Value::Object(fraud_features().into_iter().zip(values.iter().cloned()).collect::<Map<_, _>>())
}

/// Every number of `actual` is within `bound` of that of `expected`.
#[track_caller]
pub(crate) fn assert_close(actual: &Value, expected: &Value, bound: f64) {
    match (actual, expected) {
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{actual} {expected}");
            a.iter().zip(b).for_each(|(a, b)| assert_close(a, b, bound));
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() <= bound, "{a} is not {b} within {bound}");
        }
        _ => assert_eq!(actual, expected),
    }
}
