//! Live, ready, and ready of one model, through the life of a server.

use std::time::Duration;

use serde_json::json;

use crate::harness::process::Process;
use crate::harness::server::Builder;
use crate::harness::wait::{self, PATIENCE};
use crate::harness::{Connection, Repository, Request, Server, assert_problem, ports, shared};

#[test]
fn a_ready_server_is_live_and_ready_and_so_is_each_model() {
    assert_eq!(shared().get("/v2/health/live").ok(), json!({"live": true}));
    assert_eq!(shared().get("/v2/health/ready").ok(), json!({"ready": true}));
    for target in ["/v2/models/versions/ready", "/v2/models/versions/versions/9/ready"] {
        assert_eq!(shared().get(target).ok(), json!({"name": "versions", "ready": true}), "{target}");
    }
    assert_problem(&shared().get("/v2/models/nobody/ready"), 404, "model_not_found");
    assert_problem(&shared().get("/v2/models/versions/versions/3/ready"), 404, "version_not_found");
}

/// A model whose warm-up takes seconds beside one that gives other results than it should.
fn slow_and_broken() -> (Builder, std::net::SocketAddr) {
    let warmup = "[execution]\ninstances = 1\nintra_threads = 1\n[warmup]\ninputs = [{ x = [1.0], iterations = [1000000] }]\n";
    let golden = "[[golden]]\ninput = { x = [1.0, 2.0, 3.0] }\nexpected = { y = [0.0, 0.0, 0.0] }\n";
    let [http, admin] = ports::free(2)[..] else { unreachable!("asked for two") };
    let repository = Repository::new()
        .model("slow", "slow", warmup)
        .model("broken", "add-one", golden)
        .version("broken", "2", "add-one");
    (Server::builder().repository(repository).addresses(http, admin), http)
}

fn wait_until_it_listens(process: &mut Process, address: std::net::SocketAddr) -> Connection {
    wait::until("the listener", PATIENCE, || {
        assert!(process.ended().is_none(), "it ended");
        Connection::try_open(address).ok()
    })
}

#[test]
fn until_the_load_has_ended_everything_of_a_model_is_503_and_the_index_says_why() {
    let (builder, http) = slow_and_broken();
    let mut process = builder.spawn();
    let mut connection = wait_until_it_listens(&mut process, http);
    let index = wait::until("the broken versions", PATIENCE, || {
        let index = connection.call(&Request::new("POST", "/v2/repository/index").body("")).ok();
        (index[0]["state"] == "UNAVAILABLE" && index[1]["state"] == "UNAVAILABLE").then_some(index)
    });
    for (entry, version) in [(&index[0], "1"), (&index[1], "2")] {
        assert_eq!((&entry["name"], &entry["version"]), (&json!("broken"), &json!(version)), "{index}");
        assert!(entry["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{index}");
    }
    assert_eq!(index[2], json!({"name": "slow", "version": "1", "state": "LOADING", "reason": ""}));
    assert_eq!(index.as_array().unwrap().len(), 3);
    let ready = connection.call(&Request::json("/v2/repository/index", &json!({"ready": true})));
    assert_eq!(ready.ok(), json!([]));

    let body = assert_problem(&connection.call(&Request::get("/v2/health/ready")), 503, "not_ready");
    assert_eq!(body["models"].as_array().unwrap().len(), 3, "{body}");
    for model in ["slow", "broken", "nobody", "slow/versions/1", "slow/versions/7"] {
        for suffix in ["", "/ready", "/config", "/stats"] {
            let target = format!("/v2/models/{model}{suffix}");
            assert_problem(&connection.call(&Request::get(&target)), 503, "not_ready");
        }
    }
    assert_eq!(connection.call(&Request::get("/v2/health/live")).ok(), json!({"live": true}));
    assert_eq!(connection.call(&Request::get("/v2/models")).ok(), json!({"models": ["broken", "slow"]}));
    assert_eq!(connection.call(&Request::get("/v2/models/stats")).ok(), json!({"model_stats": []}));
    assert_eq!(connection.call(&Request::get("/v2")).status, 200);
    process.signal("TERM");
    assert!(process.wait(PATIENCE).is_some(), "{}", process.stderr());
}

#[test]
fn a_server_on_its_way_out_is_not_ready_while_its_models_are() {
    let mut server = Server::builder()
        .repository(Repository::new().fixture("add-one"))
        .env("ML_INFERENCE_DRAIN__DELAY", "2s")
        .start();
    server.process.signal("TERM");
    let answer = wait::until("readiness to go", Duration::from_secs(2), || {
        let answer = server.get("/v2/health/ready");
        (answer.status == 503).then_some(answer)
    });
    assert_problem(&answer, 503, "draining");
    assert_eq!(server.get("/v2/models/add-one/ready").status, 200, "predictions are still taken");
    assert_eq!(server.get("/v2/health/live").status, 200);
    assert_eq!(server.exit_code(PATIENCE), Some(0));
}
