//! The binary tensor data extension: raw bodies, lenient forms, NaN, large tensors.

use serde_json::json;

use super::{LENGTH, binary_input, binary_request, input, parts, route, singles};
use crate::harness::models::Repository;
use crate::harness::{Request, Server, assert_problem, shared};

fn raw(model: &str, body: &[u8]) -> Request {
    Request::new("POST", &route(model)).header(LENGTH, "0").body(body)
}

#[test]
fn a_body_without_json_is_the_one_input_and_all_outputs_come_as_bytes() {
    let (head, tail) = parts(&shared().call(&raw("add-one", &singles(&[1.0, 2.0, 3.0]))));
    assert_eq!(tail, singles(&[2.0, 3.0, 4.0]));
    assert_eq!(head["outputs"][0]["shape"], json!([1, 3]), "{head}");
    let (head, tail) = parts(&shared().call(&raw("fixed-sum", &singles(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))));
    assert_eq!((tail, &head["outputs"][0]["shape"]), (singles(&[6.0, 15.0]), &json!([2])));
    // Not batchable, so its one free size follows from the bytes.
    let (head, _) = parts(&shared().call(&raw("mixes-rows", &singles(&[1.0; 12]))));
    assert_eq!(head["outputs"][0]["shape"], json!([4, 3]));
    let (head, tail) = parts(&shared().call(&raw("no-batch", &singles(&[41.0]))));
    assert_eq!((tail, &head["outputs"][0]["shape"]), (singles(&[42.0]), &json!([])));
    let (_, tail) = parts(&shared().call(&raw("strings", "the whole body".as_bytes())));
    assert_eq!(tail, [&14_u32.to_le_bytes()[..], b"the whole body"].concat());
}

#[test]
fn a_body_without_json_that_does_not_tell_its_shape_is_refused() {
    let refused = |request: &Request, code: &str, words: &str| {
        let problem = assert_problem(&shared().call(request), 400, code);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{detail}");
    };
    refused(&raw("two-inputs", &[0; 24]), "invalid_input", "a model of one input, this one has 2");
    refused(&raw("add-one", &[0; 11]), "shape_mismatch", "12 bytes, got 11");
    refused(&raw("mixes-rows", &[0; 13]), "shape_mismatch", "a multiple of 12 bytes");
    refused(&raw("strings", &[0xff, 0xfe]), "invalid_input", "UTF-8");
}

#[test]
fn a_single_input_needs_no_size_beside_its_bytes() {
    let bytes = singles(&[1.0, 2.0, 3.0]);
    let envelope = json!({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3]}],
        "parameters": {"binary_data_output": true}});
    let (_, tail) = parts(&shared().call(&binary_request("add-one", &envelope, &[&bytes])));
    assert_eq!(tail, singles(&[2.0, 3.0, 4.0]));
}

#[test]
fn a_tensor_of_no_elements_has_no_bytes() {
    let envelope = json!({"inputs": [binary_input("x", "FP32", &[0, 3], 0)], "parameters": {"binary_data_output": true}});
    let (head, tail) = parts(&shared().call(&binary_request("add-one", &envelope, &[])));
    assert!(tail.is_empty());
    assert_eq!(head["outputs"][0]["parameters"]["binary_data_size"], 0);
}

/// A19 of the fault list.
#[test]
fn nan_passes_as_bytes_and_is_refused_in_json() {
    let binary = json!({"inputs": [input("x", "FP32", &[3, 1], &json!([-1, 0, 1]))],
        "parameters": {"binary_data_output": true}});
    let (_, tail) = parts(&shared().post(&route("nan"), &binary));
    let values: Vec<f32> =
        tail.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    assert!(values[0].is_nan() && values[1] == f32::NEG_INFINITY && values[2] == 0.0, "{values:?}");
    let in_json = json!({"inputs": [input("x", "FP32", &[1, 1], &json!([-1]))]});
    let problem = assert_problem(&shared().post(&route("nan"), &in_json), 500, "non_finite_output");
    assert!(problem["detail"].as_str().unwrap().contains("binary_data"), "{problem}");
    let bytes = singles(&[f32::NAN, f32::INFINITY, 1.0]);
    let envelope = json!({"inputs": [binary_input("x", "FP32", &[1, 3], 12)], "parameters": {"binary_data_output": true}});
    let (_, tail) = parts(&shared().call(&binary_request("add-one", &envelope, &[&bytes])));
    assert!(f32::from_le_bytes(tail[..4].try_into().unwrap()).is_nan());
}

#[test]
fn a_model_may_refuse_what_is_not_finite() {
    let models = Repository::new().model("strict", "add-one", "[limits]\nfinite = true\n");
    let server = Server::builder().repository(models).start();
    let envelope = json!({"inputs": [binary_input("x", "FP32", &[1, 3], 12)]});
    let bytes = singles(&[0.0, f32::INFINITY, 1.0]);
    let response = server.call(&binary_request("strict", &envelope, &[&bytes]));
    let problem = assert_problem(&response, 400, "number_out_of_range");
    assert_eq!(problem["pointer"], "/inputs/0");
    server.call(&binary_request("strict", &envelope, &[&singles(&[0.0; 3])])).ok();
}

#[test]
fn large_tensors_pass_whole_in_both_forms() {
    let count: u16 = 900;
    let values: Vec<f32> = (0..count * 3).map(|value| f32::from(value) * 0.37).collect();
    let expected: Vec<f32> = values.iter().map(|value| value + 1.0).collect();
    let shape = [usize::from(count), 3];
    let envelope = json!({"inputs": [binary_input("x", "FP32", &shape, values.len() * 4)],
        "parameters": {"binary_data_output": true}});
    let (_, tail) = parts(&shared().call(&binary_request("add-one", &envelope, &[&singles(&values)])));
    assert_eq!(tail, singles(&expected));
    let in_json = json!({"inputs": [input("x", "FP32", &shape, &json!(values))]});
    let answer = shared().post(&route("add-one"), &in_json).ok();
    let came = answer["outputs"][0]["data"].as_array().unwrap().iter();
    #[expect(clippy::cast_possible_truncation, reason = "they were singles")]
    let came: Vec<f32> = came.map(|value| value.as_f64().unwrap() as f32).collect();
    assert_eq!(came, expected);
}
