//! `ModelStreamInfer` in Triton's form.

use hyper::HeaderMap;
use hyper::body::Incoming;
use ml_inference_api::grpc::proto::inference::infer_parameter::ParameterChoice;
use ml_inference_api::grpc::proto::inference::{ModelInferRequest, ModelStreamInferResponse};
use prost::Message as _;

use super::with;
use crate::harness::grpc::{framed, framed_bytes, next, rows, slow};
use crate::harness::models::slow_manifest;
use crate::harness::{Repository, Server, shared};

const STREAM: &str = "/inference.GRPCInferenceService/ModelStreamInfer";

/// The answers of a stream, one by one.
struct Answers {
    body: Incoming,
    buffer: Vec<u8>,
    trailers: HeaderMap,
}

impl Answers {
    fn of(response: hyper::Response<Incoming>) -> Self {
        assert!(response.headers().contains_key("traceresponse"));
        Self { body: response.into_body(), buffer: Vec::new(), trailers: HeaderMap::new() }
    }

    async fn next(&mut self) -> Option<ModelStreamInferResponse> {
        let message = next(&mut self.body, &mut self.buffer, &mut self.trailers).await?;
        Some(ModelStreamInferResponse::decode(message).unwrap())
    }

    async fn status(mut self) -> String {
        assert_eq!(self.next().await, None);
        self.trailers["grpc-status"].to_str().unwrap().to_owned()
    }
}

fn called(id: &str, request: ModelInferRequest) -> Vec<u8> {
    framed(&ModelInferRequest { id: id.to_owned(), ..request })
}

#[test]
fn answers_come_in_the_order_of_their_requests_and_errors_end_no_stream() {
    with(shared(), async |client| {
        let (sender, response) = client.stream(STREAM, &[]).await;
        let mut answers = Answers::of(response);
        // The slow one first; one frame with two messages, one message in three pieces.
        sender.send([called("a", slow(100)), called("b", rows("add-one", &[1.0; 3]))].concat()).unwrap();
        sender.send(called("c", rows("nobody", &[1.0; 3]))).unwrap();
        let last = called("d", rows("add-one", &[4.0; 3]));
        for piece in [&last[..3], &last[3..20], &last[20..]] {
            sender.send(piece.to_vec()).unwrap();
        }
        for id in ["a", "b"] {
            let answer = answers.next().await.unwrap();
            assert_eq!((&*answer.error_message, &*answer.infer_response.unwrap().id), ("", id));
        }
        let failed = answers.next().await.unwrap();
        assert!(failed.error_message.contains("no model has this name"), "{failed:?}");
        let response = failed.infer_response.unwrap();
        assert_eq!(response.id, "c");
        let code = response.parameters["error_code"].parameter_choice.clone();
        assert_eq!(code, Some(ParameterChoice::StringParam("model_not_found".into())));
        let good = answers.next().await.unwrap().infer_response.unwrap();
        assert_eq!((&*good.id, good.raw_output_contents[0].len()), ("d", 12));
        drop(sender);
        assert_eq!(answers.status().await, "0");
    });
}

#[test]
fn a_broken_message_ends_the_stream_behind_the_answers_before_it() {
    with(shared(), async |client| {
        let (sender, response) = client.stream(STREAM, &[]).await;
        sender.send(called("a", rows("add-one", &[1.0; 3]))).unwrap();
        sender.send(framed_bytes(9, b"")).unwrap();
        let mut answers = Answers::of(response);
        assert_eq!(answers.next().await.unwrap().infer_response.unwrap().id, "a");
        assert_eq!(answers.status().await, "3");
    });
}

#[test]
fn a_deadline_is_the_whole_streams() {
    with(shared(), async |client| {
        let (sender, response) = client.stream(STREAM, &[("grpc-timeout", "300m")]).await;
        sender.send(called("a", slow(60_000))).unwrap();
        let mut answers = Answers::of(response);
        assert!(answers.next().await.unwrap().error_message.contains("deadline"));
        assert_eq!(answers.status().await, "4");
        drop(sender);
    });
}

#[test]
fn a_client_that_leaves_takes_its_queued_work_along() {
    let models = Repository::new().model("slow", "slow", &slow_manifest(64)).fixture("add-one");
    let server = Server::builder().repository(models).start();
    with(&server, async |client| {
        let (sender, response) = client.stream(STREAM, &[]).await;
        sender.send(called("a", slow(3000))).unwrap();
        server.wait_for_metric("inference_workers", &[("state", "busy")], 1.0);
        for _ in 0..9 {
            sender.send(called("a", slow(3000))).unwrap();
        }
        server.wait_for_metric("inference_queue_depth", &[("model", "slow")], 9.0);
        drop((sender, response));
        server.wait_for_metric("inference_queue_depth", &[("model", "slow")], 0.0);
        server.wait_for_metric("inference_requests_total", &[("outcome", "cancelled")], 10.0);
    });
    server.wait_for_no_request_in_flight();
}

#[test]
fn who_reads_no_answers_is_read_from_no_more() {
    // Room for all that may be on the way: 16 messages of 1024 rows, and one more.
    let models = Repository::new().model("add-one", "add-one", "[queue]\nmax_size = 100000\n");
    let server = Server::builder().repository(models).start();
    with(&server, async |client| {
        let (sender, response) = client.stream(STREAM, &[]).await;
        // Answers of 12 KiB each, of which nobody takes any: the windows of the connection are full soon.
        let message = called("a", rows("add-one", &[1.0; 3 * 1024]));
        for _ in 0..4000 {
            sender.send(message.clone()).unwrap();
        }
        let before = server.peak_memory();
        client.infer(&rows("add-one", &[1.0; 3])).await;
        let done = || server.metrics().sum("inference_requests_total", &[("outcome", "ok")]);
        let mut last = done();
        let mut still = 0;
        while still < 5 {
            tokio::task::yield_now().await;
            let now = done();
            still = if (now - last).abs() < 0.5 { still + 1 } else { 0 };
            last = now;
        }
        assert!(last < 1000.0, "{last} were answered for nobody");
        // Its unread messages leave room in the connection's window.
        for _ in 0..20 {
            client.infer(&rows("add-one", &[1.0; 3])).await;
        }
        let grown = server.peak_memory() - before;
        assert!(grown < 64 << 20, "{grown} bytes");
        drop((sender, response));
    });
    server.wait_for_no_request_in_flight();
}
