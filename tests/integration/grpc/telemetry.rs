//! Metrics and spans of calls: the same as HTTP's.

use serde_json::json;

use super::with;
use crate::harness::collector::Collector;
use crate::harness::grpc::{INFER, INFERENCE, framed_bytes, rows};
use crate::harness::spans::{INTERNAL, SERVER, Span};
use crate::harness::{Repository, Request, Server, shared};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

#[track_caller]
fn one<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "{name} in {spans:#?}");
    found[0]
}

#[test]
fn every_method_counts_from_zero_under_its_full_name() {
    let server = Server::builder().repository(Repository::new().fixture("add-one")).start();
    let metrics = server.metrics();
    for method in ["ModelInfer", "ModelStreamInfer", "ServerReady", "RepositoryModelLoad", "LogSettings"] {
        let path = format!("{INFERENCE}{method}");
        for status in ["200", "400", "404", "429", "500", "503", "504"] {
            let labels = [("method", "POST"), ("route", &*path), ("status", status)];
            assert_eq!(metrics.with("http_requests_total", &labels).count(), 1, "{path} {status}");
        }
    }
    with(&server, async |client| {
        client.infer(&rows("add-one", &[1.0; 6])).await;
        client.call(INFER, &[], &rows("add-one", &[1.0])).await.refused(3, "shape_mismatch");
        client.call(INFER, &[], &rows("nobody", &[1.0])).await.refused(5, "model_not_found");
        client
            .raw(&format!("{INFERENCE}Other"), &[], framed_bytes(0, b""))
            .await
            .refused(12, "method_not_allowed");
    });
    let metrics = server.metrics();
    let count = |route: &str, status: &str| {
        metrics.sum("http_requests_total", &[("route", route), ("status", status)])
    };
    for (route, status) in [(INFER, "200"), (INFER, "400"), (INFER, "404"), ("unmatched", "405")] {
        assert!((count(route, status) - 1.0).abs() < 0.1, "{route} {status}");
    }
    let outcome = |model: &str, outcome: &str| {
        metrics.sum("inference_requests_total", &[("model", model), ("outcome", outcome)])
    };
    assert!((outcome("add-one", "ok") - 1.0).abs() < 0.1);
    assert!((outcome("add-one", "client_error") - 1.0).abs() < 0.1);
    assert!((outcome("_unknown", "client_error") - 1.0).abs() < 0.1);
    assert!(metrics.sum("inference_input_length_sum", &[("model", "add-one")]) >= 6.0);
    for stage in ["preprocess", "queue", "batch", "execute", "postprocess"] {
        let labels = [("model", "add-one"), ("stage", stage)];
        assert!(metrics.sum("inference_stage_duration_seconds_count", &labels) >= 1.0, "{stage}");
    }
    assert!(metrics.sum("http_request_body_bytes_sum", &[("route", INFER)]) > 24.0);
    assert!(metrics.sum("http_response_body_bytes_sum", &[("route", INFER)]) > 24.0);
}

#[test]
fn the_spans_of_a_call_are_those_of_a_request_under_the_methods_name() {
    let collector = Collector::start();
    let server =
        collector.by_grpc(Server::builder().repository(Repository::new().fixture("add-one"))).start();
    let parent = format!("00-{TRACE}-{PARENT}-01");
    with(&server, async |client| {
        let metadata = [("traceparent", &*parent), ("x-request-id", "mine")];
        let answer = client.call(INFER, &metadata, &rows("add-one", &[1.0; 3])).await;
        assert_eq!(answer.status, 0);
        assert!(answer.header("traceresponse").unwrap().starts_with(&format!("00-{TRACE}-")));
    });
    let spans = collector.trace(TRACE, 6);
    let call = one(&spans, "inference.GRPCInferenceService/ModelInfer");
    assert_eq!((call.kind, call.parent.as_str(), call.status), (SERVER, PARENT, 0));
    for (key, value) in [
        ("rpc.system.name", json!("grpc")),
        ("rpc.method", json!("inference.GRPCInferenceService/ModelInfer")),
        ("rpc.response.status_code", json!("OK")),
        ("network.protocol.version", json!("2")),
        ("inference.outcome", json!("ok")),
    ] {
        assert_eq!(call.attributes.get(key), Some(&value), "{key}: {:#?}", call.attributes);
    }
    assert!(!call.attributes.contains_key("http.route"));
    let inference = one(&spans, "model-inference");
    assert_eq!((inference.kind, &inference.parent), (INTERNAL, &call.id));
    for stage in ["preprocess", "inference.queue", "inference.execute", "postprocess"] {
        assert_eq!(one(&spans, stage).parent, inference.id);
    }
    let faulty = format!("00-{}-{PARENT}-01", TRACE.replace('4', "5"));
    with(&server, async |client| {
        client.call(INFER, &[("traceparent", &faulty)], &rows("add-one", &[1.0])).await;
    });
    let spans = collector.trace(&TRACE.replace('4', "5"), 2);
    let call = one(&spans, "inference.GRPCInferenceService/ModelInfer");
    assert_eq!(call.attributes["rpc.response.status_code"], json!("INVALID_ARGUMENT"));
    assert_eq!(call.status, 0, "the caller's fault is none of the server's");
}

#[test]
fn requests_of_both_kinds_add_up() {
    let server = Server::builder().repository(Repository::new().fixture("add-one")).start();
    let before = server.metrics().sum("http_requests_total", &[]);
    with(&server, async |client| {
        for _ in 0..5 {
            client.infer(&rows("add-one", &[1.0; 3])).await;
        }
    });
    server.call(&Request::json("/predict/add-one", &json!([1, 2, 3]))).ok();
    server.wait_for_no_request_in_flight();
    let after = server.metrics().sum("http_requests_total", &[]);
    // Scrapes count, too: the one before the second look.
    assert!(after - before >= 6.0 && after - before <= 9.0, "{before} {after}");
    assert!(shared().http != shared().grpc);
}
