//! The description agrees with what the models say of themselves and with what they answer.

use serde_json::{Value, json};

use super::{document, operations, resolved};
use crate::harness::{Request, Response, shared};

/// A model whose only output is never finite, which JSON can't carry.
const NEVER_FINITE: &str = "/predict/nan";

/// A path with its parameters' examples in their places.
fn filled(document: &Value, path: &str, operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().unwrap().iter();
    parameters.map(|one| resolved(document, one)).filter(|one| one["in"] == "path").fold(
        path.to_owned(),
        |path, one| {
            let example = one["examples"]["loaded"]["value"].as_str().unwrap();
            path.replace(&format!("{{{}}}", one["name"].as_str().unwrap()), example)
        },
    )
}

#[test]
fn every_example_is_answered() {
    let document = document(shared());
    let (mut sent, mut wrong) = (0, Vec::new());
    for (path, method, operation) in operations(&document) {
        let Some(content) = operation.pointer("/requestBody/content") else { continue };
        if path == NEVER_FINITE {
            continue;
        }
        let target = filled(&document, path, operation);
        for (media, body) in content.as_object().unwrap() {
            let several = body["examples"].as_object().into_iter().flat_map(|all| all.values());
            for example in several.map(|one| &one["value"]).chain(body.get("example")) {
                let text = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
                let answer: Response = shared().call(&Request::text(&target, media, &text));
                sent += 1;
                if answer.status != 200 {
                    wrong.push(format!("{method} {target} {media} {text:.200}: {}", answer.text()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(sent > 50, "only {sent} examples");
}

#[test]
fn every_model_is_described_as_it_describes_itself() {
    let document = document(shared());
    let models = shared().get("/v2/models").ok();
    for name in models["models"].as_array().unwrap() {
        let path = format!("/predict/{}", name.as_str().unwrap());
        let said = shared().get(&path).ok();
        let post = &document["paths"][&path]["post"];
        let model = &post["x-model"];
        for member in ["task", "inputs", "outputs", "parameters"] {
            assert_eq!(model[member], said[member], "{path} {member}");
        }
        assert_eq!(model.get("labels").filter(|labels| !labels.is_null()), said.get("labels"), "{path}");
        assert_eq!((&model["name"], &model["version"]), (&said["model"]["name"], &said["model"]["version"]));
        let content = &post["requestBody"]["content"]["application/json"];
        assert_eq!(content["examples"]["instance"]["value"], said["example"], "{path}");
        let schema = &resolved(&document, &content["schema"])["anyOf"][0];
        for feature in said["inputs"]["features"].as_array().into_iter().flatten() {
            let name = feature["name"].as_str().unwrap();
            let described = &schema["properties"][name];
            assert!(described.is_object(), "{path} {name}");
            // NaN has no form in JSON.
            let default = feature.get("default").filter(|default| **default != json!("nan"));
            assert_eq!(described.get("default"), default, "{path} {name}");
            let is_required = schema["required"].as_array().unwrap().contains(&json!(name));
            assert_eq!(is_required, feature.get("default").is_none(), "{path} {name}");
        }
        for tensor in said["inputs"]["tensors"].as_array().into_iter().flatten() {
            let mut level = &schema["properties"][tensor["name"].as_str().unwrap()];
            for size in tensor["shape"].as_array().unwrap() {
                assert_eq!(level["type"], "array", "{path}");
                assert_eq!(level.get("minItems"), (*size != json!(-1)).then_some(size), "{path}");
                level = &level["items"];
            }
            assert_ne!(level["type"], "array", "{path}");
        }
    }
    // Several versions: each by itself, the highest under the name.
    for version in ["2", "9", "10"] {
        assert!(document["paths"][format!("/predict/versions/versions/{version}")].is_object());
    }
    assert_eq!(document["paths"]["/predict/versions"]["post"]["x-model"]["version"], "10");
}

#[test]
fn every_route_of_the_index_is_described_with_its_problems() {
    let document = document(shared());
    let index = shared().get("/").ok();
    for route in index["routes"].as_array().unwrap() {
        let (method, path) = route.as_str().unwrap().split_once(' ').unwrap();
        assert!(document["paths"][path][method.to_ascii_lowercase()].is_object(), "{route}");
    }
    let mut codes = Vec::new();
    for (_, response) in document["components"]["responses"].as_object().unwrap() {
        let schema = &response["content"]["application/problem+json"]["schema"];
        codes.extend(schema["allOf"][1]["properties"]["code"]["enum"].as_array().unwrap().iter().cloned());
    }
    for code in ["invalid_json", "model_not_found", "overloaded", "deadline_exceeded", "non_finite_output"] {
        assert!(codes.contains(&json!(code)), "{code}");
    }
    for (path, method, operation) in operations(&document) {
        for (_, response) in operation["responses"].as_object().unwrap() {
            let response = resolved(&document, response);
            assert!(response["headers"]["x-request-id"].is_object(), "{method} {path}");
        }
    }
    assert!(document["components"].get("securitySchemes").is_none(), "no keys are configured");
}
