//! Models of the task `tensors`: every type, shape and rank that the fixtures have.

use serde_json::{Value, json};

use crate::harness::problem::assert_problem_at;
use crate::harness::vectors::assert_close;
use crate::harness::{Request, assert_problem, shared};

/// The answer's outputs, without the model.
#[track_caller]
fn outputs(model: &str, body: &Value) -> Value {
    let mut answer = shared().post(&format!("/predict/{model}"), body).ok();
    assert_eq!(answer["model"]["name"], model);
    answer.as_object_mut().unwrap().remove("model");
    answer
}

#[track_caller]
fn refused(model: &str, body: &Value, code: &str, pointer: &str) {
    assert_problem_at(&shared().post(&format!("/predict/{model}"), body), 400, code, pointer);
}

#[test]
fn one_row_goes_without_the_batch_dimension_where_the_model_is_batchable() {
    assert_eq!(outputs("add-one", &json!({"x": [1, 2.5, -3]})), json!({"y": [2.0, 3.5, -2.0]}));
    assert_eq!(outputs("add-one", &json!([1, 2, 3])), json!({"y": [2.0, 3.0, 4.0]}));
    let list = json!({"instances": [{"x": [1, 2, 3]}, {"x": [4, 5, 6]}]});
    let answer = shared().post("/predict/add-one", &list).ok();
    assert_eq!(answer["predictions"], json!([{"y": [2.0, 3.0, 4.0]}, {"y": [5.0, 6.0, 7.0]}]));
}

#[test]
fn models_that_are_not_batchable_take_the_whole_tensor() {
    assert_eq!(outputs("fixed-sum", &json!({"x": [[1, 2, 3], [4, 5, 6]]})), json!({"y": [6.0, 15.0]}));
    assert_eq!(
        outputs("mixes-rows", &json!({"x": [[1, 2, 3], [3, 2, 1]]})),
        json!({"y": [[-1.0, 0.0, 1.0], [1.0, 0.0, -1.0]]})
    );
    assert_eq!(outputs("batch-scalar-output", &json!({"x": [[1, 2, 3], [4, 5, 6]]})), json!({"y": 21.0}));
    assert_eq!(outputs("no-batch", &json!({"x": 41})), json!({"y": 42.0}));
    // Nesting alone can't tell a rank: a tensor of any rank is a flat list here.
    assert_eq!(outputs("any-rank", &json!({"x": [1, 2]})), json!({"y": [2.0, 3.0]}));
    refused("any-rank", &json!({"x": [[1, 2]]}), "shape_mismatch", "/x/0");
}

#[test]
fn several_inputs_outputs_and_types() {
    let answer = outputs("two-inputs", &json!({"a": [0.5, 1], "b": [2, 9_007_199_254_740_993_i64]}));
    assert_eq!(
        answer["rows"],
        json!([2, 9_007_199_254_740_993_i64]),
        "64-bit integers never pass through a double"
    );
    assert_close(&answer["sum"][0], &json!(2.5), 0.0);
    assert_eq!(outputs("strings", &json!({"x": "é👍 \"q\"\n"})), json!({"y": "é👍 \"q\"\n"}));
    // The runtime's interface takes strings that end with NUL.
    assert_problem(&shared().post("/predict/strings", &json!({"x": "a\u{0}b"})), 400, "invalid_input");
    assert_eq!(
        outputs("gather", &json!({"ids": [0, 3]}))["rows"],
        json!([[10.0, 11.0, 12.0], [40.0, 41.0, 42.0]])
    );
}

/// `NAME_in` for each type of the fixture, with these values for one of them.
fn every_type(name: &str, values: Value) -> Value {
    let types = [
        "float16", "bfloat16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
        "uint64",
    ];
    let mut body: serde_json::Map<_, _> =
        types.iter().map(|name| (format!("{name}_in"), json!([0, 1]))).collect();
    body.insert("bool_in".into(), json!([true, false]));
    body.insert(format!("{name}_in"), values);
    Value::Object(body)
}

#[test]
fn every_type_comes_back_as_it_went() {
    for (name, values) in [
        ("float16", json!([65504.0, -0.5])),
        ("bfloat16", json!([1.5, -256.0])),
        ("float64", json!([0.1, f64::MAX])),
        ("int8", json!([-128, 127])),
        ("int16", json!([-32768, 32767])),
        ("int32", json!([i32::MIN, i32::MAX])),
        ("int64", json!([i64::MIN, i64::MAX])),
        ("uint8", json!([0, 255])),
        ("uint16", json!([0, 65535])),
        ("uint32", json!([0, u32::MAX])),
        ("uint64", json!([0, u64::MAX])),
        ("bool", json!([false, true])),
    ] {
        let answer = outputs("dtypes", &every_type(name, values.clone()));
        assert_eq!(answer[format!("{name}_out")], values, "{name}");
    }
}

#[test]
fn numbers_that_do_not_fit_their_type_are_refused() {
    for (name, value) in [
        ("float16", json!(65520.0)),
        ("bfloat16", json!(3.4e38)),
        ("int8", json!(128)),
        ("int16", json!(-32769)),
        ("int32", json!(2_147_483_648_u64)),
        ("int64", json!(9_223_372_036_854_775_808_u64)),
        ("uint8", json!(-1)),
        ("uint32", json!(4_294_967_296_u64)),
        ("uint64", json!(-1)),
    ] {
        let body = every_type(name, json!([0, value]));
        refused("dtypes", &body, "number_out_of_range", &format!("/{name}_in/1"));
    }
    refused("add-one", &json!({"x": [0, 1e39, 0]}), "number_out_of_range", "/x/1");
    let huge = Request::text("/predict/add-one", "application/json", "{\"x\":[1e999,0,0]}");
    assert_problem(&shared().call(&huge), 400, "number_out_of_range");
}

#[test]
fn a_body_that_is_nothing_but_a_number_out_of_range_points_nowhere() {
    let huge = Request::text("/predict/add-one", "application/json", "-1e999");
    let problem = assert_problem(&shared().call(&huge), 400, "number_out_of_range");
    assert_eq!(problem.get("pointer"), None);
}

#[test]
fn values_of_another_type_are_refused_at_their_place() {
    refused("add-one", &json!({"x": [0, "1", 0]}), "invalid_input", "/x/1");
    refused("add-one", &json!({"x": [true, 1, 0]}), "invalid_input", "/x/0");
    refused("add-one", &json!({"x": [null, 1, 0]}), "invalid_input", "/x/0");
    refused("dtypes", &every_type("int32", json!([1.5, 0])), "invalid_input", "/int32_in/0");
    refused("dtypes", &every_type("bool", json!([1, 0])), "invalid_input", "/bool_in/0");
    refused("strings", &json!({"x": 5}), "invalid_input", "/x");
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    refused("add-one", &json!({"x": [1, 2]}), "shape_mismatch", "/x");
    refused("add-one", &json!({"x": [1, 2, 3, 4]}), "shape_mismatch", "/x");
    refused("add-one", &json!({"x": 1}), "shape_mismatch", "/x");
    refused("fixed-sum", &json!({"x": [[1, 2, 3]]}), "shape_mismatch", "/x");
    let ragged = shared().post("/predict/fixed-sum", &json!({"x": [[1, 2, 3], [4, 5]]}));
    assert_problem(&ragged, 400, "shape_mismatch");
    refused("no-batch", &json!({"x": [1]}), "shape_mismatch", "/x");
}

#[test]
fn unknown_and_missing_inputs_are_named() {
    let body = assert_problem_at(
        &shared().post("/predict/two-inputs", &json!({"a": [1, 2], "c": [1, 2]})),
        400,
        "unknown_input",
        "/c",
    );
    assert!(!body["detail"].as_str().unwrap().is_empty());
    let body =
        assert_problem(&shared().post("/predict/two-inputs", &json!({"a": [1, 2]})), 400, "missing_input");
    assert!(body["detail"].as_str().unwrap().contains('b'), "{body}");
    let stray = json!({"instances": [{"x": [1, 2, 3]}], "x": [1, 2, 3]});
    assert_problem(&shared().post("/predict/add-one", &stray), 400, "unknown_input");
    let twice = Request::text("/predict/add-one", "application/json", "{\"x\":[1,2,3],\"x\":[1,2,3]}");
    assert_problem(&shared().call(&twice), 400, "invalid_input");
}

#[test]
fn outputs_that_json_cannot_carry_are_an_error() {
    assert_eq!(outputs("nan", &json!({"x": [1]})), json!({"y": [0.0]}));
    for x in [0, -1] {
        assert_problem(&shared().post("/predict/nan", &json!({"x": [x]})), 500, "non_finite_output");
    }
}

#[test]
fn values_that_the_model_itself_refuses_are_the_callers_fault() {
    let server = shared();
    let body =
        assert_problem(&server.post("/predict/gather", &json!({"ids": [0, 99]})), 400, "invalid_input");
    assert!(body["detail"].as_str().unwrap().contains("the model rejected these values"), "{body}");
    // One bad instance fails the list.
    let list = json!({"instances": [{"ids": [0, 1]}, {"ids": [0, 99]}]});
    assert_problem(&server.post("/predict/gather", &list), 400, "invalid_input");
    let good = server.post("/predict/gather", &json!({"ids": [1, 2]})).ok();
    assert_eq!(good["rows"][0], json!([20.0, 21.0, 22.0]));
}

#[test]
fn every_number_reads_back_as_the_same_float() {
    let values = [0.1_f32, 1e-45, 3.402_823_3e38, -1.175_494_4e-38, 16_777_216.0, 1.0 / 3.0];
    for chunk in values.chunks(3) {
        let sent: Vec<f64> = chunk.iter().map(|&value| f64::from(value)).collect();
        let text = shared().post("/predict/add-one", &json!({ "x": sent })).ok()["y"].clone();
        for (value, answer) in chunk.iter().zip(text.as_array().unwrap()) {
            let read: f32 = answer.to_string().parse().unwrap();
            assert_eq!(read.to_bits(), (value + 1.0).to_bits(), "{value}");
            // No more digits than that float needs.
            let longest = (value + 1.0).to_string().len().max(format!("{:e}", value + 1.0).len()) + 2;
            assert!(answer.to_string().len() <= longest, "{answer}");
        }
    }
}
