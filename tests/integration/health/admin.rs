//! The admin listener: health and metrics for anyone who reaches it.

use serde_json::json;

use crate::harness::{Connection, Request, assert_problem, shared};

#[test]
fn health_and_metrics_are_there() {
    let mut connection = Connection::open(shared().admin);
    for target in ["/health", "/health/ready", "/health/live", "/health/startup", "/metrics"] {
        let answer = connection.call(&Request::get(target));
        assert_eq!(answer.status, 200, "{target}");
        assert!(answer.header("x-request-id").is_some(), "{target}");
    }
    assert!(shared().get("/metrics").text().contains("http_requests_total"), "on the public listener too");
}

#[test]
fn predictions_are_not() {
    let mut connection = Connection::open(shared().admin);
    let answer = connection.call(&Request::json("/predict/add-one", &json!([1, 2, 3])));
    assert_problem(&answer, 404, "not_found");
    assert_problem(&connection.call(&Request::get("/nothing")), 404, "not_found");
}
