//! What is spoken on a connection, and what a client that leaves sets off.

use super::*;

const WAIT: &str = "GET /wait HTTP/1.1\r\nhost: test\r\n\r\n";

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(patient());
    let mut client = server.client().await;
    let all: Vec<_> = (0..100).map(|n| format!("GET /n{n}. HTTP/1.1\r\nhost: test\r\n\r\n")).collect();
    let text = client.send(&all.concat()).await.until("/n99.").await;
    let answers: Vec<_> =
        text.split("\r\n\r\n").skip(1).map(|part| part.split('.').next().unwrap()).collect();
    let expected: Vec<_> = (0..100).map(|n| format!("/n{n}")).collect();
    assert_eq!(answers, expected);
    assert_eq!(server.heard.so_far().opened, 1);
}

#[tokio::test]
async fn requests_know_their_connection_and_their_start() {
    let server = Server::start(patient());
    let mut client = server.client().await;
    let before = Instant::now();
    client.send("GET /ok HT").await;
    tokio::time::sleep(SHORT).await;
    client.send("TP/1.1\r\nhost: test\r\n\r\n").await.until("ok").await;
    let began = Instant::now();
    client.get().await;
    let (sender, starts) = (client.0.local_addr().unwrap(), server.starts.lock().unwrap().clone());
    assert!(starts[0].0 >= before && starts[0].0 < before + SHORT / 2, "{:?}", starts[0].0 - before);
    assert!(starts[1].0 >= began);
    assert_eq!(starts[0].1, ConnectionInfo { peer: sender, local: server.addr, is_tls: false });
}

#[tokio::test]
async fn a_pipelined_request_began_when_its_bytes_came() {
    let server = Server::start(patient());
    let mut client = server.client().await;
    client.send(WAIT).await;
    server.heard.until(|heard| heard.waiting == 1).await;
    client.send(GET).await;
    tokio::time::sleep(SHORT).await;
    let opened = Instant::now();
    server.gate.notify_one();
    client.until("\r\n\r\nok").await;
    assert!(server.starts.lock().unwrap()[1].0 < opened);
}

#[tokio::test]
async fn http2_is_spoken_by_prior_knowledge() {
    let server = Server::start(patient());
    let (mut sender, _connection) = h2_client(&server).await;
    let response = sender.send_request(h2_get("/ok")).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(h2_text(response).await, "ok");
}

#[tokio::test]
async fn a_huge_header_is_431_and_garbage_400() {
    for (request, status) in [
        (format!("GET /ok HTTP/1.1\r\nhost: test\r\nx: {}\r\n\r\n", "x".repeat(300_000)), "431"),
        ("\u{16}\u{3}\u{1} no http\r\n\r\n".to_owned(), "400"),
    ] {
        let server = Server::start(patient());
        let (mut read, mut write) = server.client().await.0.into_split();
        let sending = tokio::spawn(async move { write.write_all(request.as_bytes()).await });
        let mut text = String::new();
        timeout(PATIENCE, read.read_to_string(&mut text)).await.expect("still open").unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
        sending.await.unwrap().ok();
        drop(read);
        let heard = server.heard.until(|heard| heard.closed == 1).await;
        assert_eq!(heard.errors, [ConnectionErrorKind::Protocol]);
    }
}

#[tokio::test]
async fn a_header_below_the_limit_passes() {
    let server = Server::start(patient());
    let mut client = server.client().await;
    let header = format!("GET /ok HTTP/1.1\r\nhost: test\r\nx: {}\r\n\r\n", "x".repeat(60_000));
    client.send(&header).await.until("\r\n\r\nok").await;
}

#[tokio::test]
async fn a_client_that_half_closes_gets_its_answer() {
    let server = Server::start(patient());
    for (path, answer) in [("wait", "\r\n\r\nwaited"), ("ok", "\r\n\r\nok")] {
        let mut client = server.client().await;
        client.send(&format!("GET /{path} HTTP/1.1\r\nhost: test\r\n\r\n")).await;
        client.0.shutdown().await.unwrap();
        if path == "wait" {
            server.heard.until(|heard| heard.waiting == 1).await;
            tokio::time::sleep(SHORT).await;
            server.gate.notify_one();
        }
        let text = client.rest().await;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains(answer), "{text}");
    }
}

#[tokio::test]
async fn a_client_that_half_closes_behind_two_requests_gets_both_answers() {
    let server = Server::start(patient());
    let mut client = server.client().await;
    client.send(WAIT).await.send(WAIT).await;
    client.0.shutdown().await.unwrap();
    for turn in 1..=2 {
        server.heard.until(|heard| heard.waiting == turn).await;
        tokio::time::sleep(SHORT / 4).await;
        server.gate.notify_one();
    }
    let text = client.rest().await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{text}");
    assert_eq!(text.matches("\r\n\r\nwaited").count(), 2, "{text}");
}

#[tokio::test]
async fn a_client_that_leaves_drops_its_handler() {
    let server = Server::start(patient());
    // The byte behind the request hides the end from the HTTP library.
    for (turn, behind) in ["", "G", GET].into_iter().enumerate() {
        let mut client = server.client().await;
        client.send(WAIT).await;
        server.heard.until(|heard| heard.waiting == turn + 1).await;
        client.send(behind).await;
        drop(client);
        let began = Instant::now();
        server.heard.until(|heard| heard.dropped == turn + 1 && heard.closed == turn + 1).await;
        assert!(began.elapsed() < PATIENCE / 4, "{:?}", began.elapsed());
    }
    assert_eq!(server.heard.so_far().errors, []);
}

#[tokio::test]
async fn a_client_that_leaves_behind_its_whole_body_drops_its_handler() {
    const HEAD: &str = "POST /wait HTTP/1.1\r\nhost: test\r\n";
    let server = Server::start(patient());
    // In one piece with the header, in pieces, and in a form that tells its end only there.
    let requests = [
        ["content-length: 2\r\n\r\nab", "", ""],
        ["content-length: 2\r\n\r\n", "a", "b"],
        ["transfer-encoding: chunked\r\n\r\n", "2\r\nab\r\n", "0\r\n\r\n"],
    ];
    for (turn, pieces) in requests.into_iter().enumerate() {
        let mut client = server.client().await;
        client.send(HEAD).await;
        for piece in pieces {
            client.send(piece).await;
        }
        server.heard.until(|heard| heard.waiting == turn + 1).await;
        drop(client);
        server.heard.until(|heard| heard.dropped == turn + 1 && heard.closed == turn + 1).await;
    }
    assert_eq!(server.heard.so_far().errors, []);
}

#[tokio::test]
async fn an_http2_client_that_leaves_drops_its_handlers() {
    let server = Server::start(patient());
    let mut client = Frames::open(&server).await;
    client.get(1, "/wait").await;
    client.get(3, "/wait").await;
    server.heard.until(|heard| heard.waiting == 2).await;
    drop(client);
    server.heard.until(|heard| heard.dropped == 2 && heard.closed == 1).await;
    assert_eq!(server.heard.so_far().errors, []);
}

#[tokio::test]
async fn a_flood_of_resets_is_closed_and_told() {
    let server = Server::start(patient());
    let mut client = Frames::open(&server).await;
    let mut frames = Vec::new();
    for stream in (1..4000_u32).step_by(2) {
        frames.extend(Frames::request(stream, "/wait"));
        // RST_STREAM: CANCEL.
        frames.extend([0, 0, 4, 3, 0]);
        frames.extend(stream.to_be_bytes());
        frames.extend([0, 0, 0, 8]);
    }
    client.0.write_all(&frames).await.ok();
    let heard = server.heard.until(|heard| !heard.errors.is_empty()).await;
    assert_eq!(heard.errors, [ConnectionErrorKind::ResetFlood]);
}

#[tokio::test]
async fn a_panic_ends_its_connection_only() {
    let server = Server::start(patient());
    let mut client = server.client().await;
    assert_eq!(client.send("GET /panic HTTP/1.1\r\nhost: test\r\n\r\n").await.rest().await, "");
    server.heard.until(|heard| heard.closed == 1).await;
    server.client().await.get().await;
}
