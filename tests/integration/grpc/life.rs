//! Before it is ready, while it drains, and clients that leave.

use http_body_util::BodyExt as _;

use super::with;
use crate::harness::grpc::{Client, INFER, framed, rows, slow};
use crate::harness::loading::while_loading;
use crate::harness::models::slow_manifest;
use crate::harness::{Connection, Repository, Request, Server, shared, wait};

#[test]
fn before_the_models_are_loaded_calls_are_refused() {
    while_loading(|http| {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let client = Client::open(http).await;
            client.call(INFER, &[], &slow(1)).await.refused(14, "not_ready");
            client.call(INFER, &[], &rows("nobody", &[1.0; 3])).await.refused(14, "not_ready");
        });
    });
}

/// Waits until a run goes on: what comes then waits behind it, and is not in its batch.
fn runs_one(server: &Server) {
    server.wait_for_metric("inference_workers", &[("state", "busy")], 1.0);
}

#[test]
fn what_is_in_flight_is_answered_when_the_process_stops() {
    let models = Repository::new().model("slow", "slow", &slow_manifest(64));
    let mut server = Server::builder().repository(models).start();
    with(&server, async |client| {
        // From now on it is known that this model takes long: no request is run where it is read.
        client.infer(&slow(200)).await;
        let call = || {
            let client = client.clone();
            tokio::spawn(async move { client.call(INFER, &[], &slow(1500)).await.status })
        };
        let mut in_flight = vec![call()];
        runs_one(&server);
        in_flight.extend((0..3).map(|_| call()));
        server.wait_for_metric("inference_queue_depth", &[("model", "slow")], 3.0);
        server.process.signal("TERM");
        for call in in_flight {
            assert_eq!(call.await.unwrap(), 0);
        }
    });
    assert_eq!(server.exit_code(wait::PATIENCE), Some(0));
}

#[test]
fn a_caller_that_leaves_counts_as_499_and_its_queued_work_is_dropped() {
    let models = Repository::new().model("slow", "slow", &slow_manifest(64));
    let server = Server::builder().repository(models).start();
    with(&server, async |client| {
        client.infer(&slow(200)).await;
        let call = || {
            let client = client.clone();
            tokio::spawn(async move {
                let body = http_body_util::Full::from(framed(&slow(3000))).boxed();
                client.send(INFER, &[], body).await.map(drop)
            })
        };
        let mut calls = vec![call()];
        runs_one(&server);
        calls.extend((0..4).map(|_| call()));
        server.wait_for_metric("inference_queue_depth", &[("model", "slow")], 4.0);
        // Dropped, each resets its stream; the connection stays.
        for call in calls {
            call.abort();
        }
        server.wait_for_metric("http_requests_total", &[("route", INFER), ("status", "499")], 5.0);
        server.wait_for_metric("inference_queue_depth", &[("model", "slow")], 0.0);
        server.wait_for_metric("inference_requests_total", &[("outcome", "cancelled")], 5.0);
        client.infer(&slow(1)).await;
    });
}

#[test]
fn the_grpc_port_takes_calls_alone() {
    let answer = Connection::open(shared().grpc).call(&Request::get("/health"));
    crate::harness::assert_problem(&answer, 415, "unsupported_media_type");
}
