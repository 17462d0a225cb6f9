//! `/metrics`: its form, its names, its counts, and that no client can make it grow.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::harness::metrics::{Metrics, Sample};
use crate::harness::server::in_flight;
use crate::harness::{Connection, Repository, Request, Server, models, settings, wait};

fn server() -> Server {
    let repository =
        Repository::new().fixture("add-one").model("nan", "nan", "").model("columns", "columns", "");
    Server::builder().repository(repository).start()
}

/// A few requests of every outcome; returns how many.
fn exercise(server: &Server) -> u32 {
    let mut connection = Connection::open(server.http);
    let row = json!({"x": [1, 2, 3]});
    let requests = [
        (Request::json("/predict/add-one", &row), 200),
        (Request::json("/predict/add-one/versions/1", &row), 200),
        (Request::json("/predict/add-one", &json!({"instances": [row, row]})), 200),
        (Request::json("/predict/columns", &json!([30, 1000, "Oslo", 2])), 200),
        (Request::json("/predict/add-one", &json!({"x": 1})), 400),
        (Request::json("/predict/nobody", &row), 404),
        (Request::json("/predict/nan", &json!({"x": [-1]})), 500),
        (Request::json("/predict/add-one", &row).header("x-request-timeout-ms", "0"), 504),
        (Request::get("/predict"), 200),
        (Request::get("/health"), 200),
        (Request::get("/metrics"), 200),
        (Request::get("/nothing"), 404),
        (Request::new("PUT", "/predict"), 405),
        (Request::text("/predict/add-one", "text/plain", "x"), 415),
    ];
    let mut sent = 0;
    for (request, status) in requests {
        let answer = connection.call(&request);
        assert_eq!(answer.status, status, "{}", answer.text());
        sent += 1;
    }
    sent
}

#[track_caller]
fn promtool_accepts(text: &str) {
    let mut child = Command::new(settings::promtool())
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "promtool: {said}");
}

#[test]
fn promtool_has_no_complaint() {
    let server = server();
    exercise(&server);
    let answer = server.get("/metrics");
    assert!(
        answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"),
        "{:?}",
        answer.headers
    );
    promtool_accepts(&answer.text());
}

const NAMES: [&str; 34] = [
    "http_requests_total",
    "http_request_duration_seconds_bucket",
    "http_requests_in_flight",
    "http_request_body_bytes_bucket",
    "http_response_body_bytes_bucket",
    "http_connections",
    "http_connection_errors_total",
    "inference_requests_total",
    "inference_queue_depth",
    "inference_queue_capacity",
    "inference_queue_wait_seconds_bucket",
    "inference_queue_expired_total",
    "inference_batch_size_bucket",
    "inference_duration_seconds_bucket",
    "inference_stage_duration_seconds_bucket",
    "inference_input_length_bucket",
    "inference_prediction_confidence_bucket",
    "inference_predictions_total",
    "inference_in_flight",
    "inference_workers",
    "inference_errors_total",
    "model_info",
    "model_load_seconds",
    "model_warmup_seconds",
    "model_load_total",
    "model_loaded_timestamp_seconds",
    "otel_sdk_processor_span_queue_size",
    "otel_sdk_processor_span_queue_capacity",
    "panics_total",
    "build_info",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_start_time_seconds",
];

#[test]
fn every_name_and_label_of_the_catalogue_is_there() {
    let server = server();
    exercise(&server);
    let metrics = server.metrics();
    for sample in &metrics.samples {
        let labels: Vec<&str> = sample.labels.keys().map(String::as_str).collect();
        if !sample.name.starts_with("process_") {
            assert_eq!(
                sample.labels.get("service").map(String::as_str),
                Some("ml-inference-api"),
                "{}",
                sample.name
            );
        }
        if sample.name == "inference_workers" {
            assert_eq!(labels, ["device", "service", "state"]);
        } else if sample.name.starts_with("inference_") || sample.name.starts_with("model_") {
            assert!(labels.contains(&"model") && labels.contains(&"version"), "{}: {labels:?}", sample.name);
        }
    }
    let info = metrics.with("model_info", &[("model", "add-one")]).next().unwrap();
    for label in ["digest", "runtime", "provider"] {
        assert!(info.labels.get(label).is_some_and(|value| !value.is_empty()), "{info:?}");
    }
    let names = metrics.names();
    let missing: Vec<_> = NAMES.iter().filter(|name| !names.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?} are missing; there are {names:?}");
}

/// A scrape in which every request so far is counted once: those sent, and the scrapes before.
#[track_caller]
fn settled(server: &Server, sent: u32) -> Metrics {
    let mut last = (0.0, 0.0);
    let found = wait::at_most(Duration::from_secs(20), || {
        let expected = f64::from(sent + server.scrapes());
        let metrics = server.metrics();
        let durations = metrics.sum("http_request_duration_seconds_count", &[]);
        last = (metrics.sum("http_requests_total", &[]) - expected, durations - expected);
        (last.0.abs() < 0.5 && last.1.abs() < 0.5).then_some(metrics)
    });
    found.unwrap_or_else(|| panic!("counted too many (negative: too few) requests and durations: {last:?}"))
}

#[test]
fn the_sum_of_requests_is_what_was_sent() {
    let server = server();
    let sent = exercise(&server);
    let metrics = settled(&server, sent);
    let is_versions = |sample: &Sample| sample.labels["route"].starts_with("/predict/{model}/versions/");
    let of_versions: f64 = metrics
        .with("http_requests_total", &[("status", "200")])
        .filter(|sample| is_versions(sample))
        .map(|sample| sample.value)
        .sum();
    assert!((of_versions - 1.0).abs() < 0.5, "{of_versions}");
    for (labels, count) in [
        (&[("method", "POST"), ("route", "/predict/{model}"), ("status", "200")], 3.0),
        (&[("method", "POST"), ("route", "/predict/{model}"), ("status", "504")], 1.0),
        (&[("method", "GET"), ("route", "unmatched"), ("status", "404")], 1.0),
        (&[("method", "PUT"), ("route", "/predict"), ("status", "405")], 1.0),
    ] {
        let found = metrics.sum("http_requests_total", labels);
        assert!((found - count).abs() < 0.5, "{labels:?}: {found}");
    }
    for (model, outcome, count) in [
        ("add-one", "ok", 3.0),
        ("columns", "ok", 1.0),
        ("nan", "error", 1.0),
        ("add-one", "timeout", 1.0),
        ("_unknown", "client_error", 1.0),
    ] {
        let found = metrics.sum("inference_requests_total", &[("model", model), ("outcome", outcome)]);
        assert!((found - count).abs() < 0.5, "{model} {outcome}: {found}");
    }
    assert!(
        (metrics.sum("inference_errors_total", &[("model", "nan"), ("kind", "non_finite")]) - 1.0).abs()
            < 0.5
    );
    assert!(in_flight(&metrics).abs() < 0.5);
    let labels = metrics.sum("inference_predictions_total", &[("model", "columns")]);
    assert!((labels - 1.0).abs() < 0.5, "{labels}");
}

#[test]
fn known_statuses_start_at_zero() {
    let server = server();
    let metrics = server.metrics();
    for status in ["200", "400", "404", "429", "500", "503", "504"] {
        let labels = [("method", "POST"), ("route", "/predict"), ("status", status)];
        let samples: Vec<f64> =
            metrics.with("http_requests_total", &labels).map(|sample| sample.value).collect();
        assert_eq!(samples, [0.0], "{status}");
    }
}

/// Series of metrics that requests could make grow.
fn series(metrics: &Metrics) -> usize {
    metrics.series().len()
}

#[test]
fn no_text_of_a_client_becomes_a_label() {
    let server = server();
    let mut connection = Connection::open(server.http);
    let attack = |connection: &mut Connection, n: usize| {
        for request in [
            Request::get(&format!("/random-{n}")),
            Request::get(&format!("/predict/model-{n}")),
            Request::json(&format!("/predict/model-{n}"), &json!({})),
            Request::json(&format!("/predict/add-one/versions/{n}00"), &json!({})),
            Request::new(&format!("METHOD{n}"), "/predict"),
            Request::new(&format!("METHOD{n}"), &format!("/random-{n}")),
            Request::get("/health")
                .header("host", &format!("host-{n}"))
                .header("user-agent", &format!("agent-{n}")),
            Request::json("/predict/add-one", &json!({format!("input-{n}"): 1})),
            Request::json("/predict/columns", &json!([30, 1000, format!("city-{n}"), 2])),
        ] {
            connection.call(&request);
        }
    };
    attack(&mut connection, 0);
    // The first scrape adds the series of its own route.
    server.metrics();
    let before = series(&server.metrics());
    for n in 1..100 {
        attack(&mut connection, n);
    }
    let metrics = server.metrics();
    assert_eq!(series(&metrics), before);
    assert!(!metrics.series().iter().any(|series| series.contains("random-") || series.contains("METHOD")));
    assert!(metrics.sum("http_requests_total", &[("method", "_OTHER")]) >= 200.0);
}

#[test]
fn a_busy_server_shows_its_queue() {
    let repository = Repository::new().model("slow", "slow", &models::slow_manifest(7));
    let server = Server::builder().repository(repository).start();
    let mut busy: Vec<_> = (0..3).map(|_| Connection::open(server.http)).collect();
    for (index, connection) in busy.iter_mut().enumerate() {
        connection.write(&Request::json("/predict/slow", &models::slow_for(400, 1.0)).bytes());
        if index == 0 {
            // Those that come now wait for it, instead of running with it.
            server.wait_for_metric("inference_workers", &[("state", "busy")], 1.0);
        }
    }
    server.wait_for_metric("inference_queue_depth", &[("model", "slow")], 2.0);
    let metrics = server.metrics();
    assert!((metrics.sum("inference_queue_capacity", &[("model", "slow")]) - 7.0).abs() < 0.5);
    assert!((metrics.sum("inference_workers", &[("state", "busy")]) - 1.0).abs() < 0.5);
    assert!((in_flight(&metrics) - 3.0).abs() < 0.5);
    for connection in &mut busy {
        connection.read().ok();
    }
    server.wait_for_metric("inference_queue_depth", &[("model", "slow")], 0.0);
    server.wait_for_metric("inference_in_flight", &[], 0.0);
    server.wait_for_metric("inference_workers", &[("state", "busy")], 0.0);
}

#[test]
fn the_service_label_follows_the_service_name_and_can_be_left_out() {
    let start = |name: &str, value: &str| {
        Server::builder().repository(Repository::new().fixture("add-one")).env(name, value).start()
    };
    let named = start("OTEL_SERVICE_NAME", "cards").metrics();
    assert!(named.with("http_requests_total", &[("service", "cards")]).count() > 0);
    let without = start("ML_INFERENCE_TELEMETRY__SERVICE_LABEL", "false").metrics();
    assert!(without.samples.iter().all(|sample| !sample.labels.contains_key("service")));
}
