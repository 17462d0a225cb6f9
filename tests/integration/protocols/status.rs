//! What a server and its models are, as clients of KServe v1, TensorFlow Serving, OpenAI, MLflow and SageMaker ask.

use serde_json::{Value, json};

use crate::harness::loading::while_loading;
use crate::harness::{Connection, Request, assert_problem, shared};

#[test]
fn a_list_serves_two_protocols() {
    let answer = shared().get("/v1/models").ok();
    let names: Vec<&Value> = answer["models"].as_array().unwrap().iter().collect();
    assert!(names.contains(&&json!("fraud-detector")) && names.contains(&&json!("add-one")));
    assert_eq!(answer["object"], "list");
    let cards = answer["data"].as_array().unwrap();
    assert_eq!(cards.iter().map(|card| &card["id"]).collect::<Vec<_>>(), names);
    for card in cards {
        assert_eq!((&card["object"], &card["owned_by"]), (&json!("model"), &json!("ml-inference-api")));
        assert!(card["created"].as_u64().unwrap() > 1_700_000_000, "{card}");
    }
}

#[test]
fn a_model_serves_three() {
    let answer = shared().get("/v1/models/versions").ok();
    assert_eq!((&answer["name"], &answer["ready"]), (&json!("versions"), &json!(true)));
    assert_eq!((&answer["id"], &answer["object"]), (&json!("versions"), &json!("model")));
    assert!(answer["created"].is_u64());
    let status = |version: &str| json!({"version": version, "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}});
    assert_eq!(answer["model_version_status"], json!([status("2"), status("9"), status("10")]));
    let one = shared().get("/v1/models/versions/versions/9").ok();
    assert_eq!(one["model_version_status"], json!([status("9")]));
    assert_problem(&shared().get("/v1/models/nobody"), 404, "model_not_found");
    assert_problem(&shared().get("/v1/models/versions/versions/3"), 404, "version_not_found");
    // What KServe v1 asks of a server that is live.
    assert_eq!(shared().get("/").ok()["status"], "alive");
}

#[test]
fn ping_has_no_body_and_version_is_text() {
    let answer = shared().get("/ping");
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(shared().call(&Request::new("HEAD", "/ping")).status, 200);
    let answer = shared().get("/version");
    assert_eq!((answer.status, answer.text().as_str()), (200, env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_loads_is_not_ready_by_any_of_them() {
    while_loading(|http| {
        let mut connection = Connection::open(http);
        for path in ["/ping", "/v1/models/slow", "/v1/models/slow/versions/1"] {
            assert_problem(&connection.call(&Request::get(path)), 503, "not_ready");
        }
        for path in ["/v1/models/slow:predict", "/invocations", "/v1/embeddings"] {
            assert_problem(&connection.call(&Request::json(path, &json!({}))), 503, "not_ready");
        }
    });
}
