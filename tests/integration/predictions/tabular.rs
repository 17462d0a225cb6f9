//! Tabular models: features by name, defaults, strings, regression, class names.

use serde_json::{Value, json};

use crate::harness::problem::assert_problem_at;
use crate::harness::vectors::{self, assert_close};
use crate::harness::{Request, assert_problem, shared};

fn columns(changes: &Value) -> Value {
    let mut person = json!({"age": 30, "income": 1000, "city": "Berlin", "visits": 2});
    for (key, value) in changes.as_object().unwrap() {
        person[key] = value.clone();
    }
    person
}

#[track_caller]
fn leaves(body: &Value, expected: f64) {
    let answer = shared().post("/predict/columns", body).ok();
    assert_close(&answer["scores"]["leaves"], &json!(expected), 1e-4);
    assert_eq!(answer["label"], if expected > 0.5 { "leaves" } else { "stays" });
    assert_close(&answer["confidence"], &json!(expected.max(1.0 - expected)), 1e-4);
}

#[test]
fn one_input_a_column_with_strings_and_integers() {
    leaves(&columns(&json!({})), 0.7685);
    leaves(&columns(&json!({"city": "Oslo"})), 0.4256);
    leaves(&columns(&json!({"city": "Lisbon"})), 0.0573);
    leaves(&columns(&json!({"city": "elsewhere"})), 0.1419);
    leaves(&json!([30, 1000, "Berlin", 2]), 0.7685);
}

#[test]
fn absent_and_null_features_take_their_default_or_are_missing() {
    let mut without_income = columns(&json!({}));
    without_income.as_object_mut().unwrap().remove("income");
    leaves(&without_income, 0.7685);
    leaves(&columns(&json!({"income": null})), 0.7685);
    let server = shared();
    let mut without_city = columns(&json!({}));
    without_city.as_object_mut().unwrap().remove("city");
    let body = assert_problem(&server.post("/predict/columns", &without_city), 400, "missing_input");
    assert!(body["detail"].as_str().unwrap().contains("city") || body["pointer"] == "/city", "{body}");
    assert_problem(&server.post("/predict/columns", &columns(&json!({"city": null}))), 400, "missing_input");
    let last = json!({"instances": [columns(&json!({})), without_city]});
    let body = assert_problem(&server.post("/predict/columns", &last), 400, "missing_input");
    assert!(body["pointer"].as_str().unwrap().starts_with("/instances/1"), "{body}");
}

#[test]
fn wrong_types_are_refused_at_their_place() {
    let server = shared();
    for (change, code, pointer) in [
        (json!({"age": "30"}), "invalid_input", "/age"),
        (json!({"age": true}), "invalid_input", "/age"),
        (json!({"visits": 1.5}), "invalid_input", "/visits"),
        (json!({"visits": 9_223_372_036_854_775_808_u64}), "number_out_of_range", "/visits"),
        (json!({"income": 1e39}), "number_out_of_range", "/income"),
        (json!({"city": 7}), "invalid_input", "/city"),
        (json!({"age": [30]}), "invalid_input", "/age"),
    ] {
        assert_problem_at(&server.post("/predict/columns", &columns(&change)), 400, code, pointer);
    }
    let list = json!({"instances": [columns(&json!({})), columns(&json!({"age": "x"}))]});
    assert_problem_at(&server.post("/predict/columns", &list), 400, "invalid_input", "/instances/1/age");
}

#[test]
fn unknown_features_get_a_suggestion_and_doubles_are_refused() {
    let server = shared();
    let unknown = columns(&json!({"incom": 5}));
    let body = assert_problem_at(&server.post("/predict/columns", &unknown), 400, "unknown_input", "/incom");
    assert!(body["detail"].as_str().unwrap().contains("income"), "did you mean: {body}");
    let twice = "{\"age\":30,\"income\":1000,\"city\":\"Oslo\",\"visits\":2,\"age\":31}";
    let answer = server.call(&Request::text("/predict/columns", "application/json", twice));
    assert_problem(&answer, 400, "invalid_input");
    let with_parameters = columns(&json!({"parameters": {"top_k": 1}}));
    assert_problem(&server.post("/predict/columns", &with_parameters), 400, "unknown_input");
}

#[test]
fn rows_of_another_length_and_lists_without_instances_are_refused() {
    let server = shared();
    assert_problem(&server.post("/predict/columns", &json!([30, 1000, "Oslo"])), 400, "shape_mismatch");
    for body in [json!([[30, 1000, "Oslo", 2]]), json!([{"age": 30}])] {
        let answer = server.post("/predict/columns", &body);
        assert_eq!(answer.status, 400);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("instances"), "the hint to wrap it: {detail}");
    }
}

#[test]
fn regression_gives_a_value() {
    let answer = shared().post("/predict/regressor", &json!([1, 2, 3, 4])).ok();
    assert_close(&answer["value"], &json!(8.5), 1e-6);
    let list = json!({"instances": [[0, 0, 0, 0], [1, 2, 3, 4]]});
    let answer = shared().post("/predict/regressor", &list).ok();
    assert_close(&answer["predictions"][0]["value"], &json!(3.0), 1e-6);
    assert_close(&answer["predictions"][1]["value"], &json!(8.5), 1e-6);
    // Without a manifest's features they are f0, f1, ...
    let named = json!({"f0": 1, "f1": 2, "f2": 3, "f3": 4});
    assert_close(&shared().post("/predict/regressor", &named).ok()["value"], &json!(8.5), 1e-6);
}

#[test]
fn a_zip_map_is_read_as_scores() {
    let answer = shared().post("/predict/zipmap", &json!([1, 0])).ok();
    assert_eq!(answer["label"], "3", "{answer}");
    let scores = answer["scores"].as_object().unwrap();
    let classes: Vec<&String> = scores.keys().collect();
    assert_eq!(classes.len(), 3, "{answer}");
    assert!(["3", "5", "9"].iter().all(|class| scores.contains_key(*class)), "{answer}");
    assert_eq!(shared().post("/predict/zipmap", &json!([0, 4])).ok()["label"], "5");
}

#[test]
fn nothing_to_predict_is_refused() {
    let server = shared();
    for body in ["{}", "[]", "{\"instances\":[]}"] {
        let answer = server.call(&Request::text("/predict/columns", "application/json", body));
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
    }
    for body in ["\"text\"", "5", "true", "null"] {
        let answer = server.call(&Request::text("/predict/fraud-detector", "application/json", body));
        assert_problem(&answer, 400, "invalid_input");
    }
    assert_eq!(server.call(&Request::new("POST", "/predict").body("")).status, 400);
    let too_many = json!({"instances": vec![vectors::fraud()["rows"][0].clone(); 1025]});
    assert_problem(&server.post("/predict/fraud-detector", &too_many), 400, "batch_too_large");
}
