//! Headers of answers: request ids, `traceresponse`, `server-timing`.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::{Request, Response, shared};

fn row() -> Request {
    Request::json("/predict/add-one", &json!({"x": [1, 2, 3]}))
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[track_caller]
fn traceresponse(answer: &Response) -> Vec<String> {
    let header = answer.header("traceresponse").unwrap_or_else(|| panic!("no traceresponse: {answer:?}"));
    let parts: Vec<String> = header.split('-').map(str::to_owned).collect();
    let [version, trace, span, flags] = &parts[..] else { panic!("{header}") };
    assert!(version == "00" && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2), "{header}");
    assert!(!trace.trim_matches('0').is_empty() && !span.trim_matches('0').is_empty(), "{header}");
    parts
}

#[test]
fn a_good_request_id_comes_back_and_another_is_replaced() {
    let server = shared();
    let longest = "x".repeat(64);
    for id in ["a", "A-b_c.9", longest.as_str()] {
        for request in [row(), Request::get("/health"), Request::get("/nothing"), Request::get("/metrics")] {
            let answer = server.call(&request.header("x-request-id", id));
            assert_eq!(answer.header("x-request-id"), Some(id));
        }
    }
    let too_long = "x".repeat(65);
    for id in ["", "a b", "a/b", "é", "a\tb", "<script>", too_long.as_str()] {
        let answer = server.call(&row().header("x-request-id", id));
        let given = answer.header("x-request-id").unwrap();
        assert_ne!(given, id);
        let is_good = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        assert!((1..=64).contains(&given.len()) && given.chars().all(is_good), "{given}");
    }
    shared().adds_up();
}

#[test]
fn every_answer_has_an_id_of_its_own() {
    let server = shared();
    let requests = [
        row(),
        Request::get("/health"),
        Request::get("/nothing"),
        Request::get("/predict"),
        Request::new("PUT", "/predict"),
    ];
    let ids: BTreeSet<String> = requests
        .iter()
        .map(|request| server.call(request).header("x-request-id").unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), requests.len());
    shared().adds_up();
}

#[test]
fn prediction_routes_name_their_trace_even_with_tracing_off() {
    let server = shared();
    let (one, two) = (traceresponse(&server.call(&row())), traceresponse(&server.call(&row())));
    assert_ne!(one[1], two[1]);
    traceresponse(&server.post("/predict/add-one", &json!({"x": "wrong"})));
    traceresponse(&server.post("/predict/nobody", &json!({})));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let answer = server.call(&row().header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01")));
    let response = traceresponse(&answer);
    assert_eq!(response[1], trace);
    assert_ne!(response[2], "00f067aa0ba902b7", "the server's own span");
    shared().adds_up();
}

#[test]
fn broken_trace_headers_start_a_new_trace() {
    let server = shared();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for parent in [
        "garbage".to_owned(),
        format!("00-{trace}-0000000000000000-01"),
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned(),
        format!("ff-{trace}-00f067aa0ba902b7-01"),
        format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
        format!("00-{trace}-00f067aa0ba902b7"),
        format!("00-{trace}-00f067aa0ba902b7-01-extra"),
    ] {
        let answer = server.call(&row().header("traceparent", &parent));
        assert_eq!(answer.status, 200, "{parent}");
        assert_ne!(traceresponse(&answer)[1], trace, "{parent}");
    }
    let large = "x".repeat(32 * 1024);
    let answer = server.call(&row().header("tracestate", &format!("a={large}")));
    assert_eq!(answer.status, 200);
    let answer = server.call(&row().header("baggage", &format!("a={large}")));
    assert_eq!(answer.status, 200);
    shared().adds_up();
}

/// The stages and their milliseconds.
fn timing(answer: &Response) -> Vec<(String, f64)> {
    let header = answer.header("server-timing").unwrap_or_else(|| panic!("no server-timing: {answer:?}"));
    let entry = |entry: &str| {
        let (name, rest) = entry.trim().split_once(";dur=").unwrap_or_else(|| panic!("{header}"));
        (name.to_owned(), rest.split(';').next().unwrap().parse().unwrap())
    };
    header.split(',').map(entry).collect()
}

#[test]
fn server_timing_has_the_stages_that_were_reached() {
    let server = shared();
    let answer = server.call(&row());
    let stages = timing(&answer);
    let names: Vec<&str> = stages.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["preprocess", "queue", "batch", "execute", "postprocess", "total"]);
    let parts: f64 = stages[..5].iter().map(|(_, duration)| duration).sum();
    assert!(stages.iter().all(|(_, duration)| *duration >= 0.0) && parts <= stages[5].1 + 0.01, "{stages:?}");
    let header = answer.header("server-timing").unwrap();
    assert!(header.contains(";desc=\"1\""), "the batch of one: {header}");
    // Other tests load this server: for a while it may have found that batches of three bring nothing.
    let together = (0..50).any(|_| {
        let list = server.post("/predict/add-one", &json!({"instances": [[1, 2, 3], [4, 5, 6], [7, 8, 9]]}));
        list.header("server-timing").unwrap().contains(";desc=\"3\"")
    });
    assert!(together, "the rows of one request run together");
    let refused = timing(&server.post("/predict/add-one", &json!({"x": "wrong"})));
    let names: Vec<&str> = refused.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["preprocess", "total"]);
    shared().adds_up();
}
