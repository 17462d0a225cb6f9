//! Draining, stopping, cutting.

use super::*;

const WAIT: &str = "GET /wait HTTP/1.1\r\nhost: test\r\n\r\n";

#[tokio::test]
async fn draining_still_serves_old_and_new_connections() {
    let server = Server::start(patient());
    let mut old = server.client().await;
    old.get().await;
    let mut streams = Frames::open(&server).await;
    streams.get(1, "/wait").await;
    server.heard.until(|heard| heard.waiting == 1).await;
    server.shutdown.advance(Phase::Draining);
    // What is in flight is answered behind GOAWAY.
    streams.until(GOAWAY).await;
    server.gate.notify_one();
    streams.until(HEADERS).await;
    old.get().await;
    server.client().await.get().await;
    let (mut sender, connection) = h2_client(&server).await;
    assert_eq!(h2_text(sender.send_request(h2_get("/ok")).await.unwrap()).await, "ok");
    timeout(PATIENCE, connection).await.expect("no GOAWAY").unwrap().unwrap();
    server.shutdown.advance(Phase::Stopping);
    streams.leave().await;
    Client(streams.0).rest().await;
    assert_eq!(server.report().await, ServeReport { forced: 0 });
}

#[tokio::test]
async fn a_stream_that_waited_in_the_client_when_goaway_came_is_served() {
    let server = Server::start(patient());
    let mut streams = Frames::open(&server).await;
    streams.get(1, "/ok").await;
    streams.until(HEADERS).await;
    server.shutdown.advance(Phase::Draining);
    // No more streams, and none of those on the way is refused.
    assert_eq!(streams.until(GOAWAY).await, b"\x7f\xff\xff\xff\0\0\0\0");
    // A client's library may answer the library's ping before it sends what waits.
    streams.0.write_all(b"\0\0\x08\x06\x01\0\0\0\0\x0b\x7b\xa2\xf0\x8b\x9b\xfe\x54").await.unwrap();
    streams.get(3, "/ok").await;
    streams.until(HEADERS).await;
    server.shutdown.advance(Phase::Stopping);
    streams.leave().await;
    assert_eq!(streams.until(GOAWAY).await, b"\0\0\0\x03\0\0\0\0");
    Client(streams.0).rest().await;
    assert_eq!(server.report().await, ServeReport { forced: 0 });
}

#[tokio::test]
async fn a_response_that_says_close_closes() {
    let server = Server::start(patient());
    let mut client = server.client().await;
    client.send("GET /close HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let text = client.rest().await;
    assert!(text.contains("connection: close\r\n") && text.ends_with("/close"), "{text}");
}

#[tokio::test]
async fn stopping_ends_what_waits_and_answers_what_is_in_flight() {
    let server = Server::start(patient());
    let (mut silent, mut partial, mut idle) =
        (server.client().await, server.client().await, server.client().await);
    let (mut late, mut at_work) = (server.client().await, server.client().await);
    idle.get().await;
    late.get().await;
    partial.send("GET /ok HTTP/1.1\r\nho").await;
    late.send("GET /").await;
    at_work.send(WAIT).await;
    server.heard.until(|heard| heard.waiting == 1 && heard.opened == 5).await;
    server.shutdown.advance(Phase::Stopping);
    for client in [&mut silent, &mut partial, &mut idle, &mut late] {
        assert_eq!(client.rest().await, "");
    }
    server.heard.until(|heard| heard.closed == 4).await;
    assert!(server.refuses_connections());
    assert!(!server.task.is_finished());
    server.gate.notify_one();
    let text = at_work.rest().await;
    assert!(text.contains("connection: close\r\n") && text.ends_with("waited"), "{text}");
    drop(at_work);
    assert_eq!(server.heard.until(|heard| heard.closed == 5).await.errors, []);
    assert_eq!(server.report().await, ServeReport { forced: 0 });
}

#[tokio::test]
async fn stopping_ends_http2_connections_whose_clients_do_not_answer() {
    let server = Server::start(patient());
    let mut mute = Frames::open(&server).await;
    mute.until(SETTINGS).await;
    server.shutdown.advance(Phase::Stopping);
    assert_eq!(server.report().await, ServeReport { forced: 0 });
}

#[tokio::test]
async fn what_stalls_is_cut_and_counted() {
    let server = Server::start(patient());
    let (mut body, mut handler, mut reader) =
        (server.client().await, server.client().await, server.client().await);
    body.send("POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\nstalled").await;
    handler.send(WAIT).await;
    reader.send("GET /large HTTP/1.1\r\nhost: test\r\n\r\n").await.until("HTTP/1.1 200").await;
    let mut streams = Frames::open(&server).await;
    streams.get(1, "/wait").await;
    server.heard.until(|heard| heard.waiting == 3).await;
    server.shutdown.advance(Phase::Stopping);
    streams.leave().await;
    assert!(!server.task.is_finished());
    server.shutdown.advance(Phase::Cut);
    let heard = Arc::clone(&server.heard);
    assert_eq!(server.report().await, ServeReport { forced: 4 });
    let heard = heard.until(|heard| heard.dropped == 2).await;
    assert_eq!((heard.forced, heard.opened, heard.closed), (4, 4, 4));
}

#[tokio::test]
async fn a_cut_without_a_stop_returns_at_once() {
    let server = Server::start(patient());
    let mut idle = server.client().await;
    idle.get().await;
    server.shutdown.advance(Phase::Cut);
    assert_eq!(server.report().await, ServeReport { forced: 0 });
    assert_eq!(idle.rest().await, "");
}
