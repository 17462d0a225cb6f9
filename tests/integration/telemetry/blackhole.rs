//! Collectors that are dead or never answer must not be felt.

use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Connection, Repository, Request, Server, ports};

const FLUSH: Duration = Duration::from_millis(1500);
/// What a busy machine may add to an exit.
const SLACK: Duration = Duration::from_secs(3);

/// Accepts whatever comes, reads nothing and never answers. Ends with the tests.
fn black_hole() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut kept: Vec<TcpStream> = Vec::new();
        kept.extend(listener.incoming().map_while(Result::ok));
    });
    format!("http://{address}")
}

/// Sends many requests, ends the server, and says how long the exit took.
fn serve_and_exit(endpoint: &str, protocol: &str) -> Duration {
    let mut server = Server::builder()
        .repository(Repository::new().fixture("add-one"))
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        .env("OTEL_METRICS_EXPORTER", "otlp")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "50")
        .env("OTEL_LOGS_EXPORTER", "otlp")
        .env("OTEL_BLRP_SCHEDULE_DELAY", "50")
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "512")
        .env("ML_INFERENCE_TELEMETRY__FLUSH_TIMEOUT", "1500ms")
        .start();
    let mut connection = Connection::open(server.http);
    let request = Request::json("/predict/add-one", &json!([1, 2, 3]));
    let mut slowest = Duration::ZERO;
    for _ in 0..500 {
        let begun = Instant::now();
        connection.call(&request).ok();
        slowest = slowest.max(begun.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    drop(connection);
    let begun = Instant::now();
    assert_eq!(server.terminate(), Some(0), "spans that were lost are no reason to fail");
    begun.elapsed()
}

#[test]
fn one_that_never_answers_delays_only_the_exit_and_not_beyond_the_flush_timeout() {
    for protocol in ["grpc", "http/protobuf"] {
        let took = serve_and_exit(&black_hole(), protocol);
        assert!(took < FLUSH + SLACK, "{protocol}: {took:?}");
    }
}

#[test]
fn one_that_is_not_there_is_no_matter_either() {
    let endpoint = format!("http://{}", ports::free(1)[0]);
    for protocol in ["grpc", "http/protobuf"] {
        let took = serve_and_exit(&endpoint, protocol);
        assert!(took < FLUSH + SLACK, "{protocol}: {took:?}");
    }
}

#[test]
fn lost_spans_are_counted() {
    let server = Server::builder()
        .repository(Repository::new().fixture("add-one"))
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", black_hole())
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "64")
        .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "64")
        .env("ML_INFERENCE_TELEMETRY__FLUSH_TIMEOUT", "100ms")
        .start();
    let mut connection = Connection::open(server.http);
    for _ in 0..200 {
        connection.call(&Request::json("/predict/add-one", &json!([1, 2, 3]))).ok();
    }
    let metrics = server.metrics();
    let full = metrics.sum("otel_sdk_processor_span_processed_total", &[("error_type", "queue_full")]);
    assert!(full >= 100.0, "{full}");
    assert!((metrics.sum("otel_sdk_processor_span_queue_capacity", &[]) - 64.0).abs() < 0.5);
}
