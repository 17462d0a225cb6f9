//! Each loaded model as paths of its own, with its fields and an example that works when sent.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{examples, schema};
use crate::http::{Api, describe};
use crate::service::{Model, Models};

/// Adds `/predict/NAME` of every model that is ready, and its versions where there are several.
pub(super) fn add(
    api: &Api,
    models: &Models,
    document: &mut Value,
    paths: &mut Map<String, Value>,
) -> serde_json::Result<()> {
    for name in models.names() {
        let ready: Vec<&Model> = models.ready_versions(name.as_str()).map(|model| &**model).collect();
        for model in &ready {
            let described = as_sent(&describe::description(api, model))?;
            let key = format!("{name}.{}", model.facts.version);
            let schemas = &mut document["components"]["schemas"];
            schemas[format!("{key}.request")] =
                request(&described, api.service.decode_limits().max_instances);
            schemas[format!("{key}.response")] = response(&described);
            if ready.last().is_some_and(|last| last.facts.version == model.facts.version) {
                paths.insert(format!("/predict/{name}"), path(&described, &key, name.as_str()));
            }
            if ready.len() > 1 {
                let version = format!("/predict/{name}/versions/{}", model.facts.version);
                let id = format!("{name}:{}", model.facts.version);
                paths.insert(version, path(&described, &key, &id));
            }
        }
    }
    Ok(())
}

/// A value as its JSON reads: a single keeps its shortest decimal.
fn as_sent(value: &impl Serialize) -> serde_json::Result<Value> {
    serde_json::from_slice(&serde_json::to_vec(value)?)
}

/// The methods of one model's path; `id` holds a colon where no name does, so that no two are alike.
fn path(described: &Value, key: &str, id: &str) -> Value {
    let task = described["task"].as_str().unwrap_or_default();
    let about = described.get("description").and_then(Value::as_str);
    let text = about.map_or_else(|| task.to_owned(), |about| format!("{about} ({task})"));
    let reference = |what: &str| json!({ "$ref": format!("#/components/schemas/{key}.{what}") });
    let mut content = json!({ "application/json": {
        "schema": reference("request"),
        "examples": examples::json(described),
    } });
    if let Some(table) = examples::csv(described) {
        content["text/csv"] =
            json!({ "schema": { "type": "string" }, "examples": { "table": { "value": table } } });
    }
    if described["inputs"].get("image").is_some() {
        for media in ["image/png", "image/jpeg"] {
            content[media] = json!({});
        }
    }
    let parameters: Vec<Value> = ["timeout", "priority", "traceparent"]
        .map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }))
        .into();
    json!({
        "get": {
            "operationId": format!("describe:{id}"), "tags": ["models"], "x-needs": "metadata",
            "summary": format!("What {id} takes and gives"), "x-errors": [404, 503],
            "responses": { "200": { "description": "The model", "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/ModelDescription" },
            } } } },
        },
        "post": {
            "operationId": format!("predict:{id}"), "tags": ["models"], "x-needs": "predict",
            "x-prediction": true, "summary": format!("Predict with {id}"), "description": text,
            "x-errors": [400, 404, 408, 413, 415, 429, 500, 503, 504],
            "x-model": {
                "name": described["model"]["name"], "version": described["model"]["version"], "task": task,
                "inputs": described["inputs"], "outputs": described["outputs"],
                "labels": described.get("labels"), "parameters": described["parameters"],
            },
            "parameters": parameters,
            "requestBody": { "required": true, "content": content },
            "responses": { "200": { "description": "The prediction, or one for each instance", "content": {
                "application/json": { "schema": reference("response") },
            } } },
        },
    })
}

/// A bare instance, or a list of them.
fn request(described: &Value, max_instances: usize) -> Value {
    let schema::Instance { object, others, has_own_parameters } = schema::instance(&described["inputs"]);
    let parameters = schema::parameters(&described["parameters"]);
    let max_instances = if described["execution"]["batchable"] == false { 1 } else { max_instances };
    let mut in_list = vec![object.clone()];
    in_list.extend(others.iter().cloned());
    let mut list = json!({
        "type": "object", "required": ["instances"], "additionalProperties": false,
        "properties": { "instances": {
            "type": "array", "minItems": 1, "maxItems": max_instances, "items": { "anyOf": in_list },
        } },
    });
    let mut bare = object;
    if let Some(parameters) = parameters {
        if has_own_parameters {
            bare["properties"]["parameters"] = parameters.clone();
        }
        list["properties"]["parameters"] = parameters;
    }
    let mut forms = vec![bare, list];
    // A string by itself is no body.
    forms.extend(others.into_iter().filter(|form| form["type"] == "array"));
    json!({ "anyOf": forms })
}

/// The bare prediction with the model beside it, or the list.
fn response(described: &Value) -> Value {
    let (properties, required) = schema::prediction(&described["outputs"], described.get("labels"));
    let one = json!({ "type": "object", "properties": properties, "required": required });
    let model = json!({ "$ref": "#/components/schemas/ModelName" });
    let mut bare = one.clone();
    bare["properties"]["model"] = model.clone();
    if let Some(required) = bare["required"].as_array_mut() {
        required.push("model".into());
    }
    json!({ "anyOf": [bare, {
        "type": "object", "required": ["predictions", "model"], "additionalProperties": false,
        "properties": { "predictions": { "type": "array", "items": one }, "model": model },
    }] })
}

/// Gives the routes that take any model a name that there is, and an example for it.
pub(super) fn complete_any(
    api: &Api,
    models: &Models,
    document: &mut Value,
    paths: &mut Map<String, Value>,
) -> serde_json::Result<()> {
    let ready = models.names().filter_map(|name| Models::default_version(models.versions(name.as_str())?));
    let ready: Vec<&Model> = ready.map(|model| &**model).collect();
    let default = api.service.resolve(None, None).ok();
    let Some(model) = default.as_deref().or_else(|| ready.first().copied()) else { return Ok(()) };
    let parameters = &mut document["components"]["parameters"];
    parameters["model"]["examples"] = json!({ "loaded": { "value": model.name() } });
    parameters["version"]["examples"] = json!({ "loaded": { "value": model.facts.version.to_string() } });
    let example = json!({ "loaded": {
        "summary": format!("For {}", model.name()), "value": as_sent(&model.task.example())?,
    } });
    let infer = json!({ "loaded": {
        "summary": format!("For {}", model.name()), "value": examples::infer(&model.facts.signature),
    } });
    for (path, methods) in paths {
        let Some(post) = methods.get_mut("post") else { continue };
        let is_prediction = post.get("x-prediction").is_some();
        let Some(content) = post.pointer_mut("/requestBody/content/application~1json") else { continue };
        if path == "/predict" && default.is_none() {
            continue;
        }
        if path.starts_with("/predict") {
            content["examples"] = example.clone();
        } else if is_prediction && path.ends_with("/infer") {
            content["examples"] = infer.clone();
        }
    }
    Ok(())
}
