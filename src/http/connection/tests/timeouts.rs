//! What closes a connection in time, and what must not.

use super::*;

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let server = Server::start(ConnectionOptions { header_timeout: SHORT, ..patient() });
    let began = Instant::now();
    assert_eq!(server.client().await.rest().await, "");
    assert!(began.elapsed() >= SHORT);
    let heard = server.heard.until(|heard| heard.closed == 1).await;
    assert_eq!(heard.errors, [ConnectionErrorKind::HeaderTimeout]);
}

#[tokio::test]
async fn a_first_header_or_preface_that_stops_is_closed() {
    for part in ["G", "GET /ok HTTP/1.1\r\nhost:", "PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r", "\r\n\r\n"] {
        let server = Server::start(ConnectionOptions { header_timeout: SHORT, ..patient() });
        assert_eq!(server.client().await.send(part).await.rest().await, "", "{part}");
        let heard = server.heard.until(|heard| heard.closed == 1).await;
        assert_eq!(heard.errors, [ConnectionErrorKind::HeaderTimeout], "{part}");
    }
}

#[tokio::test]
async fn a_second_header_that_stops_is_closed() {
    let server = Server::start(ConnectionOptions { header_timeout: SHORT, ..patient() });
    let mut client = server.client().await;
    client.get().await;
    assert_eq!(client.send("GET /ok HT").await.rest().await, "");
    server.heard.until(|heard| heard.errors == [ConnectionErrorKind::HeaderTimeout]).await;
}

#[tokio::test]
async fn a_header_byte_now_and_then_buys_no_time() {
    let server = Server::start(ConnectionOptions { header_timeout: SHORT, ..patient() });
    let (mut read, mut write) = server.client().await.0.into_split();
    let began = Instant::now();
    let dripping = tokio::spawn(async move {
        while write.write_all(b"G").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    });
    let mut text = Vec::new();
    timeout(PATIENCE, read.read_to_end(&mut text)).await.expect("still open").ok();
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    server.heard.until(|heard| heard.errors == [ConnectionErrorKind::HeaderTimeout]).await;
    dripping.await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_an_error() {
    let server = Server::start(ConnectionOptions { idle_timeout: SHORT, ..patient() });
    let mut client = server.client().await;
    client.get().await;
    client.get().await;
    let began = Instant::now();
    assert_eq!(client.rest().await, "");
    assert!(began.elapsed() >= SHORT / 2);
    let heard = server.heard.until(|heard| heard.closed == 1).await;
    assert_eq!(heard.errors, []);
}

#[tokio::test]
async fn an_idle_http2_connection_is_closed_without_an_error() {
    let server = Server::start(ConnectionOptions { idle_timeout: SHORT, ..patient() });
    let (mut sender, connection) = h2_client(&server).await;
    assert_eq!(h2_text(sender.send_request(h2_get("/ok")).await.unwrap()).await, "ok");
    timeout(PATIENCE, connection).await.expect("still open").unwrap().ok();
    assert_eq!(server.heard.until(|heard| heard.closed == 1).await.errors, []);
}

/// All timeouts short: none may touch a connection on which a handler works.
fn hasty() -> ConnectionOptions {
    let short = Duration::from_millis(50);
    ConnectionOptions { header_timeout: short, idle_timeout: short, write_timeout: short, ..patient() }
}

#[tokio::test]
async fn a_long_handler_and_a_slow_body_are_left_alone() {
    let server = Server::start(hasty());
    let mut client = server.client().await;
    client.send("GET /wait HTTP/1.1\r\nhost: test\r\n\r\n").await;
    server.heard.until(|heard| heard.waiting == 1).await;
    tokio::time::sleep(SHORT * 2).await;
    server.gate.notify_one();
    client.until("waited").await;

    let mut client = server.client().await;
    client.send("POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\n\r\nsl").await;
    server.heard.until(|heard| heard.waiting == 2).await;
    tokio::time::sleep(SHORT * 2).await;
    client.send("ow").await.until("slow").await;

    let mut client = server.client().await;
    client.send("GET /trickle HTTP/1.1\r\nhost: test\r\n\r\n").await;
    for piece in 1..=3 {
        server.heard.until(|heard| heard.waiting == 2 + piece).await;
        tokio::time::sleep(SHORT).await;
        server.gate.notify_one();
        client.until("piece").await;
    }
}

#[tokio::test]
async fn long_http2_streams_side_by_side_are_left_alone() {
    let server = Server::start(hasty());
    let (mut sender, _connection) = h2_client(&server).await;
    let (first, second) = (sender.send_request(h2_get("/wait")), sender.send_request(h2_get("/wait")));
    let third = sender.send_request(h2_get("/ok"));
    assert_eq!(h2_text(third.await.unwrap()).await, "ok");
    server.heard.until(|heard| heard.waiting == 2).await;
    tokio::time::sleep(SHORT * 2).await;
    server.gate.notify_one();
    server.gate.notify_one();
    assert_eq!(h2_text(first.await.unwrap()).await, "waited");
    assert_eq!(h2_text(second.await.unwrap()).await, "waited");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed() {
    let server = Server::start(ConnectionOptions { write_timeout: SHORT, ..patient() });
    let mut client = server.client().await;
    client.send("GET /large HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let heard = server.heard.until(|heard| heard.closed == 1).await;
    assert_eq!(heard.errors, [ConnectionErrorKind::WriteTimeout]);
}

#[tokio::test]
async fn a_client_that_reads_slowly_but_steadily_gets_everything() {
    let server = Server::start(ConnectionOptions { write_timeout: SHORT, idle_timeout: SHORT, ..patient() });
    let mut client = server.client().await;
    client.send("GET /large HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await;
    let (mut total, mut chunk) = (0, vec![0; 4 << 20]);
    loop {
        let count = timeout(PATIENCE, client.0.read(&mut chunk)).await.unwrap().unwrap();
        if count == 0 {
            break;
        }
        total += count;
        tokio::time::sleep(SHORT / 20).await;
    }
    assert!(total > 64 << 20, "{total}");
    assert_eq!(server.heard.until(|heard| heard.closed == 1).await.errors, []);
}

#[tokio::test]
async fn an_http2_client_with_shut_windows_is_closed() {
    let server = Server::start(ConnectionOptions { write_timeout: SHORT, ..patient() });
    let io = hyper_util::rt::TokioIo::new(server.client().await.0);
    let (mut sender, connection) =
        hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
            .initial_stream_window_size(0)
            .handshake::<_, http_body_util::Empty<bytes::Bytes>>(io)
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let response = sender.send_request(h2_get("/ok")).await.unwrap();
    assert!(timeout(PATIENCE, response.into_body().collect()).await.expect("still open").is_err());
    connection.await.unwrap().ok();
    server.heard.until(|heard| heard.errors == [ConnectionErrorKind::WriteTimeout]).await;
}
