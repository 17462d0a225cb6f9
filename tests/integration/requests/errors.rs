//! Every error code that a client can reach by itself, with the whole form of its body.

use serde_json::json;

use crate::harness::{Request, assert_problem, shared};

#[test]
fn unknown_routes() {
    let server = shared();
    for target in [
        "/nothing",
        "/predict/",
        "/predict/a/b",
        "/predict/a/versions",
        "/predict/a/versions/1/x",
        "/health/x",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = server.call(&Request::new(method, target).body(""));
            assert_problem(&answer, 404, "not_found");
        }
    }
    shared().adds_up();
}

#[test]
fn routes_of_the_admin_listener_are_not_on_the_public_one() {
    for target in [
        "/v2/repository/models/fraud-detector/load",
        "/v2/repository/models/fraud-detector/unload",
        "/admin/x",
        "/admin",
    ] {
        assert_problem(&shared().call(&Request::new("POST", target).body("")), 404, "not_found");
    }
    shared().adds_up();
}

#[test]
fn methods_that_a_route_does_not_know() {
    let server = shared();
    for (method, target, allowed) in [
        ("DELETE", "/predict", "POST"),
        ("PUT", "/predict/fraud-detector", "POST"),
        ("PATCH", "/predict/nobody", "POST"),
        ("POST", "/health", "GET"),
        ("POST", "/metrics", "GET"),
        ("BREW", "/predict", "POST"),
        ("OPTIONS", "/predict", "POST"),
    ] {
        let answer = server.call(&Request::new(method, target).body(""));
        assert_problem(&answer, 405, "method_not_allowed");
        let allow = answer.header("allow").unwrap_or_else(|| panic!("{method} {target}: no allow header"));
        assert!(allow.split(',').any(|method| method.trim() == allowed), "{method} {target}: {allow}");
    }
    shared().adds_up();
}

#[test]
fn unknown_models_and_versions() {
    let server = shared();
    let long = format!("/predict/{}", "m".repeat(4000));
    for target in [
        "/predict/nobody",
        "/predict/..",
        "/predict/%2e%2e%2fetc%2fpasswd",
        "/predict/a%00b",
        "/predict/a%20b",
        "/predict/..%5c",
        long.as_str(),
    ] {
        let answer = server.post(target, &json!({}));
        let body = assert_problem(&answer, 404, "model_not_found");
        assert!(!body["detail"].as_str().unwrap().contains("passwd"), "{body}");
        assert!(!body.to_string().contains("mmmmmmmm"), "{body}");
    }
    assert_problem(&server.post("/predict/nobody/versions/1", &json!({})), 404, "model_not_found");
    assert_problem(&server.post("/predict/fraud-detector/versions/7", &json!({})), 404, "version_not_found");
    shared().adds_up();
}

#[test]
fn bodies_that_are_no_json() {
    let server = shared();
    for body in [
        "",
        " ",
        "{",
        "[1,",
        "{\"x\":}",
        "nul",
        "{'x':1}",
        "{\"x\":[1,2,3]} x",
        "{\"x\":[1,2,3]}{}",
        "{\"x\":[1,2,3],}",
        "\u{feff}{\"x\":[1,2,3]}",
        "{\"x\":[01,2,3]}",
        "{\"x\":[NaN,2,3]}",
        "{\"x\":[.5,2,3]}",
        "{\"x\":[+1,2,3]}",
        "// c\n{\"x\":[1,2,3]}",
    ] {
        let answer = server.call(&Request::text("/predict/add-one", "application/json", body));
        assert_problem(&answer, 400, "invalid_json");
    }
    shared().adds_up();
}

#[test]
fn errors_repeat_no_value_of_the_request() {
    let server = shared();
    let secret = "4111-1111-1111-1111";
    for body in [
        json!({"x": [secret, 1, 2]}),
        json!({"x": secret}),
        json!({"instances": [{"x": [1, 2, 3]}, secret]}),
        json!({"instances": secret}),
        json!({"parameters": secret, "instances": [[1, 2, 3]]}),
    ] {
        let answer = server.post("/predict/add-one", &body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert!(!answer.text().contains("4111"), "{}", answer.text());
    }
    let broken = server.call(&Request::text("/predict/add-one", "application/json", "{\"x\": 4111-1}"));
    assert_eq!(broken.status, 400);
    assert!(!broken.text().contains("4111"), "{}", broken.text());
    shared().adds_up();
}

#[test]
fn nesting_beyond_the_limit() {
    let server = shared();
    for depth in [65, 128, 100_000] {
        let body = format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let answer = server.call(&Request::text("/predict/add-one", "application/json", &body));
        assert_eq!(answer.status, 400, "{depth}: {}", answer.text());
        let code = answer.json()["code"].as_str().unwrap().to_owned();
        assert_problem(&answer, 400, &code);
        let unknown = format!(
            "{{\"instances\":[{{\"zzz\":{}{}}}]}}",
            "{\"a\":".repeat(depth),
            "1".to_owned() + &"}".repeat(depth)
        );
        let answer = server.call(&Request::text("/predict/columns", "application/json", &unknown));
        assert_eq!(answer.status, 400, "{depth}: {}", answer.text());
    }
    assert_eq!(server.post("/predict/add-one", &json!([1, 2, 3])).status, 200);
    shared().adds_up();
}
