//! HTTP/2 without TLS on the public port, as gRPC will use it: many requests on one connection.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::harness::ledger::Ledger;
use crate::harness::wait::PATIENCE;
use crate::harness::{Repository, Server, shared};

/// A connection, and where its requests are noted.
type Sender = (SendRequest<Full<Bytes>>, Arc<Ledger>);

async fn connect(server: &Server) -> Sender {
    let stream = TcpStream::connect(server.http).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    (sender, Ledger::of(server.http))
}

async fn post((mut sender, ledger): Sender, target: &str, body: Value) -> (u16, Value) {
    let request = hyper::Request::post(format!("http://localhost{target}"))
        .header("content-type", "application/json")
        .body(Full::from(body.to_string()))
        .unwrap();
    ledger.begin(1);
    let answer = sender.send_request(request).await.unwrap();
    assert!(answer.headers().contains_key("x-request-id"));
    ledger.answered();
    assert!(!answer.headers().contains_key("connection"), "HTTP/2 knows no such header");
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[test]
fn a_hundred_requests_on_one_connection() {
    Runtime::new().unwrap().block_on(async {
        let sender = connect(shared()).await;
        let requests: Vec<_> = (0..100)
            .map(|n| tokio::spawn(post(sender.clone(), "/predict/add-one", json!([n, 0, 0]))))
            .collect();
        for (n, request) in requests.into_iter().enumerate() {
            let (status, answer) = request.await.unwrap();
            assert_eq!(
                (status, answer["y"][0].as_f64()),
                (200, Some(f64::from(u32::try_from(n).unwrap()) + 1.0))
            );
        }
        let (status, problem) = post(sender, "/predict/nobody", json!({})).await;
        assert_eq!((status, &problem["code"]), (404, &json!("model_not_found")));
    });
    shared().adds_up();
}

#[test]
fn connections_are_told_to_go_away_at_the_end() {
    let mut server = Server::builder()
        .repository(Repository::new().fixture("add-one"))
        .env("ML_INFERENCE_DRAIN__DELAY", "600s")
        .start();
    Runtime::new().unwrap().block_on(async {
        let mut sender = connect(&server).await;
        assert_eq!(post(sender.clone(), "/predict/add-one", json!([1, 2, 3])).await.0, 200);
        server.process.signal("TERM");
        // The client's side ends by itself once GOAWAY has come.
        let closed = tokio::time::timeout(PATIENCE, async {
            while sender.0.ready().await.is_ok() {
                tokio::task::yield_now().await;
            }
        });
        closed.await.expect("GOAWAY while the delay still runs");
    });
    server.process.signal("TERM");
    server.exit_code(Duration::from_secs(20));
}
