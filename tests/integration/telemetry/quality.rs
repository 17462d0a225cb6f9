//! What the metrics say of inputs and outputs: what callers left out, what was cut, what is no number, and how
//! long a model's answers took.

use std::time::Instant;

use ml_inference_api::grpc::proto::inference::ModelInferRequest;
use serde_json::json;

use crate::grpc::with;
use crate::harness::grpc::{input, rows};
use crate::harness::metrics::Metrics;
use crate::harness::{Connection, Repository, Request, Server, assert_problem, models, settings};
use crate::infer::{binary_input, binary_request, singles};

/// A model of wines whose features may all be left out, one of texts of at most 64 tokens, and others.
fn server() -> Server {
    let export = |name: &str| settings::package("tests/fixtures/exports").join(name).join("model");
    Server::builder()
        .models(format!("wine={}", export("native-imputer").display()))
        .models(format!("texts={}", export("hf-bert").display()))
        .repository(Repository::new().fixture("add-one").fixture("nan"))
        .env("MODEL_NAME", "wine")
        .start()
}

/// A metric's name, labels beside model and version, and value.
type Count<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

#[track_caller]
fn assert_counts(metrics: &Metrics, model: &str, expected: &[Count<'_>]) {
    for (name, labels, count) in expected {
        let labels = [&[("model", model), ("version", "1")], *labels].concat();
        let found: Vec<f64> = metrics.with(name, &labels).map(|sample| sample.value).collect();
        assert_eq!(found, [*count], "{name}{labels:?}");
    }
}

const FEATURES: &str = "inference_features_total";
const LEFT_OUT: &str = "inference_features_defaulted_total";
const INSTANCES: &str = "inference_instances_total";

#[test]
fn features_that_callers_leave_out_are_counted_whatever_form_they_come_in() {
    let server = server();
    let idle = server.metrics();
    for feature in ["alcohol", "flavanoids", "magnesium", "colour"] {
        assert_counts(&idle, "wine", &[(LEFT_OUT, &[("feature", feature)], 0.0)]);
    }
    let split = json!({"dataframe_split": {"data": [[13.2, null]], "columns": ["alcohol", "colour"]}});
    let mut connection = Connection::open(server.http);
    for request in [
        Request::json(
            "/predict",
            &json!({"alcohol": 13, "flavanoids": 3, "magnesium": 100, "colour": "deep"}),
        ),
        Request::json("/predict", &json!({"alcohol": 13.2, "magnesium": 100, "colour": "medium"})),
        Request::json("/predict/wine", &json!([13.2, null, 100, "medium"])),
        Request::text("/predict", "text/csv", "alcohol,colour\n13.2,\n12,deep\n"),
        Request::json("/invocations", &split),
    ] {
        let answer = connection.call(&request);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    // What is refused says nothing of what models get.
    assert_problem(&server.post("/predict", &json!({"alcohol": "much"})), 400, "invalid_input");
    assert_problem(&server.post("/predict", &json!({"acidity": 1})), 400, "unknown_input");
    server.post("/predict/add-one", &json!([1, 2, 3])).ok();
    let metrics = server.metrics();
    assert_counts(
        &metrics,
        "wine",
        &[
            (INSTANCES, &[], 6.0),
            (FEATURES, &[("state", "given")], 14.0),
            (FEATURES, &[("state", "defaulted")], 2.0),
            (FEATURES, &[("state", "missing")], 8.0),
            (LEFT_OUT, &[("feature", "alcohol")], 0.0),
            (LEFT_OUT, &[("feature", "flavanoids")], 5.0),
            (LEFT_OUT, &[("feature", "magnesium")], 3.0),
            (LEFT_OUT, &[("feature", "colour")], 2.0),
        ],
    );
    assert_eq!(
        metrics.with(LEFT_OUT, &[]).count(),
        4,
        "no other model takes features, and no name is a caller's"
    );
    assert_eq!(metrics.with(FEATURES, &[("model", "add-one")]).count(), 0);
    assert_counts(&metrics, "add-one", &[(INSTANCES, &[], 1.0)]);
}

#[test]
fn texts_that_are_cut_are_counted_by_the_instance() {
    let server = server();
    let long = "battery ".repeat(100);
    let truncate = json!({"truncate": true});
    server.post("/predict/texts", &json!({"text": long, "parameters": truncate})).ok();
    let three = json!({"instances": ["The battery drains.", long, long], "parameters": truncate});
    server.post("/predict/texts", &three).ok();
    assert_problem(&server.post("/predict/texts", &json!({"text": long})), 400, "input_too_long");
    let truncated = "inference_inputs_truncated_total";
    assert_counts(&server.metrics(), "texts", &[(truncated, &[], 3.0), (INSTANCES, &[], 4.0)]);
    assert_counts(&server.metrics(), "wine", &[(truncated, &[], 0.0)]);
}

#[test]
fn what_is_not_finite_is_counted_by_the_instance_whether_the_answer_can_carry_it_or_not() {
    let server = server();
    assert_problem(&server.post("/predict/nan", &json!({"x": [-1]})), 500, "non_finite_output");
    let two = json!({"instances": [{"x": [1]}, {"x": [0]}]});
    assert_problem(&server.post("/predict/nan", &two), 500, "non_finite_output");
    // NaN, minus infinity and 0 in one raw tensor.
    let envelope = json!({"inputs": [binary_input("x", "FP32", &[3, 1], 12)],
        "parameters": {"binary_data_output": true}});
    let answer = server.call(&binary_request("nan", &envelope, &[&singles(&[-1.0, 0.0, 1.0])]));
    assert_eq!(answer.status, 200, "{}", answer.text());
    with(&server, async |client| {
        let raw = singles(&[1.0, -1.0]).into();
        let (inputs, raw_input_contents) = (vec![input("x", "FP32", &[2, 1])], vec![raw]);
        let model_name = "nan".to_owned();
        client
            .infer(&ModelInferRequest {
                model_name,
                inputs,
                raw_input_contents,
                ..ModelInferRequest::default()
            })
            .await;
        client.infer(&rows("add-one", &[1.0; 6])).await;
    });
    let (non_finite, errors) = ("inference_non_finite_outputs_total", "inference_errors_total");
    let metrics = server.metrics();
    assert_counts(
        &metrics,
        "nan",
        &[(non_finite, &[], 5.0), (INSTANCES, &[], 8.0), (errors, &[("kind", "non_finite")], 2.0)],
    );
    assert_counts(&metrics, "add-one", &[(non_finite, &[], 0.0), (INSTANCES, &[], 2.0)]);
}

#[test]
fn a_models_latency_is_that_of_the_requests_that_it_answered() {
    let repository = Repository::new().fixture("add-one").model("slow", "slow", &models::slow_manifest(10));
    let server = Server::builder().repository(repository).start();
    let begun = Instant::now();
    let row = Request::json("/predict/add-one", &json!([1, 2, 3]));
    for _ in 0..3 {
        server.call(&row).ok();
    }
    assert_problem(&server.call(&row.header("x-request-timeout-ms", "0")), 504, "deadline_exceeded");
    assert_problem(&server.post("/predict/add-one", &json!([1])), 400, "shape_mismatch");
    server.post("/predict/slow", &models::slow_for(500, 1.0)).ok();
    let metrics = server.metrics();
    let of = |part: &str| format!("inference_request_duration_seconds_{part}");
    assert_counts(&metrics, "add-one", &[(&of("count"), &[], 3.0), (&of("bucket"), &[("le", "+Inf")], 3.0)]);
    assert_counts(&metrics, "slow", &[(&of("count"), &[], 1.0), (&of("bucket"), &[("le", "0.01")], 0.0)]);
    for model in ["add-one", "slow"] {
        let sum = metrics.sum(&of("sum"), &[("model", model)]);
        assert!(sum > 0.0 && sum < begun.elapsed().as_secs_f64(), "{model}: {sum}");
    }
}
