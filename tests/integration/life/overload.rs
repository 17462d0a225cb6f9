//! Too much work: a short queue, clients that leave, deadlines that pass while waiting.

use serde_json::json;

use crate::harness::{Connection, Repository, Request, Server, assert_problem, models};

/// One run at a time and room for two rows.
fn tiny() -> Server {
    Server::builder()
        .repository(Repository::new().model("slow", "slow", &models::slow_manifest(2)).fixture("add-one"))
        .start()
}

fn send(server: &Server, milliseconds: u64) -> Connection {
    let mut connection = Connection::open(server.http);
    connection.write(&Request::json("/predict/slow", &models::slow_for(milliseconds, 1.0)).bytes());
    connection
}

/// A request that runs, and as many behind it.
fn occupied(server: &Server, milliseconds: u64, waiting: u32) -> Vec<Connection> {
    let mut connections = vec![send(server, milliseconds)];
    server.wait_for_metric("inference_workers", &[("state", "busy")], 1.0);
    connections.extend((0..waiting).map(|_| send(server, 1)));
    server.wait_for_metric("inference_queue_depth", &[("model", "slow")], f64::from(waiting));
    connections
}

#[test]
fn a_full_queue_refuses_and_says_when_to_come_back() {
    let server = tiny();
    let mut connections = occupied(&server, 1500, 2);
    let answer = server.post("/predict/slow", &models::slow_for(1, 1.0));
    let body = assert_problem(&answer, 503, "overloaded");
    assert_eq!(body["retryable"], true);
    // What is wrong with a small body is told all the same.
    assert_problem(&server.post("/predict/slow", &json!({"y": 1})), 400, "unknown_input");
    // Others are not held up by it.
    server.post("/predict/add-one", &json!([1, 2, 3])).ok();
    for connection in &mut connections {
        connection.read().ok();
    }
    server.post("/predict/slow", &models::slow_for(1, 1.0)).ok();
    let metrics = server.metrics();
    let rejected =
        metrics.sum("inference_requests_rejected_total", &[("model", "slow"), ("reason", "overloaded")]);
    assert!((rejected - 1.0).abs() < 0.5, "{rejected}");
    assert!((metrics.sum("inference_requests_total", &[("outcome", "rejected")]) - 1.0).abs() < 0.5);
}

#[test]
fn a_request_with_more_rows_than_the_queue_has_room_is_refused() {
    let server = tiny();
    let _running = occupied(&server, 1000, 1);
    let rows = json!({"instances": vec![models::slow_for(1, 1.0); 2]});
    assert_problem(&server.post("/predict/slow", &rows), 503, "overloaded");
}

#[test]
fn a_large_body_is_refused_unread_when_the_queue_is_full() {
    let server = tiny();
    let _running = occupied(&server, 1500, 2);
    let mut connection = Connection::open(server.http);
    connection.write(b"POST /predict/slow HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n");
    assert_problem(&connection.read(), 503, "overloaded");
}

#[test]
fn a_client_that_leaves_while_it_waits_is_dropped() {
    let server = tiny();
    let mut connections = occupied(&server, 1500, 2);
    drop(connections.split_off(1));
    server.wait_for_metric("inference_queue_depth", &[("model", "slow")], 0.0);
    server.wait_for_metric("http_requests_total", &[("status", "499")], 2.0);
    connections[0].read().ok();
    server.wait_for_no_request_in_flight();
    server.wait_for_metric("inference_in_flight", &[], 0.0);
    let metrics = server.metrics();
    let cancelled = metrics.sum("inference_requests_total", &[("outcome", "cancelled")]);
    assert!((cancelled - 2.0).abs() < 0.5, "{cancelled}");
    assert!((metrics.sum("inference_cancelled_total", &[("stage", "queue")]) - 2.0).abs() < 0.5);
    let runs = metrics.sum("inference_duration_seconds_count", &[("model", "slow")]);
    assert!((runs - 1.0).abs() < 0.5, "what nobody waits for is not run: {runs}");
}

#[test]
fn a_client_that_leaves_while_it_runs_frees_the_model() {
    let server = tiny();
    drop(occupied(&server, 60_000, 0));
    server.wait_for_metric("http_requests_total", &[("status", "499")], 1.0);
    server.wait_for_metric("inference_workers", &[("state", "busy")], 0.0);
    server.post("/predict/slow", &models::slow_for(1, 1.0)).ok();
    server.wait_for_no_request_in_flight();
}

#[test]
fn a_deadline_that_passes_in_the_queue_is_504_and_nothing_runs() {
    let server = tiny();
    let mut connections = occupied(&server, 1500, 0);
    let late =
        Request::json("/predict/slow", &models::slow_for(1, 1.0)).header("x-request-timeout-ms", "100");
    let answer = server.call(&late);
    assert_problem(&answer, 504, "deadline_exceeded");
    let timing = answer.header("server-timing").unwrap();
    assert!(timing.contains("queue;") && !timing.contains("execute;"), "{timing}");
    connections[0].read().ok();
    let metrics = server.metrics();
    assert!((metrics.sum("inference_queue_expired_total", &[("model", "slow")]) - 1.0).abs() < 0.5);
    let runs = metrics.sum("inference_duration_seconds_count", &[("model", "slow")]);
    assert!((runs - 1.0).abs() < 0.5, "{runs}");
}

#[test]
fn health_and_metrics_answer_while_everything_is_busy() {
    let server = tiny();
    let _running = occupied(&server, 1000, 2);
    for target in ["/health", "/health/live", "/health/ready", "/metrics"] {
        assert_eq!(server.get(target).status, 200, "{target}");
    }
}
