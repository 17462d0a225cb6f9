//! Limits on sizes: the body on the wire, the instances in it, all bodies together.

use std::time::Instant;

use serde_json::json;

use crate::harness::wait::PATIENCE;
use crate::harness::{Connection, Repository, Request, Server, assert_problem, models, wait};

const LIMIT: usize = 4096;

fn small() -> Server {
    Server::builder()
        .repository(Repository::new().fixture("add-one").model("slow", "slow", &models::slow_manifest(100)))
        .env("ML_INFERENCE_LIMITS__MAX_BODY_BYTES", format!("{LIMIT}B"))
        .env("ML_INFERENCE_LIMITS__MAX_INSTANCES", "3")
        .env("ML_INFERENCE_LIMITS__MAX_JSON_DEPTH", "4")
        .start()
}

/// A valid body of exactly `size` bytes.
fn body_of(size: usize) -> String {
    let body = "{\"x\":[1,2,3]}";
    format!("{}{body}", " ".repeat(size - body.len()))
}

fn request(size: usize) -> Request {
    Request::text("/predict/add-one", "application/json", &body_of(size))
}

#[test]
fn bodies_up_to_the_limit_and_beyond_it() {
    let server = small();
    server.call(&request(LIMIT)).ok();
    assert_problem(&server.call(&request(LIMIT + 1)), 413, "payload_too_large");
    for size in [1, 100, 5000] {
        let mut connection = Connection::open(server.http);
        connection.write(&request(LIMIT).chunked(size));
        connection.read().ok();
        let mut connection = Connection::open(server.http);
        connection.write(&request(LIMIT + 1).chunked(size));
        assert_problem(&connection.read(), 413, "payload_too_large");
    }
}

#[test]
fn a_claimed_length_beyond_the_limit_is_refused_though_no_body_comes() {
    let server = small();
    for length in [LIMIT + 1, 10 << 30] {
        let mut connection = Connection::open(server.http);
        let begun = Instant::now();
        let head = format!(
            "POST /predict/add-one HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        connection.write(head.as_bytes());
        assert_problem(&connection.read(), 413, "payload_too_large");
        assert!(connection.is_closed());
        assert!(begun.elapsed() < PATIENCE / 4, "{:?}", begun.elapsed());
    }
}

#[test]
fn the_answer_to_a_large_refused_body_is_not_lost_to_a_reset() {
    let server = small();
    for _ in 0..5 {
        let mut connection = Connection::open(server.http);
        // The write may fail once the server has closed; the answer must be there all the same.
        drop(connection.try_write(&request(4 << 20).bytes()));
        assert_problem(&connection.read(), 413, "payload_too_large");
    }
}

#[test]
fn instances_and_depth_have_limits_of_their_own() {
    let server = small();
    let rows = |count: usize| json!({"instances": vec![json!([1, 2, 3]); count]});
    server.post("/predict/add-one", &rows(3)).ok();
    assert_problem(&server.post("/predict/add-one", &rows(4)), 400, "batch_too_large");
    server.post("/predict/add-one", &json!({"instances": [{"x": [1, 2, 3]}]})).ok();
    let deep = server.post("/predict/add-one", &json!({"instances": [{"x": [[1, 2, 3]]}]}));
    assert_eq!(deep.status, 400);
}

#[test]
fn bytes_of_all_requests_together_are_bounded() {
    let server = Server::builder()
        .repository(Repository::new().model("slow", "slow", &models::slow_manifest(100)))
        .env("ML_INFERENCE_LIMITS__MAX_INFLIGHT_BYTES", "256KiB")
        .start();
    let mut holder = Connection::open(server.http);
    let long = models::slow_for(1500, 1.0).to_string();
    let padded = format!("{}{long}", " ".repeat(200_000));
    holder.write(&Request::text("/predict/slow", "application/json", &padded).bytes());
    server.wait_for_metric("inference_workers", &[("state", "busy")], 1.0);
    let large = format!("{}{}", " ".repeat(100_000), models::slow_for(1, 2.0));
    let answer = server.call(&Request::text("/predict/slow", "application/json", &large));
    assert_problem(&answer, 503, "overloaded");
    holder.read().ok();
    server.call(&Request::text("/predict/slow", "application/json", &large)).ok();
}

#[test]
fn a_crowd_of_idle_connections_does_not_shut_out_a_probe() {
    let server = Server::builder()
        .repository(Repository::new().fixture("add-one"))
        .env("ML_INFERENCE_HTTP__MAX_CONNECTIONS", "4")
        .start();
    let crowd: Vec<_> = (0..20).map(|_| Connection::open(server.http)).collect();
    wait::until("an answer to the probe", PATIENCE, || {
        let mut probe = Connection::try_open(server.http).ok()?;
        probe.try_write(&Request::get("/health").bytes()).ok()?;
        probe.try_read().ok().filter(|answer| answer.status == 200)
    });
    assert!(server.metrics().sum("http_connection_errors_total", &[("kind", "limit")]) >= 1.0);
    assert!(
        server.metrics().sum("http_connections", &[]) < 4.0 + 2.0,
        "the admin listener's own one or two aside"
    );
    drop(crowd);
    wait::until("room again", PATIENCE, || {
        let mut connection = Connection::try_open(server.http).ok()?;
        connection.try_write(&Request::json("/predict/add-one", &json!([1, 2, 3])).bytes()).ok()?;
        connection.try_read().ok().filter(|answer| answer.status == 200)
    });
}
