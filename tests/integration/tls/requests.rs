//! What is served over TLS is what is served without.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use super::client::{Http1, Stream, VERSIONS, begin, config, connect, open, post_h2};
use super::pki::{ENDS, Pki};
use crate::harness::collector::Collector;
use crate::harness::wait::{self, PATIENCE};
use crate::harness::{Request, models};

const ADD_ONE: &str = "/predict/add-one";

fn runtime() -> Runtime {
    Runtime::new().unwrap()
}

/// Sends a request and returns everything that comes up to an end that must have been told.
async fn to_the_end(mut stream: Stream, request: &Request) -> String {
    let ledger = begin(&stream);
    stream.write_all(&request.bytes()).await.unwrap();
    let mut text = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut text)).await.unwrap().unwrap();
    ledger.answered();
    text
}

#[test]
fn http1_and_http2_are_agreed_on_by_either_version_of_tls() {
    let pki = Pki::new();
    let server = pki.on(super::builder()).start();
    let (body, expected) = (json!([1, 2, 3]), json!([2.0, 3.0, 4.0]));
    runtime().block_on(async {
        for version in VERSIONS {
            for protocol in ["", "http/1.1", "h2"] {
                let mut config = config(&pki, version, None);
                config.alpn_protocols =
                    [protocol].into_iter().filter(|name| !name.is_empty()).map(Into::into).collect();
                let stream = connect(server.http, config).await.unwrap();
                let agreed = stream.get_ref().1.alpn_protocol().unwrap_or_default();
                assert_eq!(agreed, protocol.as_bytes(), "{version:?}");
                let answer = if protocol == "h2" {
                    post_h2(stream, ADD_ONE, &body).await
                } else {
                    Http1::new(stream).await.post(ADD_ONE, &body).await.unwrap()
                };
                assert_eq!(answer["y"], expected, "{version:?} {protocol}");
            }
            let mut config = config(&pki, version, None);
            config.alpn_protocols = vec![b"spdy/1".to_vec()];
            connect(server.http, config).await.unwrap_err();
        }
    });
    server.wait_for_metric("http_connection_errors_total", &[("kind", "tls")], 2.0);
    assert_eq!(server.metrics().sum("http_connection_errors_total", &[]).to_string(), "2");
}

#[test]
fn a_body_and_an_answer_of_many_records_are_whole() {
    let pki = Pki::new();
    let server = pki.on(super::builder()).env("ML_INFERENCE_LIMITS__MAX_INSTANCES", "100000").start();
    let instances: Vec<_> = (0..50_000).map(|n| json!([n, 0, 0])).collect();
    runtime().block_on(async {
        let mut http = Http1::new(open(&pki, server.http).await).await;
        let answer = http.post(ADD_ONE, &json!({ "instances": instances })).await.unwrap();
        let predictions = answer["predictions"].as_array().unwrap();
        assert_eq!(predictions.len(), instances.len());
        assert_eq!(predictions[49_999]["y"], json!([50_000.0, 1.0, 1.0]));
    });
}

#[test]
fn a_client_that_leaves_frees_its_work() {
    let pki = Pki::new();
    let server = pki.on(super::builder()).start();
    runtime().block_on(async {
        let mut stream = open(&pki, server.http).await;
        begin(&stream);
        stream
            .write_all(&Request::json("/predict/slow", &models::slow_for(20_000, 1.0)).bytes())
            .await
            .unwrap();
        server.wait_for_metric("inference_workers", &[("state", "busy")], 1.0);
        drop(stream);
    });
    server.wait_for_metric("http_requests_total", &[("status", "499")], 1.0);
}

#[test]
fn spans_say_https() {
    let (pki, collector) = (Pki::new(), Collector::start());
    let server = collector.by_grpc(pki.on(super::builder())).start();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    runtime().block_on(async {
        let request = Request::json(ADD_ONE, &json!([1, 2, 3])).header("connection", "close");
        let request = request.header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
        let answer = to_the_end(open(&pki, server.http).await, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    });
    let scheme = wait::until("the server's span", PATIENCE, || {
        collector.spans().iter().find_map(|span| span.attributes.get("url.scheme").cloned())
    });
    assert_eq!(scheme, json!("https"));
}

#[test]
fn what_is_in_flight_is_answered_before_the_exit() {
    let pki = Pki::new();
    let mut server = pki.on(super::builder()).start();
    runtime().block_on(async {
        let (mut idle, busy) = (open(&pki, server.http).await, open(&pki, server.http).await);
        let request = Request::json("/predict/slow", &models::slow_for(500, 7.0));
        let answer = tokio::spawn(async move { to_the_end(busy, &request).await });
        server.wait_for_metric("inference_workers", &[("state", "busy")], 1.0);
        server.process.signal("TERM");
        let answer = answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("7.0"), "{answer}");
        // An idle one is told of the end too.
        assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    });
    assert_eq!(server.exit_code(PATIENCE), Some(0));
}

#[test]
fn the_admin_listener_stays_plain_and_tells_of_the_certificate() {
    let pki = Pki::new();
    let server = pki.on(super::builder()).start();
    server.wait_for_metric("tls_cert_expiry_timestamp_seconds", &[("listener", "http")], ENDS.as_secs_f64());
    // Nor does it matter that files have gone since the server read them.
    server.expects_strangers();
    let health = crate::harness::command::run(["health"])
        .env("ML_INFERENCE_TLS__CERT_FILE", pki.path("gone.pem"))
        .env("ML_INFERENCE_TLS__KEY_FILE", pki.path("gone.pem"))
        .env("ML_INFERENCE_HTTP__ADDR", server.http.to_string())
        .env("ML_INFERENCE_ADMIN__ADDR", server.admin.to_string());
    health.finish().exits(0);
}
