//! What an answer must not depend on: where in memory its tensors came to lie, and what else is served.

use serde_json::{Value, json};

use super::{binary_input, binary_request, infer, input, parts, singles};
use crate::harness::models::Repository;
use crate::harness::{Request, Server, assert_problem, shared};

fn bit_patterns(tail: &[u8]) -> Vec<u32> {
    tail.chunks_exact(4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// The runtime's sums begin at a boundary of 16 bytes: the same numbers, lying elsewhere, were added
/// in another order.
#[test]
fn every_length_of_the_json_gives_the_same_bits() {
    let values: Vec<f32> = (0_u16..3 * 1000).map(|index| f32::from(index * 7 % 1013) / 10.0).collect();
    let bytes = singles(&values);
    let sum_behind = |id: String| {
        let envelope = json!({
            "id": id,
            "inputs": [binary_input("x", "FP32", &[1000, 3], bytes.len())],
            "parameters": {"binary_data_output": true},
        });
        let request = binary_request("batch-scalar-output", &envelope, &[&bytes]);
        bit_patterns(&parts(&shared().call(&request)).1)
    };
    let sums: Vec<Vec<u32>> = (1..=16).map(|length| sum_behind("i".repeat(length))).collect();
    assert!(sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
    let as_json =
        infer("batch-scalar-output", &json!({"inputs": [input("x", "FP32", &[1000, 3], &json!(values))]}));
    let sum: f32 = as_json["outputs"][0]["data"][0].to_string().parse().unwrap();
    assert_eq!(vec![sum.to_bits()], sums[0]);
}

#[test]
fn a_tensor_without_a_declared_shape_comes_in_any() {
    let metadata = shared().get("/v2/models/any-rank").ok();
    assert_eq!(metadata["inputs"], json!([{"name": "x", "datatype": "FP32", "shape": [-1]}]));
    assert_eq!(metadata["outputs"], json!([{"name": "y", "datatype": "FP32", "shape": [-1]}]));
    for shape in [&[][..], &[2], &[2, 0, 3], &[1, 2, 1, 2]] {
        let count = shape.iter().product();
        let (ones, twos) = (vec![1.0_f32; count], vec![2.0_f32; count]);
        let answer = infer("any-rank", &json!({"inputs": [input("x", "FP32", shape, &json!(ones))]}));
        let expected: Value = json!({"name": "y", "datatype": "FP32", "shape": shape, "data": twos});
        assert_eq!(answer["outputs"], json!([expected]));
        let envelope = json!({
            "inputs": [binary_input("x", "FP32", shape, count * 4)],
            "parameters": {"binary_data_output": true},
        });
        let (head, tail) = parts(&shared().call(&binary_request("any-rank", &envelope, &[&singles(&ones)])));
        assert_eq!((&head["outputs"][0]["shape"], tail), (&json!(shape), singles(&twos)));
    }
    let wrong = json!({"inputs": [input("x", "INT64", &[1], &json!([1]))]});
    assert_problem(&shared().post("/v2/models/any-rank/infer", &wrong), 400, "shape_mismatch");
}

#[test]
fn each_of_two_hundred_models_answers_and_idle_ones_fill_no_scrape() {
    let names: Vec<String> = (0..200).map(|index| format!("model-{index}")).collect();
    let fixture = |index: usize| ["add-one", "no-batch"][index % 2];
    let repository = names
        .iter()
        .enumerate()
        .fold(Repository::new(), |repository, (index, name)| repository.model(name, fixture(index), ""));
    let server = Server::builder().repository(repository).start();
    let scrape = |server: &Server| server.call(&Request::get("/metrics")).text().len();
    let idle = scrape(&server);
    assert!(idle < 2 << 20, "{idle} bytes");
    for (index, name) in names.iter().enumerate() {
        let shape: &[usize] = if index % 2 == 0 { &[1, 3] } else { &[] };
        let count = shape.iter().product();
        let body = json!({"inputs": [input("x", "FP32", shape, &json!(vec![41.0; count]))]});
        let answer = server.post(&format!("/v2/models/{name}/infer"), &body).ok();
        assert_eq!(answer["model_name"], json!(name));
        assert_eq!(answer["outputs"][0]["data"], json!(vec![42.0; count]));
    }
    assert!(scrape(&server) > idle);
}
