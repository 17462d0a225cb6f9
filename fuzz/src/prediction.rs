//! A prediction's body against a task, and what must hold.

use ml_inference_api::service::ServiceError;
use ml_inference_api::task::Decoded;
use serde_json::Value;

use crate::models::Prediction;
use crate::{LIMITS, checks};

/// Texts of more bytes are not tokenised: the tokenizer is not what is fuzzed.
const MOST_TEXT: usize = 256;

/// Decodes `body` for each model, by `decode`.
pub fn run(
    models: &[Prediction],
    body: &[u8],
    tells_names: bool,
    decode: impl Fn(&[u8], &Prediction) -> Result<Decoded, ServiceError>,
) {
    for model in models {
        match checks::in_bounded_memory(body.len(), || decode(body, model)) {
            Ok(decoded) => accepted(model, decoded, tells_names),
            Err(error) => checks::refusal(&error.detail, error.pointer.as_deref(), tells_names),
        }
    }
}

fn accepted(model: &Prediction, decoded: Decoded, tells_names: bool) {
    let instances = decoded.instances();
    assert!((1..=LIMITS.max_instances).contains(&instances), "{instances} instances");
    if decoded.work_estimate() > MOST_TEXT {
        return;
    }
    let is_text = decoded.work_estimate() > 0;
    match model.task.encode(decoded) {
        Ok(rows) => {
            assert_eq!(rows.rows, instances);
            assert_eq!(rows.inputs.len(), model.signature.inputs.len());
            model.signature.check(&rows.inputs).expect("the tensors fit the signature");
            rows.inputs.iter().for_each(checks::tensor);
            let finite = rows.inputs.iter().all(|tensor| tensor.data().first_non_finite().is_none());
            assert!(finite, "text became NaN or infinity");
            let bytes = checks::bytes_of_numbers(rows.inputs.iter());
            assert!(is_text || bytes <= LIMITS.max_bytes, "more numbers than a body may hold");
        }
        Err(error) => checks::refusal(&error.detail, error.pointer.as_deref(), tells_names),
    }
}

/// Takes `body` for a picture, for each model, and unpacks it.
pub fn picture(models: &[Prediction], body: &[u8]) {
    for model in models {
        let decoded = checks::in_bounded_memory(body.len(), || model.task.decode_image(body, &LIMITS));
        let rows = decoded.and_then(|decoded| model.task.encode(decoded));
        match rows {
            Ok(rows) => {
                assert_eq!(rows.rows, 1);
                model.signature.check(&rows.inputs).expect("the tensor fits the signature");
                rows.inputs.iter().for_each(checks::tensor);
                assert!(checks::bytes_of_numbers(rows.inputs.iter()) <= LIMITS.max_bytes);
            }
            Err(error) => checks::refusal(&error.detail, error.pointer.as_deref(), false),
        }
    }
}

/// True when a name in the JSON holds the mark (a member's, or a column's of a split table), or the JSON is
/// none, so that nobody can tell.
pub fn names_hold_the_mark(body: &[u8]) -> bool {
    fn in_value(value: &Value) -> bool {
        match value {
            Value::Array(values) => values.iter().any(in_value),
            Value::Object(members) => {
                let is_column =
                    |value: &Value| value.as_str().is_some_and(|name| name.contains(checks::MARK));
                let columns = members.get("columns").and_then(Value::as_array);
                columns.is_some_and(|columns| columns.iter().any(is_column))
                    || members.iter().any(|(name, value)| name.contains(checks::MARK) || in_value(value))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
    serde_json::from_slice(body).map_or(true, |value| in_value(&value))
}
