//! How much is logged and traced, changed while the service runs; and what is exported although nobody sampled it.

use serde_json::{Value, json};

use crate::harness::collector::Collector;
use crate::harness::{Connection, Repository, Request, Response, Server, assert_problem, models};

fn repository() -> Repository {
    Repository::new().fixture("add-one").model("nan", "nan", "").model(
        "slow",
        "slow",
        &models::slow_manifest(10),
    )
}

fn patch(server: &Server, body: &Value) -> Response {
    let request = Request::new("PATCH", "/telemetry").header("content-type", "application/json");
    Connection::open(server.admin).call(&request.body(body.to_string().as_bytes()))
}

fn shown(server: &Server) -> Value {
    Connection::open(server.admin).call(&Request::get("/telemetry")).ok()
}

fn trace_of(answer: &Response) -> String {
    answer.header("traceresponse").unwrap().split('-').nth(1).unwrap().to_owned()
}

#[test]
fn the_share_of_sampled_traces_is_changed_without_a_restart() {
    let collector = Collector::start();
    let server = collector
        .by_grpc(Server::builder().repository(repository()))
        .env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
        .env("OTEL_TRACES_SAMPLER_ARG", "0")
        .start();
    let row = json!([1, 2, 3]);
    let before = server.post("/predict/add-one", &row);
    assert!(before.header("traceresponse").unwrap().ends_with("-00"));
    assert_eq!(shown(&server), json!({"log_level": "info", "sampling_ratio": 0.0}));
    assert_eq!(patch(&server, &json!({"sampling_ratio": 1})).ok()["sampling_ratio"], json!(1.0));
    let after = server.post("/predict/add-one", &row);
    assert!(after.header("traceresponse").unwrap().ends_with("-01"));
    collector.trace(&trace_of(&after), 6);
    assert!(collector.spans().iter().all(|span| span.trace != trace_of(&before)));
    for (body, status) in [(json!({"sampling_ratio": 2}), 400), (json!({"sampling": 1}), 400)] {
        assert_eq!(patch(&server, &body).status, status, "{body}");
    }
    assert_eq!(shown(&server)["sampling_ratio"], json!(1.0), "what was refused changed nothing");
}

#[test]
fn the_logs_level_is_changed_without_a_restart() {
    let mut server =
        Server::builder().repository(repository()).env("ML_INFERENCE_LOG__ACCESS", "all").start();
    let ask = |id: &str| {
        server.call(&Request::json("/predict/add-one", &json!([1, 2, 3])).header("x-request-id", id)).ok();
    };
    ask("told-at-first");
    assert_eq!(patch(&server, &json!({"log_level": "error"})).ok()["log_level"], json!("error"));
    ask("not-told");
    patch(&server, &json!({"log_level": "info,ml_inference_api=debug"})).ok();
    ask("told-again");
    assert_problem(&patch(&server, &json!({"log_level": "=loud="})), 400, "invalid_input");
    assert_eq!(shown(&server)["log_level"], json!("info,ml_inference_api=debug"));
    assert_eq!(server.terminate(), Some(0));
    let text = server.process.stderr();
    let lines = |id: &str| text.lines().filter(|line| line.contains(id)).count();
    assert_eq!((lines("told-at-first"), lines("not-told"), lines("told-again")), (1, 0, 1), "{text}");
    assert!(text.contains("the log's level was changed"), "{text}");
}

#[test]
fn without_tracing_there_is_no_share_to_change_and_the_public_port_has_no_such_route() {
    let server = Server::builder().repository(repository()).start();
    assert_eq!(shown(&server), json!({"log_level": "info", "sampling_ratio": null}));
    assert_problem(&patch(&server, &json!({"sampling_ratio": 1})), 400, "invalid_input");
    assert_problem(&server.get("/telemetry"), 404, "not_found");
}

#[test]
fn failed_and_slow_requests_are_kept_when_asked_for() {
    let collector = Collector::start();
    let server = collector
        .by_grpc(Server::builder().repository(repository()))
        .env("OTEL_TRACES_SAMPLER", "always_off")
        .env("ML_INFERENCE_TELEMETRY__KEEP_FAILED", "true")
        .env("ML_INFERENCE_TELEMETRY__KEEP_SLOWER_THAN", "300ms")
        .start();
    let fine = server.post("/predict/add-one", &json!([1, 2, 3]));
    let refused = server.post("/predict/add-one", &json!({"x": 1}));
    let failed = server.post("/predict/nan", &json!({"x": [-1]}));
    let slow = server.post("/predict/slow", &models::slow_for(600, 1.0));
    assert_eq!((fine.status, refused.status, failed.status, slow.status), (200, 400, 500, 200));
    let of_slow = collector.trace(&trace_of(&slow), 6);
    assert!(of_slow.iter().any(|span| span.name == "model-inference"
        && span.parent == {
            let server = of_slow.iter().find(|span| span.name == "POST /predict/{model}").unwrap();
            server.id.clone()
        }));
    let of_failed = collector.trace(&trace_of(&failed), 2);
    assert!(
        of_failed.iter().any(|span| span.attributes.get("error.type") == Some(&json!("non_finite_output")))
    );
    let kept = [trace_of(&slow), trace_of(&failed)];
    assert!(collector.spans().iter().all(|span| kept.contains(&span.trace) || span.name == "load-model"));
}
