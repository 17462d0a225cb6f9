//! The document: what all share, the routes, then the models.

use serde_json::{Map, Value, json};

use super::{ROUTES, models};
use crate::http::Api;
use crate::service::{ErrorCode, Models, Scope};

/// What a caller needs for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    Metrics,
    Key(Scope),
}

/// What an operation of the route files says that it needs.
pub(super) fn scope(operation: &Value) -> Option<Needs> {
    match operation.get("x-needs")?.as_str()? {
        "open" => Some(Needs::Nothing),
        "metrics" => Some(Needs::Metrics),
        "metadata" => Some(Needs::Key(Scope::Metadata)),
        "predict" => Some(Needs::Key(Scope::Predict)),
        _ => None,
    }
}

/// The whole description, of the models as they are.
///
/// # Errors
/// Never, where the tests pass: the files are JSON.
pub(super) fn build(api: &Api, models: &Models) -> serde_json::Result<Value> {
    let mut document: Value = serde_json::from_str(include_str!("base.json"))?;
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    let mut paths: Map<String, Value> = Map::new();
    for file in ROUTES {
        paths.extend(serde_json::from_str::<Map<String, Value>>(file)?);
    }
    models::complete_any(api, models, &mut document, &mut paths)?;
    let mut of_models = Map::new();
    models::add(api, models, &mut document, &mut of_models)?;
    of_models.extend(paths);
    for (_, methods) in &mut of_models {
        for (_, operation) in methods.as_object_mut().into_iter().flatten() {
            finish(api, operation);
        }
    }
    document["paths"] = of_models.into();
    for status in statuses() {
        document["components"]["responses"][format!("Problem{status}")] = problem(status);
    }
    if api.options.access.is_some() {
        let text = "An API key. Each route names the scope that the key needs.";
        document["components"]["securitySchemes"] =
            json!({ "key": { "type": "http", "scheme": "bearer", "description": text } });
    }
    Ok(document)
}

fn statuses() -> Vec<u16> {
    let mut all: Vec<u16> = ErrorCode::all().map(ErrorCode::http_status).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The one error body with the codes of a status.
fn problem(status: u16) -> Value {
    let codes: Vec<ErrorCode> = ErrorCode::all()
        .filter(|code| code.http_status() == status && *code != ErrorCode::ModelLoadFailed)
        .collect();
    let names: Vec<&str> = codes.iter().map(|code| code.text()).collect();
    let titles: Vec<String> =
        codes.iter().map(|code| format!("`{}`: {}", code.text(), code.title())).collect();
    let mut headers = json!({ "x-request-id": { "$ref": "#/components/headers/x-request-id" } });
    if matches!(status, 429 | 503) {
        headers["retry-after"] = json!({ "$ref": "#/components/headers/retry-after" });
    }
    let schema = json!({ "allOf": [
        { "$ref": "#/components/schemas/Problem" },
        { "properties": { "code": { "enum": names }, "status": { "const": status } } },
    ] });
    json!({
        "description": titles.join("; "),
        "headers": headers,
        "content": { "application/problem+json": { "schema": schema } },
    })
}

/// Turns our own words of an operation into OpenAPI's.
fn finish(api: &Api, operation: &mut Value) {
    let needs = scope(operation).unwrap_or(Needs::Nothing);
    let Some(operation) = operation.as_object_mut() else { return };
    operation.remove("x-needs");
    let is_prediction = operation.remove("x-prediction").is_some();
    operation.remove("x-infer");
    let errors = operation.remove("x-errors").unwrap_or_default();
    let mut errors: Vec<u64> = errors.as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    let key = match needs {
        Needs::Key(scope) => Some(scope),
        Needs::Metrics => api.options.protect_metrics.then_some(Scope::Metadata),
        Needs::Nothing => None,
    };
    if let Some(scope) = key.filter(|_| api.options.access.is_some()) {
        errors.extend([401, 403]);
        operation.insert("security".to_owned(), json!([{ "key": [] }]));
        let summary = operation.get("summary").and_then(Value::as_str).unwrap_or_default();
        let text = format!("{summary}. Needs a key with the scope `{}`.", scope.text());
        operation.entry("description").or_insert_with(|| text.into());
    }
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.push(json!({ "$ref": "#/components/parameters/requestId" }));
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (_, response) in responses.iter_mut() {
        response["headers"]["x-request-id"] = json!({ "$ref": "#/components/headers/x-request-id" });
        if is_prediction {
            for name in ["traceresponse", "server-timing"] {
                response["headers"][name] = json!({ "$ref": format!("#/components/headers/{name}") });
            }
        }
    }
    for status in errors {
        let of_status = json!({ "$ref": format!("#/components/responses/Problem{status}") });
        responses.insert(status.to_string(), of_status);
    }
}
