//! Metrics and logs as a real Collector gets them, by gRPC and by HTTP.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::collector::Collector;
use crate::harness::server::Builder;
use crate::harness::signals::Record;
use crate::harness::{Repository, Request, Server, wait};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server whose metrics and logs leave by OTLP too.
pub(super) fn builder() -> Builder {
    Server::builder()
        .repository(Repository::new().fixture("add-one").model("nan", "nan", ""))
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        .env("OTEL_METRICS_EXPORTER", "otlp")
        .env("OTEL_LOGS_EXPORTER", "otlp")
}

/// The records about a request, once there are any.
#[track_caller]
pub(super) fn about(collector: &Collector, request_id: &str) -> Vec<Record> {
    wait::until("records about the request", PATIENCE, || {
        let mut found = collector.records();
        found
            .retain(|record| record.attributes.get("request_id").and_then(Value::as_str) == Some(request_id));
        (!found.is_empty()).then_some(found)
    })
}

/// A request that fails for a reason of ours, which is logged.
pub(super) fn failing(request_id: &str) -> Request {
    Request::json("/predict/nan", &json!({"x": [-123_456.5]})).header("x-request-id", request_id)
}

#[test]
fn logs_arrive_with_the_ids_of_the_trace_and_without_the_input() {
    type Way = fn(&Collector, Builder) -> Builder;
    let ways: [(Way, &str); 4] = [
        (Collector::by_grpc, "none"),
        (Collector::by_http, "none"),
        (Collector::by_grpc, "gzip"),
        (Collector::by_http, "gzip"),
    ];
    for (by, compression) in ways {
        let collector = Collector::start();
        let mut server = by(&collector, builder()).env("OTEL_EXPORTER_OTLP_COMPRESSION", compression).start();
        let answer = server.call(&failing("find-me"));
        assert_eq!(answer.status, 500);
        let found = about(&collector, "find-me");
        assert_eq!(found.len(), 1, "{found:#?}");
        let record = &found[0];
        let ids: Vec<&str> = answer.header("traceresponse").unwrap().split('-').collect();
        assert_eq!((record.trace.as_str(), record.span.as_str()), (ids[1], ids[2]), "{record:#?}");
        assert_eq!(record.severity, 17, "{record:#?}");
        assert!(record.attributes["target"].as_str().unwrap().starts_with("ml_inference_api::"));
        assert_eq!(record.resource["service.name"], "ml-inference-api");
        assert_eq!(record.resource["deployment.environment.name"], "test");
        assert!(!format!("{record:?}").contains("123456"), "{record:#?}");
        // The exit waits for the last lines.
        assert_eq!(server.terminate(), Some(0));
        let last = wait::at_most(PATIENCE, || {
            collector.records().into_iter().find(|record| record.body == "stopped")
        });
        assert!(last.is_some(), "{:#?}", collector.records());
        // Every line of the log is a record, but for what is said of telemetry's own end.
        let lines = server.process.stderr().lines().count();
        assert!(collector.records().len().abs_diff(lines) <= 1, "{lines} {:#?}", collector.records());
    }
}

#[test]
fn logs_of_a_loading_model_are_in_its_trace() {
    let collector = Collector::start();
    let _server = collector.by_grpc(builder()).start();
    let loads = wait::until("spans of loads", PATIENCE, || {
        let spans = collector.spans();
        let loads: Vec<_> = spans.into_iter().filter(|span| span.name == "load-model").collect();
        (loads.len() == 2).then_some(loads)
    });
    wait::until("a record in each of them", PATIENCE, || {
        let records = collector.records();
        loads.iter().all(|load| records.iter().any(|record| record.trace == load.trace)).then_some(())
    });
}

#[test]
fn metrics_arrive_with_the_resource_and_at_the_end_once_more() {
    for by in [Collector::by_grpc, Collector::by_http] {
        let collector = Collector::start();
        let mut server = by(&collector, builder()).start();
        let started = server.metrics().sum("process_start_time_seconds", &[]);
        let found = wait::until("two pushes", PATIENCE, || {
            let mut found = collector.metrics();
            found.retain(|metric| metric.name == "process_start_time_seconds");
            (found.len() >= 2).then_some(found)
        });
        let metric = &found[0];
        let value = metric.data["gauge"]["dataPoints"][0]["asDouble"].as_f64().unwrap();
        assert!((value - started).abs() < 1.0, "{value} is not {started}");
        assert_eq!(metric.resource["service.name"], "ml-inference-api");
        assert!(metric.resource.contains_key("service.instance.id"), "{:?}", metric.resource);
        let metrics = server.metrics();
        let sent = metrics.sum("otel_sdk_exporter_metric_data_point_exported_total", &[("error_type", "")]);
        assert!(sent >= 2.0, "{sent}");
        let count = "otel_sdk_exporter_operation_duration_seconds_count";
        assert!(metrics.sum(count, &[("signal", "metrics"), ("error_type", "")]) >= 2.0);
        assert_eq!(server.terminate(), Some(0));
    }
    let collector = Collector::start();
    let mut server = collector.by_grpc(builder()).env("OTEL_METRIC_EXPORT_INTERVAL", "3600000").start();
    assert_eq!(server.terminate(), Some(0));
    let last = wait::at_most(PATIENCE, || (!collector.metrics().is_empty()).then_some(()));
    assert!(last.is_some(), "the exit pushes what an hour's interval would not have");
}

/// The data point of the last push whose attributes include these.
fn last_point(collector: &Collector, name: &str, attributes: &[(&str, &str)]) -> Option<Value> {
    let has = |point: &Value, (key, value): &(&str, &str)| {
        let list = point["attributes"].as_array().unwrap();
        list.iter().any(|pair| pair["key"] == *key && pair["value"]["stringValue"] == *value)
    };
    let last = collector.metrics().into_iter().rfind(|metric| metric.name == name)?;
    let data = ["sum", "gauge", "histogram"].iter().find_map(|kind| last.data.get(*kind))?;
    let points = data["dataPoints"].as_array().unwrap().iter();
    let mut points = points.filter(|point| attributes.iter().all(|pair| has(point, pair)));
    points.next().cloned()
}

#[test]
fn counts_and_histograms_arrive_as_they_would_be_scraped_with_exemplars() {
    let collector = Collector::start();
    let mut server = collector.by_grpc(builder()).start();
    let answers: Vec<_> = (0..3).map(|_| server.post("/predict/add-one", &json!([1, 2, 3]))).collect();
    assert_eq!(server.terminate(), Some(0));
    let ok = [("model", "add-one"), ("outcome", "ok")];
    let count = wait::until("the last push", PATIENCE, || {
        last_point(&collector, "inference_requests_total", &ok).filter(|point| point["asInt"] == "3")
    });
    assert!(count["startTimeUnixNano"].is_string(), "{count}");
    let sum =
        collector.metrics().into_iter().find(|metric| metric.name == "inference_requests_total").unwrap();
    assert_eq!(
        (&sum.data["sum"]["isMonotonic"], &sum.data["sum"]["aggregationTemporality"]),
        (&json!(true), &json!(2))
    );
    let name = "inference_request_duration_seconds";
    let histogram = last_point(&collector, name, &ok[..1]).unwrap();
    assert_eq!(
        (&histogram["count"], histogram["explicitBounds"].as_array().unwrap().len()),
        (&json!("3"), 16)
    );
    let counts = histogram["bucketCounts"].as_array().unwrap();
    let counts = counts.iter().map(|count| count.as_str().unwrap().parse::<u64>().unwrap());
    assert_eq!(counts.sum::<u64>(), 3, "{histogram}");
    let traces: Vec<&str> = answers
        .iter()
        .map(|answer| answer.header("traceresponse").unwrap().split('-').nth(1).unwrap())
        .collect();
    let exemplars = histogram["exemplars"].as_array().unwrap();
    assert!(!exemplars.is_empty(), "{histogram}");
    for exemplar in exemplars {
        let trace = exemplar["traceId"].as_str().unwrap();
        assert!(traces.contains(&trace), "{exemplar}");
        let spans = collector.trace(trace, 6);
        assert!(spans.iter().any(|span| span.name == "model-inference" && exemplar["spanId"] == span.id));
    }
}

#[test]
fn all_signals_name_the_same_instance_and_leave_only_where_asked() {
    let collector = Collector::start();
    let mut server = collector.by_grpc(builder()).env("OTEL_LOGS_EXPORTER", "none").start();
    server.post("/predict/add-one", &json!([1, 2, 3])).ok();
    assert_eq!(server.terminate(), Some(0));
    wait::until("spans and metrics", PATIENCE, || {
        (!collector.spans().is_empty() && !collector.metrics().is_empty()).then_some(())
    });
    assert!(collector.records().is_empty());
    let metrics = collector.metrics();
    assert!(metrics.iter().all(|metric| metric.resource == metrics[0].resource));
}
