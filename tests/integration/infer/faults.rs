//! What is wrong with a request, told with its place. A3, A4, A5, A7, A15 of the fault list.

use serde_json::{Value, json};

use super::{LENGTH, binary_input, binary_request, input, route, singles};
use crate::harness::problem::assert_problem_at;
use crate::harness::{Request, assert_problem, shared};

#[track_caller]
fn refused(model: &str, body: &Value, code: &str, pointer: &str) -> String {
    let problem = assert_problem_at(&shared().post(&route(model), body), 400, code, pointer);
    problem["detail"].as_str().unwrap().to_owned()
}

fn one(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = json!({"inputs": [input("x", "FP32", &[1, 3], &json!([1, 2, 3]))]});
    change(&mut body);
    body
}

#[test]
fn inputs_are_held_against_the_signature() {
    let detail = refused(
        "add-one",
        &one(|body| body["inputs"][0]["name"] = json!("z")),
        "unknown_input",
        "/inputs/0/name",
    );
    assert!(detail.contains("its inputs are x"), "{detail}");
    let twice = json!({"inputs": [input("x", "FP32", &[1, 3], &json!([1, 2, 3])), input("x", "FP32", &[1, 3], &json!([1, 2, 3]))]});
    refused("add-one", &twice, "invalid_input", "/inputs/1/name");
    let detail = refused(
        "two-inputs",
        &json!({"inputs": [input("a", "FP32", &[1, 2], &json!([1, 2]))]}),
        "missing_input",
        "/inputs",
    );
    assert!(detail.contains("b (INT64 [batch,2])"), "{detail}");
    refused("add-one", &json!({"inputs": []}), "missing_input", "/inputs");
    let detail = refused(
        "add-one",
        &one(|body| body["inputs"][0]["datatype"] = json!("INT64")),
        "shape_mismatch",
        "/inputs/0/datatype",
    );
    assert_eq!(detail, "expected FP32, got INT64");
    refused(
        "add-one",
        &one(|body| body["inputs"][0]["datatype"] = json!("FLOAT")),
        "invalid_input",
        "/inputs/0/datatype",
    );
    shared().adds_up();
}

#[test]
fn shapes_are_held_against_signature_data_and_each_other() {
    let with_shape = |shape: Value| one(|body| body["inputs"][0]["shape"] = shape);
    for (shape, words) in [
        (json!([1, 4]), "expected shape [batch,3], got [1, 4]"),
        (json!([3]), "expected shape [batch,3], got [3]"),
        (json!([-1, 3]), "got a negative one"),
        (json!([2, 3]), "holds 6, got 3"),
        (json!([0, 3]), "holds 0, got more"),
        (json!([i64::MAX, 3]), "one beyond it"),
        (json!([1.5, 3]), ""),
        (json!(["1", 3]), ""),
        (json!([u64::MAX, 3]), ""),
        (json!(vec![1; 1000]), "1000 sizes"),
    ] {
        let response = shared().post(&route("add-one"), &with_shape(shape.clone()));
        let problem = assert_problem(&response, 400, "shape_mismatch");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{shape}: {problem}");
        assert!(problem["pointer"].as_str().unwrap().starts_with("/inputs/0/"), "{problem}");
    }
    let rows = json!({"inputs": [input("a", "FP32", &[1, 2], &json!([1, 2])), input("b", "INT64", &[2, 2], &json!([1, 2, 3, 4]))]});
    refused("two-inputs", &rows, "shape_mismatch", "/inputs/1/shape");
    let many = vec![0; 1025 * 3];
    refused(
        "add-one",
        &json!({"inputs": [input("x", "FP32", &[1025, 3], &json!(many))]}),
        "batch_too_large",
        "/inputs/0/shape",
    );
    shared().adds_up();
}

#[test]
fn data_are_held_against_their_type() {
    let with_data = |data: Value| one(|body| body["inputs"][0]["data"] = data);
    refused("add-one", &with_data(json!([1, "2", 3])), "invalid_input", "/inputs/0/data/1");
    refused("add-one", &with_data(json!([[1, 2, true]])), "invalid_input", "/inputs/0/data/0/2");
    refused("add-one", &with_data(json!([1, null, 3])), "invalid_input", "/inputs/0/data/1");
    refused("add-one", &with_data(json!([1, {"a": 1}, 3])), "invalid_input", "/inputs/0/data/1");
    refused("add-one", &with_data(json!([[1, 2], [3]])), "shape_mismatch", "/inputs/0/data/0");
    refused("add-one", &with_data(json!("text")), "invalid_input", "/inputs/0/data");
    refused("add-one", &with_data(Value::Null), "missing_input", "/inputs/0");
    for huge in ["1e39", "1e400", "-1e39"] {
        let body = format!(
            r#"{{"inputs": [{{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, {huge}, 3]}}]}}"#
        );
        let response = shared().call(&Request::text(&route("add-one"), "application/json", &body));
        assert_problem_at(&response, 400, "number_out_of_range", "/inputs/0/data/1");
    }
    for broken in ["NaN", "Infinity", "+1", "01", ".5", "1.", "[1"] {
        let body = format!(
            r#"{{"inputs": [{{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, {broken}, 3]}}]}}"#
        );
        let response = shared().call(&Request::text(&route("add-one"), "application/json", &body));
        assert_problem(&response, 400, "invalid_json");
    }
    let nul = json!({"inputs": [input("x", "BYTES", &[2], &json!(["a", "b\u{0}c"]))]});
    refused("strings", &nul, "invalid_input", "/inputs/0");
    let deep = format!("{{\"inputs\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let response = shared().call(&Request::text(&route("add-one"), "application/json", &deep));
    assert!(matches!(response.status, 400), "{}", response.text());
    shared().adds_up();
}

#[test]
fn a_fault_in_a_large_list_is_told_with_its_place() {
    let with = |at: usize, odd: &str| {
        let mut numbers = vec!["0.5"; 3000];
        numbers[at] = odd;
        let data = numbers.join(",");
        let body =
            format!(r#"{{"inputs":[{{"name":"x","datatype":"FP32","shape":[1000,3],"data":[{data}]}}]}}"#);
        shared().call(&Request::new("POST", &route("add-one")).body(body.into_bytes()))
    };
    assert_eq!(with(7, "-2.5e1").ok()["outputs"][0]["data"][7], json!(-24.0));
    for (odd, code, place) in [
        ("true", "invalid_input", "/inputs/0/data/2999"),
        ("1e39", "number_out_of_range", "/inputs/0/data/2999"),
        ("[1]", "shape_mismatch", "/inputs/0/data/2999"),
        ("1,2", "shape_mismatch", "/inputs/0/data"),
    ] {
        assert_problem_at(&with(2999, odd), 400, code, place);
    }
    for odd in ["01", "1.", "", "NaN", "1 2", "+1"] {
        assert_problem(&with(2999, odd), 400, "invalid_json");
    }
    shared().adds_up();
}

#[test]
fn outputs_are_held_against_the_signature() {
    let with_outputs = |outputs: Value| one(|body| body["outputs"] = outputs);
    let detail =
        refused("add-one", &with_outputs(json!([{"name": "z"}])), "invalid_input", "/outputs/0/name");
    assert!(detail.contains("its outputs are y"), "{detail}");
    refused(
        "add-one",
        &with_outputs(json!([{"name": "y"}, {"name": "y"}])),
        "invalid_input",
        "/outputs/1/name",
    );
    refused("add-one", &with_outputs(json!([{}])), "invalid_input", "/outputs/0");
    refused("add-one", &with_outputs(json!({"name": "y"})), "invalid_input", "/outputs");
    shared().adds_up();
}

#[test]
fn the_frames_of_binary_tensors_are_checked() {
    let bytes = singles(&[1.0, 2.0, 3.0]);
    let size = "/inputs/0/parameters/binary_data_size";
    let with_size = |size: usize| json!({"inputs": [binary_input("x", "FP32", &[1, 3], size)]});
    for (said, sent, code, pointer) in [
        (12, 11, "invalid_input", size),
        (11, 11, "shape_mismatch", size),
        (16, 16, "shape_mismatch", size),
        (12, 13, "invalid_input", "/inputs"),
        (usize::MAX, 12, "invalid_input", size),
    ] {
        let mut tail = bytes.clone();
        tail.resize(sent, 0);
        let response = shared().call(&binary_request("add-one", &with_size(said), &[&tail]));
        assert_problem_at(&response, 400, code, pointer);
    }
    let both = json!({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3],
        "parameters": {"binary_data_size": 12}}]});
    assert_problem_at(
        &shared().call(&binary_request("add-one", &both, &[&bytes])),
        400,
        "invalid_input",
        "/inputs/0",
    );
    let shared_memory = json!({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3],
        "parameters": {"shared_memory_region": "r", "shared_memory_byte_size": 12}}]});
    assert_problem_at(
        &shared().post(&route("add-one"), &shared_memory),
        400,
        "invalid_input",
        "/inputs/0/parameters/shared_memory_region",
    );
    let envelope = with_size(12).to_string();
    for length in ["-1", "1.5", "x", "", "99999999999999999999999", "100000"] {
        let request = Request::new("POST", &route("add-one")).header(LENGTH, length).body(&envelope);
        assert_problem(&shared().call(&request), 400, "invalid_input");
    }
    // The JSON is cut off amid itself.
    let request = Request::new("POST", &route("add-one")).header(LENGTH, "10").body(&envelope);
    assert_problem(&shared().call(&request), 400, "invalid_json");
    for (framed, shape) in [
        (&[5, 0, 0, 0, b'a'][..], [1]),
        (&[1, 0, 0, 0, b'a'], [2]),
        (&[1, 0, 0, 0, b'a', 1, 0, 0, 0, b'b'], [1]),
        (&[2, 0, 0, 0, 0xc3, 0x28], [1]),
        (&[1, 0, 0], [1]),
        (&[255, 255, 255, 255], [1]),
    ] {
        let envelope = json!({"inputs": [binary_input("x", "BYTES", &shape, framed.len())]});
        let response = shared().call(&binary_request("strings", &envelope, &[framed]));
        assert_problem_at(&response, 400, "invalid_input", size);
    }
    shared().adds_up();
}

#[test]
fn other_models_versions_and_methods_are_told_apart() {
    let body = one(|_| {});
    assert_problem(&shared().post("/v2/models/none/infer", &body), 404, "model_not_found");
    assert_problem(&shared().post("/v2/models/add-one/versions/7/infer", &body), 404, "version_not_found");
    assert_problem(&shared().post("/v2/models/add-one/versions/x/infer", &body), 404, "version_not_found");
    assert_problem(&shared().get(&route("add-one")), 405, "method_not_allowed");
    for name in ["..%2f..%2fetc", "%2e%2e", "a%00b", "%20", "%ff", &"x".repeat(10_000)] {
        assert_problem(&shared().post(&route(name), &body), 404, "model_not_found");
    }
    shared().adds_up();
}

#[test]
fn what_the_runtime_rejects_is_the_callers_fault() {
    let body = json!({"inputs": [input("ids", "INT64", &[1, 2], &json!([0, 99]))]});
    let problem = assert_problem(&shared().post(&route("gather"), &body), 400, "invalid_input");
    assert!(!problem["detail"].as_str().unwrap().contains("99"), "{problem}");
    shared().adds_up();
}
