//! The end: signals with requests in flight, the drain and its limits.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::wait::{self, PATIENCE};
use crate::harness::{Connection, Repository, Request, Response, Server, models};

fn builder() -> crate::harness::server::Builder {
    let repository = Repository::new().model("slow", "slow", &models::slow_manifest(100)).fixture("add-one");
    Server::builder().repository(repository)
}

/// Sends requests that run for a while, one behind the other, and waits until all are inside.
fn in_flight(server: &Server, count: u32, milliseconds: u64) -> Vec<Connection> {
    let connections: Vec<_> = (0..count)
        .map(|n| {
            let mut connection = Connection::open(server.http);
            let body = models::slow_for(milliseconds, f64::from(n));
            connection.write(&Request::json("/predict/slow", &body).bytes());
            if n == 0 {
                // Those that come now wait for it, instead of running with it.
                server.wait_for_metric("inference_workers", &[("state", "busy")], 1.0);
            }
            connection
        })
        .collect();
    server.wait_for_metric("inference_queue_depth", &[("model", "slow")], f64::from(count - 1));
    connections
}

#[track_caller]
fn assert_all_answered(connections: &mut [Connection]) {
    for (n, connection) in connections.iter_mut().enumerate() {
        let answer = connection.read();
        assert_eq!(answer.ok()["y"][0].as_f64(), Some(f64::from(u32::try_from(n).unwrap())));
    }
}

#[test]
fn everything_in_flight_is_answered_before_the_exit() {
    let mut server = builder().start();
    let mut connections = in_flight(&server, 6, 250);
    server.process.signal("TERM");
    assert_all_answered(&mut connections);
    assert_eq!(server.exit_code(PATIENCE), Some(0));
}

fn ready(server: &Server) -> Option<Response> {
    let mut connection = Connection::try_open(server.http).ok()?;
    connection.write(&Request::get("/health/ready").bytes());
    connection.try_read().ok()
}

#[test]
fn readiness_goes_at_once_while_requests_are_still_served() {
    let mut server = builder().env("ML_INFERENCE_DRAIN__DELAY", "3s").start();
    let mut kept = Connection::open(server.http);
    kept.call(&Request::get("/health")).ok();
    let begun = Instant::now();
    server.process.signal("TERM");
    let answer = wait::until("readiness to go", Duration::from_secs(2), || {
        ready(&server).filter(|answer| answer.status == 503)
    });
    let code = answer.json()["code"].as_str().unwrap().to_owned();
    assert!(code == "draining" || code == "not_ready", "{code}");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(
        Connection::open(server.http).call(&Request::get("/health/live")).status,
        200,
        "it is not stuck"
    );
    assert!(!server.ready_file.exists(), "removed at drain");
    for mut connection in [kept, Connection::open(server.http)] {
        let answer = connection.call(&Request::json("/predict/add-one", &json!([1, 2, 3])));
        assert_eq!(answer.ok()["y"], json!([2.0, 3.0, 4.0]));
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(connection.is_closed());
    }
    assert_eq!(server.exit_code(PATIENCE), Some(0));
    assert!(begun.elapsed() >= Duration::from_secs(3), "the delay was kept: {:?}", begun.elapsed());
}

#[test]
fn an_interrupt_skips_the_delay() {
    let mut server = builder().env("ML_INFERENCE_DRAIN__DELAY", "600s").start();
    let mut connections = in_flight(&server, 2, 250);
    server.process.signal("INT");
    assert_all_answered(&mut connections);
    assert_eq!(server.exit_code(PATIENCE), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for second in ["TERM", "INT"] {
        let mut server = builder().env("ML_INFERENCE_DRAIN__DELAY", "600s").start();
        let connections = in_flight(&server, 2, 20_000);
        server.process.signal("TERM");
        wait::until("the drain", PATIENCE, || (!server.ready_file.exists()).then_some(()));
        server.process.signal(second);
        let code = server.exit_code(Duration::from_secs(10));
        assert_ne!(code, Some(0), "something was cut");
        drop(connections);
    }
}

#[test]
fn what_is_not_done_within_the_drain_timeout_is_cut() {
    let mut server = builder().env("ML_INFERENCE_DRAIN__TIMEOUT", "300ms").start();
    let mut connections = in_flight(&server, 2, 20_000);
    let begun = Instant::now();
    server.process.signal("TERM");
    assert_eq!(server.exit_code(PATIENCE), Some(1), "something was cut");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    for connection in &mut connections {
        assert!(connection.try_read().map_or(true, |answer| answer.status >= 500));
    }
}

#[test]
fn half_a_request_does_not_hold_the_exit() {
    let mut server = builder().env("ML_INFERENCE_DRAIN__TIMEOUT", "500ms").start();
    let mut partial = Connection::open(server.http);
    partial.write(b"POST /predict/add-one HTTP/1.1\r\nhost: a\r\ncontent-le");
    let mut idle = Connection::open(server.http);
    idle.call(&Request::get("/health")).ok();
    let begun = Instant::now();
    server.process.signal("TERM");
    server.exit_code(PATIENCE);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert!(idle.is_closed());
}

#[test]
fn nothing_new_is_accepted_after_the_delay() {
    let mut server = builder().start();
    let mut connections = in_flight(&server, 2, 500);
    server.process.signal("TERM");
    wait::until("the listener's end", PATIENCE, || {
        let refused = Connection::try_open(server.http).is_err();
        refused.then_some(())
    });
    assert_all_answered(&mut connections);
    assert_eq!(server.exit_code(PATIENCE), Some(0));
}
