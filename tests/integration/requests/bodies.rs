//! How a body may arrive: chunks, expectations, slowly, not at all.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Connection, Repository, Request, Server, assert_problem, shared};

fn row() -> Request {
    Request::json("/predict/add-one", &json!({"x": [1, 2, 3]}))
}

#[test]
fn chunks_of_any_size() {
    let mut connection = Connection::open(shared().http);
    for size in [1, 2, 7, 1000] {
        connection.write(&row().chunked(size));
        assert_eq!(connection.read().ok()["y"], json!([2.0, 3.0, 4.0]));
    }
    shared().adds_up();
}

#[test]
fn a_body_byte_by_byte() {
    let mut connection = Connection::open(shared().http);
    for byte in row().bytes() {
        connection.write(&[byte]);
    }
    connection.read().ok();
    shared().adds_up();
}

#[test]
fn a_client_that_expects_100_continue() {
    let mut connection = Connection::open(shared().http);
    let bytes = row().header("expect", "100-continue").bytes();
    let body = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    connection.write(&bytes[..body]);
    assert_eq!(connection.try_read_head().unwrap().status, 100);
    connection.write(&bytes[body..]);
    connection.read().ok();
    shared().adds_up();
}

#[test]
fn a_client_that_closes_its_half_after_the_request() {
    let mut connection = Connection::open(shared().http);
    connection.write(&row().bytes());
    connection.finish();
    connection.read().ok();
    shared().adds_up();
}

/// A server with short patience for slow clients.
fn impatient() -> Server {
    Server::builder()
        .repository(Repository::new().fixture("add-one"))
        .env("ML_INFERENCE_HTTP__HEADER_TIMEOUT", "300ms")
        .env("ML_INFERENCE_HTTP__BODY_TIMEOUT", "300ms")
        .env("ML_INFERENCE_HTTP__IDLE_TIMEOUT", "600ms")
        .start()
}

#[test]
fn a_body_that_does_not_come_is_408_and_the_end_of_the_connection() {
    let server = impatient();
    let mut connection = Connection::open(server.http);
    let bytes = row().bytes();
    connection.write(&bytes[..bytes.len() - 3]);
    let answer = connection.read();
    assert_problem(&answer, 408, "client_too_slow");
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(connection.is_closed());
    server.wait_for_metric("http_requests_total", &[("status", "408")], 1.0);
    server.wait_for_no_request_in_flight();
}

#[test]
fn headers_that_do_not_come_end_the_connection() {
    let server = impatient();
    for sent in ["", "POST /predict HTTP/1.1\r\nhost: a\r\n"] {
        let mut connection = Connection::open(server.http);
        connection.patience(Duration::from_secs(20));
        connection.write(sent.as_bytes());
        // An answer of the HTTP library's own may come first; then the end.
        drop(connection.try_read());
        assert!(connection.is_closed(), "{sent:?}");
    }
    server.wait_for_metric("http_connection_errors_total", &[("kind", "header_timeout")], 2.0);
    assert!(server.metrics().sum("http_requests_total", &[("status", "408")]) < 0.5);
}

#[test]
fn idle_connections_are_closed() {
    let server = impatient();
    let mut connection = Connection::open(server.http);
    connection.call(&row()).ok();
    connection.patience(Duration::from_secs(20));
    assert!(connection.is_closed());
}

#[test]
fn a_client_that_never_reads_is_cut_off() {
    let server = Server::builder()
        .repository(Repository::new().fixture("add-one"))
        .env("ML_INFERENCE_HTTP__WRITE_TIMEOUT", "300ms")
        .start();
    let mut connection = Connection::open(server.http);
    // More answers than the buffers of both sides hold.
    let requests = Request::get("/metrics").bytes().repeat(400);
    drop(connection.try_write(&requests));
    server.wait_for_metric("http_connection_errors_total", &[("kind", "write_timeout")], 1.0);
    server.call(&row()).ok();
}

#[test]
fn a_client_that_leaves_amid_its_body_counts_as_499() {
    let server = impatient();
    let mut connection = Connection::open(server.http);
    let bytes = row().bytes();
    connection.write(&bytes[..bytes.len() - 3]);
    drop(connection);
    server.wait_for_metric("http_requests_total", &[("status", "499")], 1.0);
    server.wait_for_no_request_in_flight();
}
