//! C2, C4, C5: clients that send or take one byte now and then. What stops for good is in
//! `requests/bodies.rs`.

use std::time::{Duration, Instant};

use super::{Raw, builder};
use crate::harness::wait::PATIENCE;
use crate::harness::{Invariants, Request, assert_problem};

/// Between two bytes.
const PACE: Duration = Duration::from_millis(10);

fn row() -> Request {
    Request::json("/predict/add-one", &serde_json::json!({"x": [1, 2, 3]}))
}

/// Sends a byte at a time until something comes back; returns it, up to the end.
#[track_caller]
fn dripped(raw: &mut Raw, bytes: &[u8]) -> String {
    for byte in bytes {
        raw.send(&[*byte]);
        match raw.read_within(PACE, 4096) {
            Some(answer) if answer.is_empty() => {}
            Some(answer) => return String::from_utf8_lossy(&answer).into_owned() + &raw.rest(),
            None => return String::new(),
        }
    }
    panic!("all of it was taken");
}

#[test]
fn c2_a_header_byte_now_and_then_buys_no_time() {
    let server = builder().env("ML_INFERENCE_HTTP__HEADER_TIMEOUT", "300ms").start();
    let invariants = Invariants::before(&server);
    let begun = Instant::now();
    let mut raw = Raw::open(server.http);
    let drip = format!("GET /health HTTP/1.1\r\nhost: a\r\nx: {}", "x".repeat(10_000));
    assert_eq!(dripped(&mut raw, drip.as_bytes()), "");
    assert!(begun.elapsed() < PATIENCE / 4, "{:?}", begun.elapsed());
    server.wait_for_metric("http_connection_errors_total", &[("kind", "header_timeout")], 1.0);
    invariants.hold(0);
}

#[test]
fn c4_a_body_byte_now_and_then_buys_no_time() {
    let server = builder().env("ML_INFERENCE_HTTP__BODY_TIMEOUT", "300ms").start();
    let invariants = Invariants::before(&server);
    let begun = Instant::now();
    let mut raw = Raw::open(server.http);
    raw.send(b"POST /predict/add-one HTTP/1.1\r\nhost: a\r\ncontent-length: 10000\r\n\r\n");
    let text = dripped(&mut raw, &[b' '; 10_000]);
    assert!(text.starts_with("HTTP/1.1 408 ") && text.contains("\"client_too_slow\""), "{text}");
    assert!(text.contains("\r\nconnection: close\r\n"), "{text}");
    assert!(begun.elapsed() < PATIENCE / 4, "{:?}", begun.elapsed());
    invariants.hold(1);
}

#[test]
fn c4_a_slow_body_holds_nothing_that_others_need() {
    let server = builder()
        .env("ML_INFERENCE_HTTP__BODY_TIMEOUT", "2s")
        .env("ML_INFERENCE_LIMITS__MAX_INFLIGHT_BYTES", "64KiB")
        .start();
    let invariants = Invariants::before(&server);
    let mut crowd: Vec<Raw> = (0..50).map(|_| Raw::open(server.http)).collect();
    for raw in &mut crowd {
        raw.send(b"POST /predict/add-one HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n{");
    }
    server.wait_for_metric("http_requests_in_flight", &[("route", "/predict/{model}")], 50.0);
    server.call(&row()).ok();
    for raw in &mut crowd {
        assert!(raw.rest().starts_with("HTTP/1.1 408 "));
    }
    invariants.hold(51);
}

#[test]
fn c5_a_byte_read_now_and_then_is_no_progress() {
    let server = builder().env("ML_INFERENCE_HTTP__WRITE_TIMEOUT", "300ms").start();
    let invariants = Invariants::before(&server);
    let mut raw = Raw::open(server.http);
    // More answers than the buffers of both sides hold.
    raw.send("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n".repeat(2000).as_bytes());
    let begun = Instant::now();
    let is_cut = |raw: &mut Raw| raw.read_within(PACE, 1).is_none();
    let told = || server.metrics().sum("http_connection_errors_total", &[("kind", "write_timeout")]) > 0.5;
    while !is_cut(&mut raw) && !told() {
        assert!(begun.elapsed() < PATIENCE / 2, "still served after {:?}", begun.elapsed());
    }
    assert!(told());
    invariants.hold_between(1..=2000);
}

#[test]
fn c3_a_request_that_is_whole_is_answered_though_another_stalls() {
    let server = builder().env("ML_INFERENCE_HTTP__BODY_TIMEOUT", "300ms").start();
    let invariants = Invariants::before(&server);
    let mut stalled = Raw::open(server.http);
    stalled.send(b"POST /predict/add-one HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n");
    server.call(&row()).ok();
    assert!(stalled.rest().starts_with("HTTP/1.1 408 "));
    assert_problem(&server.get("/nothing"), 404, "not_found");
    invariants.hold(3);
}
