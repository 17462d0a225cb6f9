//! Parameters of a request: classification, schedule policy; and the headers of the answer.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use super::{LENGTH, binary_input, infer, input, route, singles};
use crate::harness::command::run;
use crate::harness::models::{Repository, slow_for, slow_manifest};
use crate::harness::problem::assert_problem_at;
use crate::harness::{Connection, Request, Server, assert_problem, shared};

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
    // Of its own: behind what others wait for, nothing can be in time.
    let models = Repository::new().model("slow", "slow", &slow_manifest(64));
    let server = Server::builder().repository(models).start();
    let late = server.post(&route("slow"), &slow(60_000, &json!({"timeout": 20_000})));
    assert_problem(&late, 504, "deadline_exceeded");
    server.post(&route("slow"), &slow(1, &json!({"timeout": 0}))).ok();
    server.post(&route("slow"), &slow(1, &json!({"timeout": 20_000_000, "priority": 1}))).ok();
    // The header and the parameter: the shortest counts.
    let request = Request::json(&route("slow"), &slow(60_000, &json!({"timeout": 60_000_000})));
    assert_problem(&server.call(&request.header("x-request-timeout-ms", "20")), 504, "deadline_exceeded");
    for (name, value) in
        [("timeout", json!(-1)), ("timeout", json!("1")), ("timeout", json!(1.5)), ("priority", json!(-1))]
    {
        let response = server.post(&route("slow"), &slow(1, &json!({name: value})));
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

/// Waits until so many rows of `model` are queued.
fn queued(server: &Server, model: &str, rows: f64) {
    server.wait_for_metric("inference_queue_depth", &[("model", model)], rows);
}

#[test]
fn urgent_requests_overtake_those_that_wait() {
    // Batches of one, so that the order shows.
    let one = "[batching]\nmax_batch_size = 1\n";
    let manifest = format!("{}priority_levels = 3\n{one}", slow_manifest(64));
    let models = Repository::new().model("slow", "slow", &manifest);
    let server = Server::builder().repository(models).start();
    let (done, order) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let ask = |name: &'static str, request: Request| {
            let done = done.clone();
            let server = &server;
            scope.spawn(move || {
                server.call(&request).ok();
                done.send(name).unwrap();
            });
        };
        // It runs until its client leaves, when all others wait.
        let mut first = Connection::open(server.http);
        first.write(&Request::json(&route("slow"), &slow(600_000, &json!({}))).bytes());
        server.wait_for_metric("inference_in_flight", &[("model", "slow")], 1.0);
        server.wait_for_metric("inference_workers", &[("state", "busy")], 1.0);
        ask("unsaid", Request::json(&route("slow"), &slow(300, &json!({"priority": 0}))));
        queued(&server, "slow", 1.0);
        ask("second", Request::json("/predict/slow", &slow_for(300, 1.0)).header("x-request-priority", "2"));
        queued(&server, "slow", 2.0);
        ask("urgent", Request::json(&route("slow"), &slow(300, &json!({"priority": 1}))));
        queued(&server, "slow", 3.0);
        drop(first);
    });
    drop(done);
    assert_eq!(order.iter().collect::<Vec<_>>(), ["urgent", "second", "unsaid"]);
    let bad = Request::json("/predict/slow", &slow_for(1, 1.0)).header("x-request-priority", "high");
    assert_problem(&server.call(&bad), 400, "invalid_input");
}

#[test]
fn a_default_beyond_the_levels_is_told_at_start() {
    let manifest = "[queue]\npriority_levels = 2\ndefault_priority = 3\n";
    let models = Repository::new().model("m", "add-one", manifest);
    let said = run(["check", models.path().to_str().unwrap()]).finish().exits(1).all();
    assert!(
        said.contains("queue.default_priority = 3: expected at most queue.priority_levels, which is 2"),
        "{said}"
    );
}

#[test]
fn requests_and_answers_are_packed_as_their_headers_say() {
    let values: Vec<f32> = (0_u16..600).map(f32::from).collect();
    let body = json!({"inputs": [input("x", "FP32", &[200, 3], &json!(values))]});
    let plain = shared().post(&route("add-one"), &body);
    assert_eq!(plain.header("content-encoding"), None);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body.to_string().as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    let ask = |body: &[u8]| {
        let request = Request::new("POST", &route("add-one")).header("content-encoding", "gzip").body(body);
        shared().call(&request.header("accept-encoding", "gzip, deflate"))
    };
    let answer = ask(&packed);
    assert_eq!(answer.header("content-encoding"), Some("gzip"), "{}", answer.text());
    assert_eq!(answer.header("vary"), Some("accept-encoding"));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(answer.body.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    // The length of the JSON is that before packing.
    let envelope = json!({"inputs": [binary_input("x", "FP32", &[200, 3], 2400)], "parameters": {"binary_data_output": true}});
    let length = envelope.to_string().len().to_string();
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(envelope.to_string().as_bytes()).unwrap();
    encoder.write_all(&singles(&values)).unwrap();
    let request = Request::new("POST", &route("add-one"))
        .header("content-encoding", "deflate")
        .header("accept-encoding", "deflate")
        .header(LENGTH, &length)
        .body(encoder.finish().unwrap());
    let answer = shared().call(&request);
    assert_eq!(answer.header("content-encoding"), Some("deflate"), "{}", answer.text());
    let length: usize = answer.header(LENGTH).unwrap().parse().unwrap();
    let mut unpacked = Vec::new();
    flate2::read::ZlibDecoder::new(answer.body.as_slice()).read_to_end(&mut unpacked).unwrap();
    let expected: Vec<f32> = values.iter().map(|value| value + 1.0).collect();
    assert_eq!(unpacked[length..], singles(&expected));
    assert_problem(&ask(b"no gzip"), 400, "invalid_input");
    let brotli = Request::json(&route("add-one"), &body).header("content-encoding", "br");
    assert_problem(&shared().call(&brotli), 415, "unsupported_media_type");
}
