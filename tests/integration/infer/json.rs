//! Requests and answers in JSON alone.

use serde_json::json;

use super::{infer, input, route};
use crate::harness::{Request, shared};

#[test]
fn an_answer_has_the_protocols_members_and_nothing_else() {
    let body = json!({"id": "seven", "inputs": [input("x", "FP32", &[2, 3], &json!([1, 2.5, -3, 4, 5, 6]))]});
    let expected = json!({
        "model_name": "add-one",
        "model_version": "1",
        "id": "seven",
        "outputs": [
            {"name": "y", "datatype": "FP32", "shape": [2, 3], "data": [2.0, 3.5, -2.0, 5.0, 6.0, 7.0]}
        ],
    });
    assert_eq!(infer("add-one", &body), expected);
}

#[test]
fn nested_and_flat_data_are_the_same_and_members_stand_in_any_order() {
    let nested =
        infer("add-one", &json!({"inputs": [input("x", "FP32", &[2, 3], &json!([[1, 2, 3], [4, 5, 6]]))]}));
    let flat =
        infer("add-one", &json!({"inputs": [input("x", "FP32", &[2, 3], &json!([1, 2, 3, 4, 5, 6]))]}));
    assert_eq!(nested, flat);
    assert!(nested.get("id").is_none(), "without an id none is made up: {nested}");
    let turned = r#"{"outputs": [], "parameters": {"of another server": [1, {}]}, "inputs": [
        {"data": [[1, 2, 3], [4, 5, 6]], "parameters": {"x": "y"}, "datatype": "FP32", "shape": [2, 3], "name": "x"}
    ], "id": "", "unknown": null}"#;
    let response = shared().call(&Request::text(&route("add-one"), "text/anything; charset=x", turned));
    assert_eq!(response.ok(), flat, "content types and members of others are not looked at");
}

#[test]
fn outputs_come_as_asked_for_in_that_order() {
    let inputs = json!([
        input("b", "INT64", &[1, 2], &json!([2, 9_007_199_254_740_993_i64])),
        input("a", "FP32", &[1, 2], &json!([0.5, 1])),
    ]);
    let all = infer("two-inputs", &json!({"inputs": inputs}));
    let names = |answer: &serde_json::Value| -> Vec<String> {
        let outputs = answer["outputs"].as_array().unwrap().iter();
        outputs.map(|output| output["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&all), ["sum", "rows"]);
    let turned =
        infer("two-inputs", &json!({"inputs": inputs, "outputs": [{"name": "rows"}, {"name": "sum"}]}));
    assert_eq!(names(&turned), ["rows", "sum"]);
    let one = infer("two-inputs", &json!({"inputs": inputs, "outputs": [{"name": "rows"}]}));
    assert_eq!(names(&one), ["rows"]);
    assert_eq!(one["outputs"][0]["datatype"], "INT64");
    assert_eq!(one["outputs"][0]["data"], json!([2, 9_007_199_254_740_993_i64]));
}

#[test]
fn scalars_zero_size_tensors_texts_and_models_without_a_batch() {
    for data in [json!(41), json!([41])] {
        let answer = infer("no-batch", &json!({"inputs": [input("x", "FP32", &[], &data)]}));
        assert_eq!(
            answer["outputs"][0],
            json!({"name": "y", "datatype": "FP32", "shape": [], "data": [42.0]})
        );
    }
    let none = infer("add-one", &json!({"inputs": [input("x", "FP32", &[0, 3], &json!([]))]}));
    assert_eq!(none["outputs"][0], json!({"name": "y", "datatype": "FP32", "shape": [0, 3], "data": []}));
    let texts = json!(["", "é👍 \"q\"\n", "x"]);
    let answer = infer("strings", &json!({"inputs": [input("x", "BYTES", &[3], &texts)]}));
    assert_eq!(answer["outputs"][0], json!({"name": "y", "datatype": "BYTES", "shape": [3], "data": texts}));
    let sums =
        infer("fixed-sum", &json!({"inputs": [input("x", "FP32", &[2, 3], &json!([[1, 2, 3], [4, 5, 6]]))]}));
    assert_eq!(sums["outputs"][0]["data"], json!([6.0, 15.0]));
    let one = infer(
        "batch-scalar-output",
        &json!({"inputs": [input("x", "FP32", &[2, 3], &json!([1, 2, 3, 4, 5, 6]))]}),
    );
    assert_eq!(one["outputs"][0], json!({"name": "y", "datatype": "FP32", "shape": [], "data": [21.0]}));
}

#[test]
fn a_zip_maps_scores_are_a_tensor() {
    let answer =
        infer("zipmap", &json!({"inputs": [input("features", "FP32", &[2, 2], &json!([0.1, 0.2, 3, 4]))]}));
    let scores = &answer["outputs"][1];
    assert_eq!((&scores["name"], &scores["datatype"]), (&json!("output_probability"), &json!("FP32")));
    assert_eq!(scores["shape"], json!([2, 3]));
    let sum: f64 = scores["data"].as_array().unwrap()[..3].iter().map(|score| score.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{scores}");
}

#[test]
fn every_task_serves_its_tensors_and_every_version_has_its_route() {
    let columns = json!({"inputs": [
        input("age", "FP32", &[1, 1], &json!([30])),
        input("income", "FP32", &[1, 1], &json!([1000])),
        input("city", "BYTES", &[1, 1], &json!([["Berlin"]])),
        input("visits", "INT64", &[1, 1], &json!([2])),
    ]});
    let answer = infer("columns", &columns);
    assert_eq!(answer["outputs"][0]["data"], json!([1]));
    let rows = json!({"inputs": [input("x", "FP32", &[1, 3], &json!([1, 2, 3]))]});
    assert_eq!(infer("versions", &rows)["model_version"], "10");
    let response = shared().post("/v2/models/versions/versions/9/infer", &rows);
    assert_eq!(response.ok()["model_version"], "9");
}

#[test]
fn rows_beyond_a_run_are_cut_and_joined_again() {
    let values: Vec<f64> = (0..100 * 3).map(f64::from).collect();
    let answer = infer("add-one", &json!({"inputs": [input("x", "FP32", &[100, 3], &json!(values))]}));
    let expected: Vec<f64> = values.iter().map(|value| value + 1.0).collect();
    assert_eq!(answer["outputs"][0]["data"], json!(expected));
    assert_eq!(answer["outputs"][0]["shape"], json!([100, 3]));
}

#[test]
fn an_input_with_a_value_of_its_own_may_be_left_out_or_given() {
    let x = input("x", "FP32", &[1, 2], &json!([1, 2]));
    let data = |inputs: serde_json::Value| {
        infer("optional-input", &json!({"inputs": inputs}))["outputs"][0]["data"].clone()
    };
    assert_eq!(data(json!([x])), json!([2.0, 5.0]));
    assert_eq!(data(json!([input("scale", "FP32", &[], &json!(3)), x])), json!([3.0, 7.0]));
    assert_eq!(data(json!([x, input("shift", "INT64", &[2], &json!([10, 20]))])), json!([12.0, 24.0]));
    let config = shared().get("/v2/models/optional-input/config").ok();
    let optional: Vec<bool> =
        config["input"].as_array().unwrap().iter().map(|input| input["optional"] == true).collect();
    assert_eq!(optional, [false, true, true]);
    let response =
        shared().post(&route("optional-input"), &json!({"inputs": [input("scale", "FP32", &[], &json!(3))]}));
    crate::harness::assert_problem(&response, 400, "missing_input");
    let wrong = json!({"inputs": [x, input("shift", "INT64", &[3], &json!([1, 2, 3]))]});
    let response = shared().post(&route("optional-input"), &wrong);
    crate::harness::problem::assert_problem_at(&response, 400, "shape_mismatch", "/inputs/1/shape");
}

#[test]
fn where_the_graph_declares_no_shape_every_shape_fits() {
    for (shape, data) in
        [(&[][..], json!(1)), (&[0, 2], json!([])), (&[2, 1, 2], json!([[[1, 1]], [[1, 1]]]))]
    {
        let answer = infer("any-rank", &json!({"inputs": [input("x", "FP32", shape, &data)]}));
        let output = &answer["outputs"][0];
        assert_eq!(output["shape"], json!(shape));
        assert_eq!(output["data"], json!(vec![2.0; shape.iter().product()]));
    }
}
