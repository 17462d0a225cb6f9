//! Bounds: of a message, of all that is held, of time, of what a stream may take.

use http_body_util::BodyExt as _;
use ml_inference_api::grpc::proto::inference::ModelInferRequest;

use super::with;
use crate::harness::grpc::{Client, INFER, Pieces, framed, framed_bytes, rows};
use crate::harness::server::Builder;
use crate::harness::{Repository, Server};

fn server(change: impl FnOnce(Builder) -> Builder) -> Server {
    change(Server::builder().repository(Repository::new().fixture("add-one"))).start()
}

#[test]
fn a_message_beyond_the_limit_is_refused_by_its_length() {
    let server = server(|builder| builder.env("ML_INFERENCE_LIMITS__MAX_BODY_BYTES", "10000B"));
    with(&server, async |client| {
        client.infer(&rows("add-one", &[0.0; 3 * 600])).await;
        client.call(INFER, &[], &rows("add-one", &[0.0; 3 * 900])).await.refused(8, "payload_too_large");
        // Announced, and never sent.
        let endless = [vec![0, 0xff, 0xff, 0xff, 0xff], vec![7; 100]].concat();
        client.raw(INFER, &[], endless).await.refused(8, "payload_too_large");
        // Many messages where one is due: none is held beside the first.
        client.infer(&rows("add-one", &[0.0; 3])).await;
    });
    let metrics = server.metrics();
    let refused = [("route", INFER), ("status", "413")];
    assert!((metrics.sum("http_requests_total", &refused) - 2.0).abs() < 0.1);
}

#[test]
fn bombs_end_at_the_limit() {
    use std::io::Write as _;
    let server = server(|builder| builder.env("ML_INFERENCE_LIMITS__MAX_BODY_BYTES", "1MiB"));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        gzip.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = gzip.finish().unwrap();
    // An input of two bytes becomes a structure of hundreds.
    let empties = [0x2a, 0x00].repeat(200_000);
    with(&server, async |client| {
        let before = server.peak_memory();
        for _ in 0..4 {
            client
                .raw(INFER, &[("grpc-encoding", "gzip")], framed_bytes(1, &bomb))
                .await
                .refused(8, "payload_too_large");
            client.raw(INFER, &[], framed_bytes(0, &empties)).await.refused(8, "payload_too_large");
        }
        let grown = server.peak_memory() - before;
        assert!(grown < 32 << 20, "{grown} bytes");
    });
}

#[test]
fn what_is_held_is_bounded_over_all_calls_and_given_back() {
    let server = server(|builder| {
        builder
            .env("ML_INFERENCE_LIMITS__MAX_BODY_BYTES", "60000B")
            .env("ML_INFERENCE_LIMITS__MAX_INFLIGHT_BYTES", "100000B")
    });
    with(&server, async |client| {
        // One message of 50 000 bytes of which all but one have come.
        let message = framed(&ModelInferRequest { id: "x".repeat(50_000), ..ModelInferRequest::default() });
        let held = || {
            let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
            sender.send(message[..message.len() - 1].to_vec()).unwrap();
            let client = client.clone();
            let held = async move { client.send(INFER, &[], Pieces(receiver).boxed()).await };
            (sender, tokio::spawn(held))
        };
        let (mut sender, mut held_call) = held();
        // Beside it another of 50 000 does not fit. It may take a moment until the first has come, and one that comes
        // while the other is there is refused itself.
        let another = framed(&ModelInferRequest { id: "y".repeat(50_000), ..ModelInferRequest::default() });
        loop {
            let ended = client.raw(INFER, &[], another.clone()).await;
            if ended.status == 14 {
                ended.refused(14, "overloaded");
                break;
            }
            ended.refused(3, "missing_input");
            if held_call.is_finished() {
                (sender, held_call) = held();
            }
        }
        sender.send(message[message.len() - 1..].to_vec()).unwrap();
        drop(sender);
        held_call.await.unwrap().unwrap();
        client.infer(&rows("add-one", &[0.0; 3 * 900])).await;
    });
}

#[test]
fn a_message_that_does_not_come_whole_is_refused_in_time() {
    let server = server(|builder| builder.env("ML_INFERENCE_HTTP__BODY_TIMEOUT", "300ms"));
    with(&server, async |client: Client| {
        let message = framed(&rows("add-one", &[0.0; 3]));
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        sender.send(message[..10].to_vec()).unwrap();
        let response = client.send(INFER, &[], Pieces(receiver).boxed()).await.unwrap();
        let ended = crate::harness::grpc::Ended::of(response).await;
        // Nothing says that a client may not try again.
        assert_eq!(ended.status, 4, "{ended:?}");
        assert!(ended.message.contains("within 0.3 s"), "{}", ended.message);
        drop(sender);
    });
}
