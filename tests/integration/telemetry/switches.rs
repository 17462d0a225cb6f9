//! The standard variables that turn tracing off or change it.

use serde_json::json;

use crate::harness::collector::Collector;
use crate::harness::{Repository, Request, Response, Server};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn builder() -> crate::harness::server::Builder {
    Server::builder().repository(Repository::new().fixture("add-one"))
}

fn sampled_request() -> Request {
    Request::json("/predict/add-one", &json!([1, 2, 3]))
        .header("traceparent", &format!("00-{TRACE}-00f067aa0ba902b7-01"))
}

fn trace_of(answer: &Response) -> String {
    answer.header("traceresponse").unwrap().split('-').nth(1).unwrap().to_owned()
}

/// Starts a server with the switch, sends a request, ends it (which flushes), counts the spans.
fn spans_with(name: &str, value: &str) -> (usize, Response) {
    let collector = Collector::start();
    let mut server = collector.by_grpc(builder()).env(name, value).start();
    let answer = server.call(&sampled_request());
    assert_eq!(answer.status, 200);
    assert_eq!(server.terminate(), Some(0));
    if name == "OTEL_PROPAGATORS" {
        collector.trace(&trace_of(&answer), 6);
    }
    (collector.spans().len(), answer)
}

#[test]
fn the_sdk_can_be_disabled() {
    for value in ["true", "TRUE"] {
        let (count, answer) = spans_with("OTEL_SDK_DISABLED", value);
        assert_eq!(count, 0);
        assert!(answer.header("traceresponse").is_some());
    }
}

#[test]
fn the_exporter_can_be_none() {
    assert_eq!(spans_with("OTEL_TRACES_EXPORTER", "none").0, 0);
}

#[test]
fn the_sampler_can_be_off() {
    assert_eq!(spans_with("OTEL_TRACES_SAMPLER", "always_off").0, 0);
}

#[test]
fn without_propagators_the_callers_trace_is_not_taken() {
    let (_, answer) = spans_with("OTEL_PROPAGATORS", "none");
    assert_ne!(trace_of(&answer), TRACE);
}

#[test]
fn mistakes_in_the_standard_variables_stop_nothing() {
    let server = builder()
        .env("OTEL_TRACES_SAMPLER", "sometimes")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url")
        .env("OTEL_BSP_SCHEDULE_DELAY", "soon")
        .start();
    assert_eq!(server.call(&sampled_request()).status, 200);
}
