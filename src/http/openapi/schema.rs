//! Schemas (JSON Schema 2020-12) of what a model takes and gives, made of its description as
//! `GET /predict/{model}` gives it.

use serde_json::{Map, Value, json};

/// The largest finite number of each floating type, as JSON Schema bounds.
fn float(largest: f64) -> Value {
    json!({ "type": "number", "minimum": -largest, "maximum": largest })
}

/// One element, by the protocol's name of its type or the manifest's.
pub(super) fn element(datatype: &str) -> Value {
    match datatype.to_ascii_lowercase().as_str() {
        "bool" => json!({ "type": "boolean" }),
        "uint8" => json!({ "type": "integer", "minimum": 0, "maximum": u8::MAX }),
        "uint16" => json!({ "type": "integer", "minimum": 0, "maximum": u16::MAX }),
        "uint32" => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        "uint64" => json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX }),
        "int8" => json!({ "type": "integer", "minimum": i8::MIN, "maximum": i8::MAX }),
        "int16" => json!({ "type": "integer", "minimum": i16::MIN, "maximum": i16::MAX }),
        "int32" => json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX }),
        "int64" => json!({ "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX }),
        "fp16" | "float16" => float(65504.0),
        "bf16" | "bfloat16" => float(3.389_531_389_251_535_5e38),
        "fp32" | "float32" => float(f32::MAX.into()),
        "fp64" | "float64" => json!({ "type": "number" }),
        _ => json!({ "type": "string" }),
    }
}

/// Nested arrays of a shape; -1 is any length.
fn nested(datatype: &str, shape: &[i64]) -> Value {
    shape.iter().rev().fold(element(datatype), |items, size| match usize::try_from(*size) {
        Ok(size) => json!({ "type": "array", "items": items, "minItems": size, "maxItems": size }),
        Err(_) => json!({ "type": "array", "items": items }),
    })
}

fn text<'a>(of: &'a Value, member: &str) -> &'a str {
    of.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(of: &'a Value, member: &str) -> &'a [Value] {
    of.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn shape(tensor: &Value) -> Vec<i64> {
    list(tensor, "shape").iter().filter_map(Value::as_i64).collect()
}

/// A value of a feature: null stands for its default, where it has one.
fn feature(described: &Value) -> Value {
    let default = described.get("default");
    let mut schema = match described.get("categories") {
        Some(categories) => {
            let mut all = categories.as_array().cloned().unwrap_or_default();
            if default.is_some() {
                all.push(Value::Null);
            }
            json!({ "enum": all })
        }
        None => element(text(described, "type")),
    };
    if let Some(default) = default {
        if let Some(kind) = schema.get("type").cloned() {
            schema["type"] = json!([kind, "null"]);
        }
        // NaN, which only a default can be, has no form in JSON.
        if default != "nan" || text(described, "type") == "string" {
            schema["default"] = default.clone();
        }
    }
    schema
}

/// What one instance may be: the object, and the other forms that stand for it in a list.
pub(super) struct Instance {
    pub(super) object: Value,
    pub(super) others: Vec<Value>,
    /// Whether `parameters` may stand in the object itself.
    pub(super) has_own_parameters: bool,
}

/// The forms of an instance, out of `inputs` of a description.
pub(super) fn instance(inputs: &Value) -> Instance {
    let object = |properties: Map<String, Value>, required: Vec<Value>| {
        json!({
            "type": "object", "properties": properties, "required": required,
            "additionalProperties": false, "minProperties": 1,
        })
    };
    if let Some(features) = inputs.get("features").and_then(Value::as_array) {
        let properties = features.iter().map(|one| (text(one, "name").to_owned(), feature(one)));
        let required = features.iter().filter(|one| one.get("default").is_none());
        let required = required.map(|one| one["name"].clone()).collect();
        let row = json!({
            "type": "array", "prefixItems": features.iter().map(feature).collect::<Vec<_>>(),
            "items": false, "minItems": features.len(), "maxItems": features.len(),
        });
        let object = object(properties.collect(), required);
        return Instance { object, others: vec![row], has_own_parameters: false };
    }
    if let Some(tensors) = inputs.get("tensors").and_then(Value::as_array) {
        let of = |one: &Value| nested(text(one, "datatype"), &shape(one));
        let properties = tensors.iter().map(|one| (text(one, "name").to_owned(), of(one)));
        let required = tensors.iter().map(|one| one["name"].clone()).collect();
        let others = match tensors.as_slice() {
            [only] if !shape(only).is_empty() => vec![of(only)],
            _ => Vec::new(),
        };
        return Instance {
            object: object(properties.collect(), required),
            others,
            has_own_parameters: false,
        };
    }
    if inputs.get("text").is_some() {
        let plain = json!({ "type": "string" });
        let properties = [("text".to_owned(), plain.clone()), ("text_pair".to_owned(), plain.clone())];
        let object = object(properties.into_iter().collect(), vec!["text".into()]);
        return Instance { object, others: vec![plain], has_own_parameters: true };
    }
    let image = json!({ "type": "string", "contentEncoding": "base64" });
    let object = object([("b64".to_owned(), image)].into_iter().collect(), vec!["b64".into()]);
    Instance { object, others: Vec::new(), has_own_parameters: true }
}

/// What `parameters` may hold, out of the names that a description lists; none where nothing may.
pub(super) fn parameters(names: &Value) -> Option<Value> {
    let names = names.as_array().filter(|names| !names.is_empty())?;
    let mut properties = Map::new();
    for name in names.iter().filter_map(Value::as_str) {
        let schema = match name {
            "top_k" => json!({ "type": "integer", "minimum": 1 }),
            _ => json!({ "type": "boolean" }),
        };
        properties.insert(name.to_owned(), schema);
    }
    Some(json!({ "type": "object", "properties": properties, "additionalProperties": false }))
}

/// The members of one prediction, out of `outputs` and `labels` of a description.
pub(super) fn prediction(outputs: &Value, labels: Option<&Value>) -> (Map<String, Value>, Vec<Value>) {
    if let Some(tensors) = outputs.get("tensors").and_then(Value::as_array) {
        // The shortest decimal of the largest single lies beyond it as a double: answers have no bounds.
        let kind = |one: &Value| {
            if text(one, "datatype").contains('F') { "FP64" } else { text(one, "datatype") }.to_owned()
        };
        let of = |one: &Value| nested(&kind(one), &shape(one));
        let properties = tensors.iter().map(|one| (text(one, "name").to_owned(), of(one))).collect();
        return (properties, tensors.iter().map(|one| one["name"].clone()).collect());
    }
    let mut properties = Map::new();
    for (name, what) in outputs.as_object().into_iter().flatten() {
        properties.insert(name.clone(), member(name, what.as_str().unwrap_or_default(), labels));
    }
    let required = properties.keys().map(|name| name.as_str().into()).collect();
    (properties, required)
}

/// A member of an answer, out of the phrase that describes it.
fn member(name: &str, what: &str, labels: Option<&Value>) -> Value {
    let kind = what.split(' ').next().unwrap_or_default();
    match kind {
        "string" => match labels {
            Some(labels) if name == "label" => json!({ "type": "string", "enum": labels }),
            _ => json!({ "type": "string" }),
        },
        "number" | "integer" => json!({ "type": kind }),
        "object" => {
            json!({ "type": "object", "additionalProperties": { "type": "number" }, "description": what })
        }
        "numbers" => json!({ "type": "array", "items": { "type": "number" } }),
        count => match count.parse::<usize>() {
            Ok(count) => {
                json!({ "type": "array", "items": { "type": "number" }, "minItems": count, "maxItems": count })
            }
            Err(_) => json!({ "description": what }),
        },
    }
}
