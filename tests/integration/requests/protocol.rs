//! What HTTP itself refuses, before there is a request of ours.

use crate::harness::{Connection, Repository, Request, Server, shared};

fn server() -> Server {
    Server::builder().repository(Repository::new().fixture("add-one")).start()
}

/// Sends bytes and returns the status, or none when the connection just ends.
fn status_of(server: &Server, bytes: &[u8]) -> (Option<u16>, bool) {
    let mut connection = Connection::open(server.http);
    connection.write(bytes);
    let status = connection.try_read().ok().map(|answer| answer.status);
    (status, connection.is_closed())
}

#[test]
fn requests_that_no_parser_should_take() {
    let server = server();
    let smuggled = "POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut connection = Connection::open(server.http);
    connection.write(smuggled.as_bytes());
    let first = connection.read();
    assert!(first.status == 400 && connection.is_closed(), "both lengths: one answer at most, then the end");
    for broken in [
        "GARBAGE\r\n\r\n",
        "POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
        "POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n{}",
        "GET /health HTTP/1.1\r\nhost : a\r\n\r\n",
        "GET /health HTTP/9.9\r\nhost: a\r\n\r\n",
    ] {
        let (status, is_closed) = status_of(&server, broken.as_bytes());
        assert!(status.is_none_or(|status| status == 400 || status == 505), "{broken:?}: {status:?}");
        assert!(is_closed, "{broken:?}");
    }
    server.wait_for_metric("http_connection_errors_total", &[], 5.0);
    assert!(
        server.metrics().sum("http_requests_total", &[("route", "/health")]) < 0.5,
        "none of them was a request"
    );
}

#[test]
fn headers_and_targets_beyond_the_limit() {
    let server = server();
    let large = Request::get("/health").header("x-large", &"x".repeat(80 * 1024)).bytes();
    assert_eq!(status_of(&server, &large).0, Some(431));
    let many = (0..200).fold(Request::get("/health"), |request, n| request.header(&format!("x-{n}"), "1"));
    assert_eq!(status_of(&server, &many.bytes()).0, Some(431));
    let long = Request::get(&format!("/{}", "a".repeat(70_000))).bytes();
    assert!(matches!(status_of(&server, &long).0, Some(414 | 431)));
    server.wait_for_metric("http_connection_errors_total", &[], 3.0);
}

#[test]
fn http_1_0_gets_an_answer() {
    let mut connection = Connection::open(shared().http);
    connection.write(b"GET /health HTTP/1.0\r\n\r\n");
    assert_eq!(connection.read().status, 200);
    assert!(connection.is_closed());
}
