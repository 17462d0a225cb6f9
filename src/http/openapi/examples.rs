//! Bodies that work when sent, in every form that a model takes.

use serde_json::{Map, Value, json};

use crate::model::{Dim, Signature, TensorSpec};
use crate::tensor::DataType;

/// The bare instance that `GET /predict/{model}` shows, and the same in a list.
pub(super) fn json(described: &Value) -> Value {
    let one = &described["example"];
    let is_single = described["execution"]["batchable"] == false;
    let list = vec![one; if is_single { 1 } else { 2 }];
    json!({
        "instance": { "summary": "One instance", "value": one },
        "instances": { "summary": "A list", "value": { "instances": list } },
    })
}

/// The example of a tabular model as a table of one row.
pub(super) fn csv(described: &Value) -> Option<String> {
    described["inputs"].get("features")?;
    let example: &Map<String, Value> = described["example"].as_object()?;
    let names: Vec<String> = example.keys().map(|name| cell(name)).collect();
    let values: Vec<String> =
        example.values().map(|value| value.as_str().map_or_else(|| value.to_string(), cell)).collect();
    Some(format!("{}\n{}\n", names.join(","), values.join(",")))
}

fn cell(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) || text.trim() != text {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

/// A request of the Open Inference Protocol: one row of ones.
pub(super) fn infer(signature: &Signature) -> Value {
    let inputs: Vec<Value> = signature.inputs.iter().map(tensor).collect();
    json!({ "inputs": inputs })
}

fn tensor(input: &TensorSpec) -> Value {
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => *size,
        Dim::Free(_) | Dim::AnyRank => 1,
    };
    let shape: Vec<usize> = input.dims.iter().map(size).collect();
    let one = match input.data_type {
        DataType::Bool => json!(true),
        DataType::Bytes => json!("text"),
        float if float.is_float() => json!(1.0),
        _ => json!(1),
    };
    let data = vec![one; shape.iter().product()];
    json!({ "name": &*input.name, "shape": shape, "datatype": input.data_type.name(), "data": data })
}
