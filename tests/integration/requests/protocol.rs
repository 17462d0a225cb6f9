//! What HTTP itself refuses, before there is a request of ours. Broken framing is in `wire/framing.rs`.

use crate::harness::{Connection, Repository, Request, Server, shared};

fn server() -> Server {
    Server::builder().repository(Repository::new().fixture("add-one")).start()
}

/// Sends bytes and returns the status, or none when the connection just ends.
fn status_of(server: &Server, bytes: &[u8]) -> Option<u16> {
    let mut connection = Connection::open(server.http);
    connection.write(bytes);
    connection.try_read().ok().map(|answer| answer.status)
}

#[test]
fn headers_and_targets_beyond_the_limit() {
    let server = server();
    let large = Request::get("/health").header("x-large", &"x".repeat(80 * 1024)).bytes();
    assert_eq!(status_of(&server, &large), Some(431));
    let many = (0..200).fold(Request::get("/health"), |request, n| request.header(&format!("x-{n}"), "1"));
    assert_eq!(status_of(&server, &many.bytes()), Some(431));
    let long = Request::get(&format!("/{}", "a".repeat(70_000))).bytes();
    assert!(matches!(status_of(&server, &long), Some(414 | 431)));
    server.wait_for_metric("http_connection_errors_total", &[], 3.0);
}

#[test]
fn http_1_0_gets_an_answer() {
    let mut connection = Connection::open(shared().http);
    connection.write(b"GET /health HTTP/1.0\r\n\r\n");
    assert_eq!(connection.read().status, 200);
    assert!(connection.is_closed());
    shared().adds_up();
}

#[test]
fn a_refused_route_or_method_keeps_the_connection_though_a_body_came() {
    let mut connection = Connection::open(shared().http);
    for size in [0, 1, 5000, 60_000] {
        for (method, target, status) in
            [("POST", "/nowhere", 404), ("PUT", "/predict", 405), ("POST", "/health", 405)]
        {
            let answer = connection.call(&Request::new(method, target).body("x".repeat(size)));
            assert_eq!((answer.status, answer.header("connection")), (status, None), "{target} {size}");
        }
    }
    shared().adds_up();
}
