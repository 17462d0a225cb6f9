//! Parameters of a request: classification, schedule policy; and the headers of the answer.

use serde_json::{Value, json};

use super::{infer, input, route};
use crate::harness::problem::assert_problem_at;
use crate::harness::{Request, assert_problem, shared};

fn scores(parameters: &Value) -> Value {
    json!({"inputs": [input("features", "FP32", &[2, 2], &json!([0.1, 0.2, 3, 4]))],
        "outputs": [{"name": "output_probability", "parameters": parameters}]})
}

#[test]
fn classification_gives_the_best_as_text() {
    let plain = infer("zipmap", &scores(&json!({})));
    let all: Vec<f64> =
        plain["outputs"][0]["data"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    let answer = infer("zipmap", &scores(&json!({"classification": 2})));
    let output = &answer["outputs"][0];
    assert_eq!((&output["datatype"], &output["shape"]), (&json!("BYTES"), &json!([2, 2])));
    for (row, pair) in output["data"].as_array().unwrap().chunks(2).enumerate() {
        let row = &all[row * 3..row * 3 + 3];
        let mut ranked: Vec<usize> = vec![0, 1, 2];
        ranked.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
        for (text, index) in pair.iter().zip(ranked) {
            let text = text.as_str().unwrap();
            let (value, rest) = text.split_once(':').unwrap();
            assert!((value.parse::<f64>().unwrap() - row[index]).abs() < 1e-6, "{text} {row:?}");
            let label = ["3", "5", "9"][index];
            assert_eq!(rest, format!("{index}:{label}"), "{text}");
        }
    }
    let more = infer("zipmap", &scores(&json!({"classification": 100})));
    assert_eq!(more["outputs"][0]["shape"], json!([2, 3]));
    assert_eq!(infer("zipmap", &scores(&json!({"classification": 0}))), plain);
    let texts = json!({"inputs": [input("x", "BYTES", &[1], &json!(["a"]))],
        "outputs": [{"name": "y", "parameters": {"classification": 1}}]});
    assert_problem_at(
        &shared().post(&route("strings"), &texts),
        400,
        "invalid_input",
        "/outputs/0/parameters/classification",
    );
}

fn slow(milliseconds: u64, parameters: &Value) -> Value {
    json!({"inputs": [input("x", "FP32", &[1, 1], &json!([1])),
        input("iterations", "INT64", &[1, 1], &json!([milliseconds * 285]))], "parameters": parameters})
}

#[test]
fn a_timeout_in_microseconds_shortens_the_wait_and_zero_is_none() {
    let late = shared().post(&route("slow"), &slow(60_000, &json!({"timeout": 20_000})));
    assert_problem(&late, 504, "deadline_exceeded");
    shared().post(&route("slow"), &slow(1, &json!({"timeout": 0}))).ok();
    shared().post(&route("slow"), &slow(1, &json!({"timeout": 20_000_000, "priority": 1}))).ok();
    // The header and the parameter: the shortest counts.
    let request = Request::json(&route("slow"), &slow(60_000, &json!({"timeout": 60_000_000})));
    assert_problem(&shared().call(&request.header("x-request-timeout-ms", "20")), 504, "deadline_exceeded");
    for (name, value) in
        [("timeout", json!(-1)), ("timeout", json!("1")), ("timeout", json!(1.5)), ("priority", json!(-1))]
    {
        let response = shared().post(&route("slow"), &slow(1, &json!({name: value})));
        assert_problem_at(&response, 400, "invalid_input", &format!("/parameters/{name}"));
    }
}

#[test]
fn sequences_are_refused_and_their_absence_is_not() {
    let response =
        shared().post(&route("slow"), &slow(1, &json!({"sequence_id": 7, "sequence_start": true})));
    assert_problem_at(&response, 400, "invalid_input", "/parameters/sequence_id");
    for none in [json!(0), json!("")] {
        shared().post(&route("slow"), &slow(1, &json!({"sequence_id": none}))).ok();
    }
}

#[test]
fn an_inference_is_traced_timed_and_counted_as_a_prediction_is() {
    let body = json!({"inputs": [input("x", "FP32", &[2, 3], &json!([1, 2, 3, 4, 5, 6]))]});
    let labels = [("route", "/v2/models/{model}/infer"), ("status", "200"), ("method", "POST")];
    let before = shared().metrics();
    let response = shared().post(&route("add-one"), &body);
    let timing = response.header("server-timing").unwrap();
    for stage in ["preprocess;dur=", "execute;dur=", "desc=\"2\"", "postprocess;dur=", "total;dur="] {
        assert!(timing.contains(stage), "{timing}");
    }
    assert_eq!(response.header("traceresponse").map(str::len), Some(55));
    let after = shared().metrics();
    let grew = |name: &str, labels: &[(&str, &str)]| after.sum(name, labels) - before.sum(name, labels);
    assert!(grew("http_requests_total", &labels) >= 1.0);
    assert!(grew("inference_requests_total", &[("model", "add-one"), ("outcome", "ok")]) >= 1.0);
    assert!(grew("inference_input_length_sum", &[("model", "add-one")]) >= 6.0);
}
