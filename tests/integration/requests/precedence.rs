//! When a request is wrong in two ways, the contract says which error it gets.

use serde_json::json;

use crate::harness::{Repository, Request, Server, assert_problem, shared};

#[test]
fn an_unknown_route_wins_over_everything() {
    let request = Request::text("/nothing", "text/plain", "x").header("content-encoding", "gzip");
    assert_problem(&shared().call(&request), 404, "not_found");
    shared().adds_up();
}

#[test]
fn a_wrong_method_wins_over_an_unknown_model_and_a_bad_body() {
    let request = Request::new("DELETE", "/predict/nobody").header("content-type", "text/plain").body("x");
    assert_problem(&shared().call(&request), 405, "method_not_allowed");
    shared().adds_up();
}

#[test]
fn an_unknown_model_wins_over_size_type_and_body() {
    let server = Server::builder()
        .repository(Repository::new().fixture("add-one"))
        .env("ML_INFERENCE_LIMITS__MAX_BODY_BYTES", "64B")
        .start();
    let large = "x".repeat(100);
    let request = Request::text("/predict/nobody", "text/plain", &large);
    assert_problem(&server.call(&request), 404, "model_not_found");
    let request = Request::text("/predict/add-one/versions/9", "text/plain", &large);
    assert_problem(&server.call(&request), 404, "version_not_found");
    let request = Request::text("/predict/add-one", "text/plain", &large);
    assert_problem(&server.call(&request), 413, "payload_too_large");
    let request = Request::text("/predict/add-one", "text/plain", "x");
    assert_problem(&server.call(&request), 415, "unsupported_media_type");
}

#[test]
fn a_bad_body_wins_over_a_deadline_of_zero() {
    let request =
        Request::json("/predict/add-one", &json!({"x": ["wrong", 0, 0]})).header("x-request-timeout-ms", "0");
    assert_problem(&shared().call(&request), 400, "invalid_input");
    shared().adds_up();
}
