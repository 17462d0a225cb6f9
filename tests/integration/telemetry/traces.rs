//! Spans of one request as a real Collector gets them, by gRPC and by HTTP.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::collector::Collector;
use crate::harness::spans::{CONSUMER, INTERNAL, SERVER, Span};
use crate::harness::{Connection, Repository, Request, Response, Server, settings, vectors, wait};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
/// Server, model-inference, and its four stages.
const TREE: usize = 6;

fn builder() -> crate::harness::server::Builder {
    Server::builder()
        .models(settings::package("models/fraud-detector"))
        .repository(Repository::new().fixture("add-one").model("nan", "nan", ""))
        .env("MODEL_NAME", "fraud-detector")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
}

fn traceparent(request: Request, flags: &str) -> Request {
    request.header("traceparent", &format!("00-{TRACE}-{PARENT}-{flags}"))
}

#[track_caller]
fn one<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "{name} in {spans:#?}");
    found[0]
}

fn traceresponse(answer: &Response) -> (String, String, String) {
    let parts: Vec<&str> = answer.header("traceresponse").unwrap().split('-').collect();
    (parts[1].to_owned(), parts[2].to_owned(), parts[3].to_owned())
}

#[track_caller]
fn has(span: &Span, attributes: &[(&str, Value)]) {
    for (key, value) in attributes {
        assert_eq!(span.attributes.get(*key), Some(value), "{key} of {}: {:#?}", span.name, span.attributes);
    }
}

#[track_caller]
fn assert_tree(spans: &[Span], answer: &Response) {
    assert_eq!(spans.len(), TREE, "{spans:#?}");
    let server = one(spans, "POST /predict");
    assert_eq!((server.kind, server.parent.as_str(), server.status), (SERVER, PARENT, 0));
    assert_eq!(traceresponse(answer), (TRACE.to_owned(), server.id.clone(), "01".to_owned()));
    has(
        server,
        &[
            ("http.request.method", json!("POST")),
            ("http.route", json!("/predict")),
            ("url.path", json!("/predict")),
            ("url.scheme", json!("http")),
            ("http.response.status_code", json!(200)),
            ("inference.outcome", json!("ok")),
        ],
    );
    assert!(server.attributes.contains_key("network.protocol.version"), "{:#?}", server.attributes);
    assert!(!server.attributes.contains_key("error.type"));
    let inference = one(spans, "model-inference");
    assert_eq!((inference.kind, &inference.parent), (INTERNAL, &server.id));
    has(
        inference,
        &[
            ("model.name", json!("fraud-detector")),
            ("model.version", json!("1")),
            ("input.length", json!(30)),
        ],
    );
    let confidence = inference.attributes["prediction.confidence"].as_f64().unwrap();
    assert!((confidence - answer.json()["confidence"].as_f64().unwrap()).abs() < 1e-6);
    let request_id = answer.header("x-request-id").unwrap();
    has(inference, &[("inference.request.id", json!(request_id)), ("inference.batch.size", json!(1))]);
    assert!(inference.attributes.contains_key("inference.queue.wait_ms"), "{:#?}", inference.attributes);
    let mut earlier = inference.start;
    for name in ["preprocess", "inference.queue", "inference.execute", "postprocess"] {
        let stage = one(spans, name);
        assert_eq!((stage.kind, &stage.parent), (INTERNAL, &inference.id), "{name}");
        assert!(
            earlier <= stage.start && stage.start <= stage.end && stage.end <= inference.end,
            "{name}: {spans:#?}"
        );
        earlier = stage.end;
    }
    assert!(server.start <= inference.start && inference.end <= server.end);
}

#[track_caller]
fn assert_batch(collector: &Collector, spans: &[Span]) {
    let (inference, execute) = (one(spans, "model-inference"), one(spans, "inference.execute"));
    assert_eq!(execute.links.len(), 1, "{execute:#?}");
    let link = &execute.links[0];
    let of_batch = collector.trace(&link.trace, 1);
    let batch = one(&of_batch, "inference.batch");
    assert_ne!(batch.trace, TRACE, "a new root");
    assert_eq!((batch.id.as_str(), batch.parent.as_str()), (link.id.as_str(), ""));
    assert!(batch.kind == CONSUMER || batch.kind == INTERNAL);
    assert!(batch.links.iter().any(|link| link.trace == TRACE && link.id == inference.id), "{batch:#?}");
    has(batch, &[("model.name", json!("fraud-detector")), ("inference.batch.size", json!(1))]);
    let resource = &batch.resource;
    assert_eq!(resource["service.name"], "ml-inference-api");
    assert_eq!(resource["deployment.environment.name"], "test");
    assert!(resource.contains_key("service.version"), "{resource:?}");
}

fn whole_tree(collector: &Collector, server: &Server) {
    let request = traceparent(Request::json("/predict", &vectors::fraud_instance(0)), "01");
    let answer = server.call(&request);
    answer.ok();
    let spans = collector.trace(TRACE, TREE);
    assert_tree(&spans, &answer);
    assert_batch(collector, &spans);
}

#[test]
fn one_request_over_grpc() {
    let collector = Collector::start();
    whole_tree(&collector, &collector.by_grpc(builder()).start());
}

#[test]
fn one_request_over_http() {
    let collector = Collector::start();
    whole_tree(&collector, &collector.by_http(builder()).start());
}

#[test]
fn what_the_last_requests_left_arrives_before_the_exit() {
    let collector = Collector::start();
    // A delay that only the flush at the exit can cut short.
    let mut server = collector.by_grpc(builder()).env("OTEL_BSP_SCHEDULE_DELAY", "600000").start();
    let answer = server.call(&traceparent(Request::json("/predict", &vectors::fraud_instance(1)), "01"));
    assert_eq!(server.terminate(), Some(0));
    assert_tree(&collector.trace(TRACE, TREE), &answer);
}

#[test]
fn errors_are_marked_as_the_conventions_say() {
    let collector = Collector::start();
    let server = collector.by_grpc(builder()).start();
    let mut connection = Connection::open(server.http);
    let failed = connection.call(&Request::json("/predict/nan", &json!({"x": [-1]})));
    let refused = connection.call(&Request::json("/predict/add-one", &json!({"x": 1})));
    let late = connection
        .call(&Request::json("/predict/add-one", &json!([1, 2, 3])).header("x-request-timeout-ms", "0"));
    assert_eq!((failed.status, refused.status, late.status), (500, 400, 504));
    for (answer, status, error_type, outcome) in [
        (&failed, 2, Some("non_finite_output"), "error"),
        (&refused, 0, Some("shape_mismatch"), "client_error"),
        (&late, 2, Some("deadline_exceeded"), "timeout"),
    ] {
        let spans = collector.trace(&traceresponse(answer).0, 1);
        let server = one(&spans, "POST /predict/{model}");
        assert_eq!((server.status, server.parent.as_str()), (status, ""), "{server:#?}");
        has(server, &[("inference.outcome", json!(outcome))]);
        let found = server.attributes.get("error.type").and_then(Value::as_str);
        assert!(found == error_type || (status == 0 && found.is_none()), "{found:?} for {error_type:?}");
    }
}

#[test]
fn names_hold_no_path_and_health_makes_no_span() {
    let collector = Collector::start();
    let server = collector.by_grpc(builder()).start();
    let mut connection = Connection::open(server.http);
    for target in ["/health", "/metrics", "/health/ready"] {
        connection.call(&Request::get(target));
    }
    connection.call(&Request::json("/predict/secret-model-name", &json!({})));
    let last = connection.call(&Request::json("/predict/add-one", &json!([1, 2, 3])));
    collector.trace(&traceresponse(&last).0, TREE);
    for span in collector.spans() {
        assert!(
            !span.name.contains("secret") && !span.name.contains("health") && !span.name.contains("metrics"),
            "{span:#?}"
        );
    }
}

#[test]
fn the_callers_decision_not_to_sample_is_kept() {
    let collector = Collector::start();
    let server = collector.by_grpc(builder()).start();
    let request = traceparent(Request::json("/predict/add-one", &json!([1, 2, 3])), "00");
    let answer = server.call(&request);
    assert_eq!((traceresponse(&answer).0.as_str(), traceresponse(&answer).2.as_str()), (TRACE, "00"));
    let sampled = server.post("/predict/add-one", &json!([1, 2, 3]));
    collector.trace(&traceresponse(&sampled).0, TREE);
    assert!(collector.spans().iter().all(|span| span.trace != TRACE), "{:#?}", collector.spans());
}

#[test]
fn garbage_in_traceparent_starts_a_new_trace() {
    let collector = Collector::start();
    let server = collector.by_grpc(builder()).start();
    let request = Request::json("/predict/add-one", &json!([1, 2, 3])).header("traceparent", "00-zz-zz-01");
    let answer = server.call(&request);
    assert_eq!(answer.status, 200);
    let spans = collector.trace(&traceresponse(&answer).0, TREE);
    assert_eq!(one(&spans, "POST /predict/{model}").parent, "");
}

#[test]
fn what_is_exported_is_counted() {
    let collector = Collector::start();
    let server = collector.by_grpc(builder()).start();
    let answer = server.post("/predict/add-one", &json!([1, 2, 3]));
    collector.trace(&traceresponse(&answer).0, TREE);
    let mut last = (0.0, 0);
    let agree = wait::at_most(Duration::from_secs(20), || {
        let counted = server.metrics().sum("otel_sdk_exporter_span_exported_total", &[("error_type", "")]);
        last = (counted, collector.spans().len());
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        (last.1 > TREE && (last.0 - last.1 as f64).abs() < 0.5).then_some(())
    });
    assert!(agree.is_some(), "counted and collected: {last:?}");
    let metrics = server.metrics();
    let processed = metrics.sum("otel_sdk_processor_span_processed_total", &[("error_type", "")]);
    assert!((processed - last.0).abs() < 0.5, "{processed} processed, {} exported", last.0);
}
