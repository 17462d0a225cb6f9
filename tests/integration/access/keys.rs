//! Who is let in, to what, and which error wins.

use serde_json::json;

use super::{KeysFile, bearer, builder, make, row, with_keys};
use crate::harness::{Connection, Request, assert_problem};

/// Routes that need no key, as the index lists them.
const OPEN: [&str; 11] = [
    "GET /",
    "GET /health",
    "GET /health/ready",
    "GET /health/live",
    "GET /health/startup",
    "GET /metrics",
    "GET /docs",
    "GET /docs/page.css",
    "GET /docs/page.js",
    "GET /ping",
    "GET /version",
];

#[test]
fn only_a_known_key_in_force_gets_a_prediction() {
    let web = make("web", "predict", &[]);
    let old = make("old", "predict", &["--expires", "2020-01-01"]);
    let file = KeysFile::new(&[&old, &web]);
    let server = with_keys(file.path()).start();
    // One connection: a refusal leaves it in order.
    let mut connection = Connection::open(server.http);
    let long = format!("Bearer {}", "x".repeat(10 << 10));
    let swapped = format!("Bearer {}", web.key.to_uppercase());
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        &long,
        &swapped,
        &format!("Bearer {}", old.key),
        &format!("Bearer {}x", web.key),
        &format!("Bearer {0} {0}", web.key),
        &format!("Basic {}", web.key),
        &web.key,
        "Bearer \u{e9}",
    ] {
        let answer = connection.call(&row().header("authorization", value));
        assert_problem(&answer, 401, "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{value}");
        assert!(answer.header("traceresponse").is_some() && answer.header("server-timing").is_some());
    }
    assert_problem(&connection.call(&row()), 401, "unauthenticated");
    let twice = bearer(bearer(row(), &web.key), &web.key);
    assert_problem(&connection.call(&twice), 401, "unauthenticated");
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let request = row().header("authorization", &format!("{scheme} {}", web.key));
        assert_eq!(connection.call(&request).status, 200, "{scheme}");
    }
    let metrics = server.metrics();
    let refused = [("route", "/predict/{model}"), ("method", "POST"), ("status", "401")];
    assert!((metrics.sum("http_requests_total", &refused) - 14.0).abs() < 1e-9);
    let unknown = [("model", "_unknown"), ("outcome", "client_error")];
    assert!((metrics.sum("inference_requests_total", &unknown) - 14.0).abs() < 1e-9);
}

#[test]
fn a_key_without_the_scope_is_forbidden() {
    let (web, ops) = (make("web", "predict", &[]), make("ops", "metadata,admin", &[]));
    let file = KeysFile::new(&[&web, &ops]);
    let server = with_keys(file.path()).start();
    assert_problem(&server.call(&bearer(row(), &ops.key)), 403, "forbidden");
    assert_eq!(server.call(&bearer(row(), &web.key)).status, 200);
    for target in ["/predict", "/predict/add-one", "/predict/add-one/versions/1"] {
        let get = || Request::get(target);
        assert_problem(&server.call(&bearer(get(), &web.key)), 403, "forbidden");
        assert_problem(&server.call(&get()), 401, "unauthenticated");
        assert_eq!(server.call(&bearer(get(), &ops.key)).status, 200, "{target}");
        assert_eq!(server.call(&bearer(Request::new("HEAD", target), &web.key)).status, 403, "{target}");
    }
    let unknown = [("model", "_unknown"), ("outcome", "client_error")];
    let counted = server.metrics().sum("inference_requests_total", &unknown);
    assert!((counted - 1.0).abs() < 1e-9, "predictions alone: {counted}");
}

#[test]
fn every_route_but_these_needs_a_key() {
    let file = KeysFile::new(&[&make("web", "predict", &[])]);
    let server = with_keys(file.path()).start();
    let index = server.get("/").ok();
    let routes: Vec<&str> =
        index["routes"].as_array().unwrap().iter().filter_map(|one| one.as_str()).collect();
    assert!(OPEN.iter().all(|open| routes.contains(open)), "{routes:?}");
    for route in routes {
        let (method, path) = route.split_once(' ').unwrap();
        let target = path.replace("{model}", "add-one").replace("{version}", "1");
        let answer = server.call(&Request::new(method, &target));
        if OPEN.contains(&route) || path.starts_with("/v2/health/") {
            assert_eq!(answer.status, 200, "{route}: {}", answer.text());
        } else {
            assert_problem(&answer, 401, "unauthenticated");
        }
    }
}

#[test]
fn the_key_comes_after_route_and_method_and_before_all_else() {
    let web = make("web", "predict", &[]);
    let file = KeysFile::new(&[&web]);
    let server = with_keys(file.path()).env("ML_INFERENCE_LIMITS__MAX_BODY_BYTES", "64B").start();
    let large = "x".repeat(100 << 10);
    let post = |target: &str| Request::text(target, "text/plain", &large);
    assert_problem(&server.call(&post("/nothing")), 404, "not_found");
    assert_problem(
        &server.call(&Request::new("DELETE", "/predict/nobody").body("x")),
        405,
        "method_not_allowed",
    );
    for target in ["/predict/nobody", "/predict/add-one/versions/9", "/predict/add-one"] {
        assert_problem(&server.call(&post(target)), 401, "unauthenticated");
    }
    assert_problem(&server.call(&bearer(post("/predict/nobody"), &web.key)), 404, "model_not_found");
    assert_problem(&server.call(&bearer(post("/predict/add-one"), &web.key)), 413, "payload_too_large");
    let typed = Request::text("/predict/add-one", "text/plain", "x");
    assert_problem(&server.call(&bearer(typed, &web.key)), 415, "unsupported_media_type");
}

#[test]
fn metrics_ask_for_a_key_where_they_are_protected() {
    let (web, ops) = (make("web", "predict", &[]), make("ops", "metadata", &[]));
    let file = KeysFile::new(&[&web, &ops]);
    let server = with_keys(file.path()).env("ML_INFERENCE_AUTH__PROTECT_METRICS", "true").start();
    assert_problem(&server.get("/metrics"), 401, "unauthenticated");
    assert_problem(&server.call(&bearer(Request::get("/metrics"), &web.key)), 403, "forbidden");
    assert_eq!(server.call(&bearer(Request::get("/metrics"), &ops.key)).status, 200);
    let admin = Connection::open(server.admin).call(&Request::get("/metrics"));
    assert_eq!(admin.status, 200);
    assert!(!admin.text().contains("web") && !admin.text().contains("ops"), "no key's name is a label");
}

#[test]
fn nothing_of_administration_is_on_the_public_port_whatever_the_key() {
    let root = make("root", "predict,metadata,admin", &[]);
    let file = KeysFile::new(&[&root]);
    let server = with_keys(file.path()).start();
    for target in [
        "/v2/repository/models/add-one/load",
        "/v2/repository/models/add-one/unload",
        "/telemetry",
        "/admin",
        "/admin/keys",
        "/admin/reload",
        "/debug/pprof/profile",
        "/-/reload",
    ] {
        for request in [Request::get(target), Request::json(target, &json!({}))] {
            assert_problem(&server.call(&request), 404, "not_found");
            assert_problem(&server.call(&bearer(request, &root.key)), 404, "not_found");
        }
    }
}

#[test]
fn without_a_keys_file_a_key_is_not_looked_at() {
    let server = builder().start();
    assert_eq!(server.call(&bearer(row(), "anything")).status, 200);
    assert_eq!(server.call(&row().header("authorization", "Basic eDp5")).status, 200);
}
