//! `POST /v2/repository/index`.

use serde_json::{Value, json};

use crate::harness::problem::assert_problem_at;
use crate::harness::{Connection, Repository, Request, Server, assert_problem, shared};

const INDEX: &str = "/v2/repository/index";

#[track_caller]
fn index(request: &Request) -> Value {
    shared().call(request).ok()
}

#[test]
fn the_index_has_every_version_of_every_model() {
    let all = index(&Request::new("POST", INDEX).body(""));
    let entries = all.as_array().unwrap();
    let mut versions = Vec::new();
    for entry in entries {
        let keys: Vec<&String> = entry.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 4, "{keys:?}");
        assert_eq!((&entry["state"], &entry["reason"]), (&json!("READY"), &json!("")), "{entry}");
        if entry["name"] == "versions" {
            versions.push(entry["version"].as_str().unwrap());
        }
    }
    assert_eq!(versions, ["2", "9", "10"]);
    assert!(entries.iter().any(|entry| entry["name"] == "fraud-detector"), "{all}");
    for body in ["{}", r#"{"ready":false}"#, r#" {"ready": true} "#, "\n"] {
        assert_eq!(index(&Request::text(INDEX, "text/plain", body)), all, "{body:?}");
    }
    assert_eq!(index(&Request::new("POST", INDEX)), all, "no body at all");
}

#[test]
fn a_body_in_chunks_is_read() {
    let mut connection = Connection::open(shared().http);
    connection.write(&Request::json(INDEX, &json!({"ready": true})).chunked(3));
    assert!(connection.read().ok().as_array().is_some_and(|entries| !entries.is_empty()));
}

#[test]
fn any_other_body_is_refused_at_its_place() {
    let send = |body: &str| shared().call(&Request::new("POST", INDEX).body(body));
    for body in ["{", "nonsense", "{} {}", "\u{0}"] {
        assert_problem(&send(body), 400, "invalid_json");
    }
    for (body, came) in [("[]", "an array"), ("true", "a boolean"), ("null", "null"), ("\"x\"", "a string")] {
        let problem = assert_problem(&send(body), 400, "invalid_input");
        assert!(problem["detail"].as_str().unwrap().ends_with(came), "{problem}");
    }
    for (body, came) in [
        ("1", "a number"),
        ("\"secret\"", "a string"),
        ("null", "null"),
        ("[true]", "an array"),
        ("{}", "an object"),
    ] {
        let problem =
            assert_problem_at(&send(&format!("{{\"ready\":{body}}}")), 400, "invalid_input", "/ready");
        assert_eq!(problem["detail"], format!("expected a boolean, got {came}"));
    }
    assert_problem_at(&send(r#"{"ready":true,"ready":true}"#), 400, "invalid_input", "/ready");
    assert_problem_at(&send(r#"{"ready":true,"a/b":1}"#), 400, "unknown_input", "/a~1b");
    let deep = format!(r#"{{"ready":{}"#, "[".repeat(100_000));
    assert_problem(&send(&deep), 400, "invalid_json");
}

#[test]
fn bodies_keep_their_bounds() {
    let server = Server::builder()
        .repository(Repository::new().fixture("add-one"))
        .env("ML_INFERENCE_LIMITS__MAX_BODY_BYTES", "64B")
        .start();
    let long = Request::new("POST", INDEX).body(" ".repeat(65));
    assert_problem(&server.call(&long), 413, "payload_too_large");
    let mut connection = Connection::open(server.http);
    connection.write(&long.chunked(65));
    assert_problem(&connection.read(), 413, "payload_too_large");
    let packed = Request::new("POST", INDEX).header("content-encoding", "br").body("{}");
    assert_problem(&server.call(&packed), 415, "unsupported_media_type");
    assert_eq!(server.call(&Request::new("POST", INDEX).body(" ".repeat(64))).status, 200);
}
