//! `x-request-timeout-ms` and the configured limit.

use serde_json::json;

use crate::harness::{Repository, Request, Server, assert_problem, models, shared};

fn row() -> Request {
    Request::json("/predict/add-one", &json!({"x": [1, 2, 3]}))
}

#[test]
fn zero_is_a_deadline_that_has_passed_once_the_request_is_valid() {
    assert_problem(&shared().call(&row().header("x-request-timeout-ms", "0")), 504, "deadline_exceeded");
    shared().adds_up();
}

#[test]
fn what_is_no_whole_number_is_refused() {
    for value in ["-1", "1.5", "soon", "", "1e3", "0x10", "1s"] {
        let answer = shared().call(&row().header("x-request-timeout-ms", value));
        assert_eq!(answer.status, 400, "{value:?}");
        assert_problem(&answer, 400, "invalid_input");
    }
    for value in ["20000", "99999999999999999999999999"] {
        assert_eq!(shared().call(&row().header("x-request-timeout-ms", value)).status, 200, "{value}");
    }
    shared().adds_up();
}

#[test]
fn a_run_that_takes_longer_than_the_deadline_is_dropped() {
    let server = Server::builder()
        .repository(Repository::new().model("slow", "slow", &models::slow_manifest(10)))
        .start();
    let long = Request::json("/predict/slow", &models::slow_for(30_000, 1.0));
    assert_problem(&server.call(&long.header("x-request-timeout-ms", "200")), 504, "deadline_exceeded");
    // The run was ended, so the next one need not wait for it.
    server.post("/predict/slow", &models::slow_for(1, 2.0)).ok();
    server.wait_for_metric("inference_requests_total", &[("outcome", "timeout")], 1.0);
}

#[test]
fn a_client_cannot_ask_for_more_than_is_configured() {
    let server = Server::builder()
        .repository(Repository::new().model("slow", "slow", &models::slow_manifest(10)))
        .env("ML_INFERENCE_LIMITS__REQUEST_TIMEOUT", "200ms")
        .start();
    let long = Request::json("/predict/slow", &models::slow_for(30_000, 1.0));
    for request in [long.clone(), long.header("x-request-timeout-ms", "60000")] {
        assert_problem(&server.call(&request), 504, "deadline_exceeded");
    }
}
