//! Before the models are ready: listeners answer, nothing is predicted.

use serde_json::json;

use crate::harness::process::Process;
use crate::harness::server::Builder;
use crate::harness::wait::{self, PATIENCE};
use crate::harness::{Connection, Repository, Request, Server, assert_problem, ports};

/// A model whose warm-up takes seconds, so that loading can be watched.
fn long_load() -> (Builder, std::net::SocketAddr, std::net::SocketAddr) {
    let manifest = "[execution]\ninstances = 1\nintra_threads = 1\n[warmup]\ninputs = [{ x = [1.0], iterations = [1000000] }]\n";
    let [http, admin] = ports::free(2)[..] else { unreachable!("asked for two") };
    let repository = Repository::new().model("slow", "slow", manifest).fixture("add-one");
    (Server::builder().repository(repository).addresses(http, admin), http, admin)
}

fn wait_until_it_listens(process: &mut Process, address: std::net::SocketAddr) -> Connection {
    wait::until("the listener", PATIENCE, || {
        assert!(process.ended().is_none(), "it ended");
        Connection::try_open(address).ok()
    })
}

#[test]
fn until_ready_inference_is_503_and_health_says_why() {
    let (builder, http, admin) = long_load();
    let mut process = builder.spawn();
    let mut connection = wait_until_it_listens(&mut process, http);
    for target in ["/health", "/health/ready", "/health/startup"] {
        let answer = connection.call(&Request::get(target));
        let body = assert_problem(&answer, 503, "not_ready");
        if target != "/health/startup" {
            assert!(body["models"].is_array(), "the models and their reasons: {body}");
        }
    }
    assert_eq!(connection.call(&Request::get("/health/live")).status, 200);
    for target in ["/predict", "/predict/slow", "/predict/slow/versions/1", "/predict/nobody"] {
        let answer = connection.call(&Request::json(target, &json!({"x": [1], "iterations": [1]})));
        assert_problem(&answer, 503, "not_ready");
    }
    assert_problem(&connection.call(&Request::get("/nothing")), 404, "not_found");
    assert_problem(&connection.call(&Request::new("PUT", "/predict/slow")), 405, "method_not_allowed");
    assert_eq!(Connection::open(admin).call(&Request::get("/metrics")).status, 200);
    wait::until("readiness", PATIENCE, || {
        (connection.call(&Request::get("/health/ready")).status == 200).then_some(())
    });
    connection.call(&Request::json("/predict/slow", &json!({"x": [1], "iterations": [1]}))).ok();
    assert_eq!(connection.call(&Request::get("/health/startup")).status, 200);
    process.signal("TERM");
    assert_eq!(process.wait(PATIENCE), Some(0));
}

#[test]
fn a_signal_during_the_load_ends_it() {
    let (builder, http, _) = long_load();
    let mut process = builder.spawn();
    drop(wait_until_it_listens(&mut process, http));
    process.signal("TERM");
    assert_eq!(process.wait(PATIENCE / 4), Some(0), "{}", process.stderr());
}
