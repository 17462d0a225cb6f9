//! `GET /predict*`: what a model takes, with an example that works when pasted into a POST.

use serde_json::Value;

use crate::harness::{Request, assert_problem, shared};

/// The models that `GET /predict` lists, by name.
fn listed() -> Vec<String> {
    let answer = shared().get("/predict").ok();
    let models = answer["models"].as_array().unwrap_or_else(|| panic!("no list of models: {answer}"));
    models.iter().map(|model| model["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_list_has_every_model() {
    let listed = listed();
    for name in ["fraud-detector", "sentence-embedder", "add-one", "columns", "versions", "zipmap"] {
        assert!(listed.iter().any(|model| model == name), "{name}: {listed:?}");
    }
}

/// The example of a description, wherever it stands.
fn example(description: &Value) -> &Value {
    let found = description.get("example").or_else(|| description.pointer("/examples/0"));
    found.unwrap_or_else(|| panic!("no example: {description}"))
}

#[test]
fn the_example_of_every_model_works() {
    for name in listed() {
        let description = shared().get(&format!("/predict/{name}")).ok();
        let body = example(&description);
        let answer = shared().call(&Request::json(&format!("/predict/{name}"), body));
        assert_eq!(answer.status, 200, "{name}: {body}: {}", answer.text());
    }
}

#[test]
fn a_description_says_what_goes_in_and_what_runs_it() {
    let text = shared().get("/predict/fraud-detector").ok().to_string();
    for word in ["tabular-classification", "ip_risk_score", "legitimate", "fraud", "cpu"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert_eq!(shared().get("/predict/versions/versions/9").status, 200);
    assert_problem(&shared().get("/predict/nobody"), 404, "model_not_found");
    assert_problem(&shared().get("/predict/versions/versions/3"), 404, "version_not_found");
}
