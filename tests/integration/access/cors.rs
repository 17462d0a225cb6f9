//! Pages of other origins: refused by silence, unless their origin is configured.

use super::{KeysFile, bearer, builder, make, row, with_keys};
use crate::harness::server::Builder;
use crate::harness::{Request, Response, assert_problem};

const PAGE: &str = "https://app.example.com";
const ORIGIN: &str = "access-control-allow-origin";

fn allowing(builder: Builder, origins: &str) -> Builder {
    builder.env("ML_INFERENCE_HTTP__CORS_ORIGINS", origins)
}

fn preflight(target: &str, origin: &str) -> Request {
    Request::new("OPTIONS", target)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type")
}

fn words<'a>(answer: &'a Response, header: &str) -> Vec<&'a str> {
    let mut words: Vec<_> = answer.header(header).unwrap_or_default().split(',').map(str::trim).collect();
    words.sort_unstable();
    words
}

#[track_caller]
fn assert_closed(answer: &Response) {
    let named = answer.headers.iter().filter(|(name, _)| name.starts_with("access-control-"));
    assert_eq!(named.count(), 0, "{:?}", answer.headers);
}

#[test]
fn closed_unless_set() {
    let server = builder().start();
    let answer = server.call(&preflight("/predict/add-one", PAGE));
    assert_problem(&answer, 405, "method_not_allowed");
    assert_closed(&answer);
    let answer = server.call(&row().header("origin", PAGE));
    assert_eq!(answer.status, 200);
    assert_closed(&answer);
    assert_eq!(answer.header("vary"), None);
}

#[test]
fn a_preflight_is_told_what_its_route_takes_and_needs_no_key() {
    let file = KeysFile::new(&[&make("web", "predict", &[])]);
    let server = allowing(with_keys(file.path()), &format!("{PAGE},http://localhost:3000")).start();
    let answer = server.call(&preflight("/predict/add-one", PAGE));
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    assert_eq!(answer.header(ORIGIN), Some(PAGE));
    assert_eq!(answer.header("vary"), Some("origin"));
    assert_eq!(words(&answer, "access-control-allow-methods"), ["GET", "POST"]);
    let allowed = words(&answer, "access-control-allow-headers");
    for header in ["authorization", "content-type", "inference-header-content-length", "tracestate"] {
        assert!(allowed.contains(&header), "{allowed:?}");
    }
    assert!(answer.header("access-control-max-age").is_some() && answer.header("content-type").is_none());
    let answer = server.call(&preflight("/health", "http://localhost:3000"));
    assert_eq!(answer.header(ORIGIN), Some("http://localhost:3000"));
    assert_eq!(words(&answer, "access-control-allow-methods"), ["GET"]);
    let counted = [("method", "OPTIONS"), ("route", "/predict/{model}"), ("status", "204")];
    server.wait_for_metric("http_requests_total", &counted, 1.0);
}

#[test]
fn answers_and_errors_can_be_read_by_the_page() {
    let web = make("web", "predict", &[]);
    let file = KeysFile::new(&[&web]);
    let server = allowing(with_keys(file.path()), PAGE).start();
    let from_page = |request: Request| request.header("origin", PAGE);
    let answers = [
        (server.call(&from_page(bearer(row(), &web.key))), 200),
        (server.call(&from_page(row())), 401),
        (server.call(&from_page(Request::get("/nothing"))), 404),
        (server.call(&from_page(Request::new("DELETE", "/health"))), 405),
    ];
    for (answer, status) in answers {
        assert_eq!(answer.status, status);
        assert_eq!((answer.header(ORIGIN), answer.header("vary")), (Some(PAGE), Some("origin")), "{status}");
        let exposed = words(&answer, "access-control-expose-headers");
        for header in ["x-request-id", "traceresponse", "server-timing", "retry-after"] {
            assert!(exposed.contains(&header), "{status}: {exposed:?}");
        }
        assert_eq!(answer.header("allow").is_some(), status == 405);
    }
}

#[test]
fn other_origins_are_told_nothing() {
    let server = allowing(builder(), PAGE).start();
    for other in
        ["https://evil.example.com", "https://app.example.com.evil.com", "null", "http://app.example.com"]
    {
        let answer = server.call(&preflight("/predict/add-one", other));
        assert_problem(&answer, 405, "method_not_allowed");
        assert_closed(&answer);
        let answer = server.call(&row().header("origin", other));
        assert_eq!((answer.status, answer.header("vary")), (200, Some("origin")));
        assert_closed(&answer);
    }
    let plain = Request::new("OPTIONS", "/predict/add-one").header("origin", PAGE);
    assert_problem(&server.call(&plain), 405, "method_not_allowed");
    assert_problem(&server.call(&preflight("/nothing", PAGE)), 404, "not_found");
}

#[test]
fn a_star_lets_every_page_in() {
    let server = allowing(builder(), "*").start();
    for origin in [PAGE, "null"] {
        let answer = server.call(&row().header("origin", origin));
        assert_eq!((answer.header(ORIGIN), answer.header("vary")), (Some("*"), None));
        assert_eq!(server.call(&preflight("/predict", origin)).status, 204);
    }
    assert_closed(&server.call(&row()));
}
