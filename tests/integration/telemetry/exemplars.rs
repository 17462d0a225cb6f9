//! From a bucket of a histogram to the trace of a request: the server scraped by a real Prometheus, its spans sent to a
//! real Collector.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::harness::collector::Collector;
use crate::harness::prometheus::{Exemplar, Prometheus};
use crate::harness::{Connection, Repository, Request, Server, server, wait};

/// The trace of every request whose caller does not sample it.
const UNSAMPLED: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENTS: usize = 8;
const REQUESTS: usize = 20;

fn builder() -> server::Builder {
    Server::builder().repository(Repository::new().fixture("add-one").model("nan", "nan", ""))
}

/// Requests of several clients at a time, of which every other one is not sampled by its caller.
fn requests(server: &Server) {
    let one_client = || {
        let mut connection = Connection::open(server.http);
        for number in 0..REQUESTS {
            let row = json!({"x": [number, 2, 3]});
            let sampled = Request::json("/predict/add-one", &row);
            assert_eq!(connection.call(&sampled).status, 200);
            let parent = format!("00-{UNSAMPLED}-00f067aa0ba902b7-00");
            assert_eq!(connection.call(&sampled.header("traceparent", &parent)).status, 200);
        }
        assert_eq!(connection.call(&Request::json("/predict/nan", &json!({"x": [-1]}))).status, 500);
    };
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(one_client);
        }
    });
}

/// The histograms that have exemplars, and the span that each one's name.
const HISTOGRAMS: [(&str, &str); 4] = [
    ("http_request_duration_seconds_bucket", "POST /predict/{model}"),
    ("inference_queue_wait_seconds_bucket", "model-inference"),
    ("inference_stage_duration_seconds_bucket", "model-inference"),
    ("inference_duration_seconds_bucket", "inference.batch"),
];

#[track_caller]
fn is_in_its_bucket(exemplar: &Exemplar) {
    let bound: f64 = exemplar.series["le"].parse().unwrap();
    assert!(exemplar.value <= bound, "{exemplar:?}");
    let names: Vec<_> = exemplar.labels.keys().map(String::as_str).collect();
    assert_eq!(names, ["span_id", "trace_id"]);
    assert_ne!(exemplar.labels["trace_id"], UNSAMPLED);
}

#[test]
fn every_exemplar_is_a_span_that_was_exported() {
    let collector = Collector::start();
    let server = collector.by_grpc(builder()).start();
    server.expects_strangers();
    let prometheus = Prometheus::scraping(&[server.http, server.admin]);
    let all = wait::until("exemplars of every histogram", Duration::from_mins(1), || {
        requests(&server);
        let all = HISTOGRAMS.map(|(histogram, _)| prometheus.exemplars(histogram));
        all.iter().all(|found| !found.is_empty()).then_some(all)
    });
    for (exemplars, (histogram, name)) in all.iter().zip(HISTOGRAMS) {
        exemplars.iter().for_each(is_in_its_bucket);
        let ids = |trace: &str, span: &str| (trace.to_owned(), span.to_owned());
        let wanted: BTreeSet<_> =
            exemplars.iter().map(|it| ids(&it.labels["trace_id"], &it.labels["span_id"])).collect();
        let mut missing = wanted.clone();
        wait::at_most(Duration::from_secs(20), || {
            for span in collector.spans().iter().filter(|span| span.name == name) {
                missing.remove(&ids(&span.trace, &span.id));
            }
            missing.is_empty().then_some(())
        });
        assert!(
            missing.is_empty(),
            "{histogram} has exemplars that are no exported span {name}: {missing:?}"
        );
    }
    let failed = |exemplar: &Exemplar| exemplar.series.get("status").is_some_and(|status| status == "500");
    assert!(all[0].iter().any(failed), "{:#?}", all[0]);
    // Both listeners were scraped, without a complaint.
    let up = prometheus.query("up").into_iter().filter(|target| target.value > 0.5);
    let scraped: BTreeSet<_> = up.map(|target| target.labels["instance"].clone()).collect();
    assert_eq!(scraped, BTreeSet::from([server.http.to_string(), server.admin.to_string()]));
}

#[test]
fn without_sampling_there_is_no_exemplar() {
    let collector = Collector::start();
    let server = collector.by_grpc(builder()).env("OTEL_TRACES_SAMPLER", "always_off").start();
    server.expects_strangers();
    let prometheus = Prometheus::scraping(&[server.admin]);
    requests(&server);
    let sent = CLIENTS * REQUESTS * 2;
    prometheus.wait_for(&format!("inference_queue_wait_seconds_count{{model=\"add-one\"}} == {sent}"));
    prometheus.wait_for("http_request_duration_seconds_count{status=\"500\"} > 0");
    for (histogram, _) in HISTOGRAMS {
        assert!(prometheus.exemplars(histogram).is_empty(), "{histogram}");
    }
}
