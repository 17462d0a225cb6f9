//! B9, B10, B11: more connections, descriptors or requests than there is room for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Raw, builder};
use crate::harness::metrics::Metrics;
use crate::harness::wait::PATIENCE;
use crate::harness::{Connection, Invariants, Request, wait};

/// Longer than a probe takes on a busy machine.
const SOON: Duration = Duration::from_secs(5);

/// An answer to a probe on a connection of its own, if it gets one.
fn probe(address: std::net::SocketAddr) -> Option<()> {
    let mut connection = Connection::try_open(address).ok()?;
    connection.try_write(&Request::get("/health").bytes()).ok()?;
    connection.try_read().ok().filter(|answer| answer.status == 200).map(|_| ())
}

#[test]
fn b9_far_more_connections_than_allowed_shut_out_no_probe() {
    let server = builder().env("ML_INFERENCE_HTTP__MAX_CONNECTIONS", "32").start();
    let invariants = Invariants::before(&server);
    let crowd: Vec<Raw> = (0..400).map(|_| Raw::open(server.http)).collect();
    let refused = || server.metrics().sum("http_connection_errors_total", &[("kind", "limit")]);
    wait::until("the crowd to be refused", PATIENCE, || (refused() >= 360.0).then_some(()));
    let begun = Instant::now();
    assert_eq!(Connection::open(server.admin).call(&Request::get("/health")).status, 200);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    // Those that wait are spared for a moment; then they make room.
    let mut answered = 0;
    wait::until("ten answers to probes", PATIENCE, || {
        answered += u32::from(probe(server.http).is_some());
        (answered >= 10).then_some(())
    });
    assert!(server.metrics().sum("http_connections", &[]) < 32.0 + 4.0, "the admin listener's own aside");
    drop(crowd);
    invariants.hold(answered + 1);
}

#[test]
fn b10_without_descriptors_accepting_pauses_and_comes_back() {
    let server = builder().descriptors(64).env("ML_INFERENCE_HTTP__IDLE_TIMEOUT", "600s").start();
    // The only way to ask once there is no descriptor left.
    let mut admin = Connection::open(server.admin);
    let mut scrape = || Metrics::parse(&admin.call(&Request::get("/metrics")).text());
    let failures = |metrics: &Metrics| metrics.sum("http_connection_errors_total", &[("kind", "accept")]);
    scrape();
    let crowd: Vec<Raw> = (0..200).map(|_| Raw::open(server.http)).collect();
    wait::until("accepting to fail", PATIENCE, || (failures(&scrape()) > 0.5).then_some(()));
    let (begun, before) = (Instant::now(), scrape());
    wait::at_most(Duration::from_millis(300), || None::<()>);
    let after = scrape();
    let tries = failures(&after) - failures(&before);
    assert!(tries < 100.0, "{tries} tries in {:?}", begun.elapsed());
    let used = after.sum("process_cpu_seconds_total", &[]) - before.sum("process_cpu_seconds_total", &[]);
    assert!(used < begun.elapsed().as_secs_f64(), "{used} s of the processor in {:?}", begun.elapsed());
    drop(crowd);
    wait::until("connections to be taken again", PATIENCE, || probe(server.http));
    server.post("/predict/add-one", &json!([1, 2, 3])).ok();
    server.wait_for_no_request_in_flight();
}

#[test]
fn b11_health_and_metrics_are_soon_there_under_full_load() {
    let server = builder().start();
    let invariants = Invariants::before(&server);
    let is_over = AtomicBool::new(false);
    let load = || {
        let (mut connection, mut sent) = (Connection::open(server.http), 0);
        let request = Request::json("/predict/add-one", &json!({"instances": vec![json!([1, 2, 3]); 100]}));
        while !is_over.load(Ordering::Relaxed) {
            connection.call(&request).ok();
            sent += 1;
        }
        sent
    };
    let mut asked = 0;
    let sent: u32 = thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
        for address in [server.http, server.admin].into_iter().cycle().take(20) {
            for target in ["/health", "/health/live", "/health/ready", "/metrics"] {
                let begun = Instant::now();
                assert_eq!(Connection::open(address).call(&Request::get(target)).status, 200, "{target}");
                assert!(begun.elapsed() < SOON, "{target} took {:?}", begun.elapsed());
                asked += 1;
            }
        }
        is_over.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    invariants.hold(sent + asked);
}
