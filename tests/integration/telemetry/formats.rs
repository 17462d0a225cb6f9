//! The formats of `/metrics`, and the names that are optional.

use ml_inference_api::grpc::proto::inference::ServerLiveRequest;
use serde_json::json;

use crate::harness::grpc::{Client, INFERENCE};
use crate::harness::metrics::Metrics;
use crate::harness::{Connection, Repository, Request, Server};

fn server(name: &str, value: &str) -> Server {
    Server::builder().repository(Repository::new().fixture("add-one")).env(name, value).start()
}

/// What Prometheus 2.42 sends.
const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0,\
                          application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

#[test]
fn prometheus_gets_openmetrics_and_everyone_else_text() {
    let server = server("OTEL_SERVICE_NAME", "cards");
    for address in [server.http, server.admin] {
        let mut connection = Connection::open(address);
        let mut get = |accept: Option<&str>| {
            let request = Request::get("/metrics");
            let answer =
                connection.call(&accept.into_iter().fold(request, |it, value| it.header("accept", value)));
            assert_eq!((answer.status, answer.header("vary")), (200, Some("accept")), "{:?}", answer.headers);
            (answer.header("content-type").unwrap().to_owned(), answer.text())
        };
        for (accept, version) in
            [(PROMETHEUS, "1.0.0"), ("application/openmetrics-text;version=0.0.1", "0.0.1")]
        {
            let (media, text) = get(Some(accept));
            assert_eq!(media, format!("application/openmetrics-text; version={version}; charset=utf-8"));
            assert!(text.ends_with("# EOF\n") && text.contains("\n# TYPE http_requests counter\n"), "{text}");
            assert!(text.contains("\nhttp_requests_total{"), "{text}");
        }
        for accept in [None, Some("*/*"), Some("text/plain"), Some("text/html,*/*;q=0.8"), Some("image/png")]
        {
            let (media, text) = get(accept);
            assert_eq!(media, "text/plain; version=0.0.4; charset=utf-8", "{accept:?}");
            assert!(text.contains("\n# TYPE http_requests_total counter\n") && !text.contains("# EOF"));
        }
    }
}

const HTTP: &str = "http_server_request_duration_seconds_count";
const RPC: &str = "rpc_server_call_duration_seconds_count";

/// The metrics after a request that succeeds, one that does not, and a call.
fn asked(server: &Server) -> Metrics {
    server.post("/predict/add-one", &json!([1, 2, 3])).ok();
    let late = Request::json("/predict/add-one", &json!([1, 2, 3])).header("x-request-timeout-ms", "0");
    assert_eq!(server.call(&late).status, 504);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let call = async {
        let client = Client::open(server.grpc).await;
        client.call(&format!("{INFERENCE}ServerLive"), &[], &ServerLiveRequest {}).await
    };
    assert_eq!(runtime.block_on(call).status, 0);
    server.wait_for_no_request_in_flight();
    server.metrics()
}

#[track_caller]
fn assert_counted_once(metrics: &Metrics, name: &str, labels: &[(&str, &str)]) {
    assert!((metrics.sum(name, labels) - 1.0).abs() < 1e-9, "{name} {labels:?}: {:?}", metrics.series());
}

#[test]
fn the_conventions_names_are_there_where_asked_for() {
    let both = asked(&server("ML_INFERENCE_TELEMETRY__SEMANTIC_METRICS", "true"));
    let of = |status, error| {
        [
            ("http_request_method", "POST"),
            ("http_route", "/predict/{model}"),
            ("http_response_status_code", status),
            ("url_scheme", "http"),
            ("error_type", error),
        ]
    };
    assert_counted_once(&both, HTTP, &of("200", ""));
    assert_counted_once(&both, HTTP, &of("504", "deadline_exceeded"));
    let call = [
        ("rpc_system_name", "grpc"),
        ("rpc_method", "inference.GRPCInferenceService/ServerLive"),
        ("rpc_response_status_code", "OK"),
        ("error_type", ""),
    ];
    assert_counted_once(&both, RPC, &call);
    for (variable, http, rpc) in [("http/dup", true, false), ("rpc", false, true), ("database", false, false)]
    {
        let some = asked(&server("OTEL_SEMCONV_STABILITY_OPT_IN", variable));
        let has = |name: &str| some.with(name, &[]).count() > 0;
        assert_eq!((has(HTTP), has(RPC)), (http, rpc), "{variable}");
    }
}
