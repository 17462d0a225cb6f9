//! What a load and an unload change, and what they leave alone.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::{ask, change, index, predict, put, write};
use crate::harness::loading::MINUTES;
use crate::harness::models::slow_warmup;
use crate::harness::{Repository, Server, assert_problem, wait};

/// The problem of a load that fails. Its reasons name files, which no other problem does.
#[track_caller]
fn refused(server: &Server, model: &str) -> Value {
    let answer = change(server, model, "load");
    assert_eq!(answer.status, 400, "{}", answer.text());
    let problem = answer.json();
    assert_eq!(problem["code"], "model_load_failed");
    assert!(!answer.text().contains("/tmp"), "{problem}");
    problem
}

#[test]
fn a_model_that_appears_is_loaded_and_one_that_is_unloaded_is_gone_until_it_is_loaded_again() {
    let repository = Repository::new().fixture("add-one");
    let folder = repository.path().to_owned();
    let server = Server::builder().repository(repository).start();
    assert_eq!(index(&server), ["add-one/1: READY"]);
    put(&folder, "late", "3", "add-one");
    assert_eq!(index(&server), ["add-one/1: READY", "late/3: UNAVAILABLE not loaded"]);
    assert_problem(&predict(&server, "late"), 404, "model_not_found");
    assert_eq!(change(&server, "late", "load").status, 200);
    let answer = predict(&server, "late").ok();
    assert_eq!(answer, json!({ "y": [2.0, 3.0, 4.0], "model": { "name": "late", "version": "3" } }));
    assert_eq!(server.get("/health").ok()["models"].as_array().unwrap().len(), 2);
    // The public index tells the same of what was loaded.
    let public = server.post("/v2/repository/index", &json!({ "ready": true })).ok();
    assert_eq!(public[1], json!({ "name": "late", "version": "3", "state": "READY", "reason": "" }));

    let dependents = r#"{"parameters":{"unload_dependents":false}}"#;
    assert_eq!(ask(&server, "/v2/repository/models/late/unload", dependents).status, 200);
    assert_problem(&predict(&server, "late"), 404, "model_not_found");
    assert_eq!(index(&server), ["add-one/1: READY", "late/3: UNAVAILABLE unloaded"]);
    let ready = ask(&server, "/v2/repository/index", r#"{"ready":true}"#).ok();
    assert_eq!(ready.as_array().unwrap().len(), 1);
    assert_eq!(server.get("/health").ok()["models"].as_array().unwrap().len(), 1, "meant, so ready");
    let series = server.metrics().series();
    assert!(!series.iter().any(|series| series.contains("\"late\"")), "its series are gone");
    // Once more changes nothing.
    assert_eq!(change(&server, "late", "unload").status, 200);

    assert_eq!(change(&server, "late", "load").status, 200);
    assert_eq!(predict(&server, "late").ok()["y"], json!([2.0, 3.0, 4.0]));
    assert!(server.metrics().sum("inference_requests_total", &[("model", "late")]) > 0.5, "counted anew");
}

#[test]
fn without_a_model_the_server_is_not_ready() {
    let server = Server::builder().repository(Repository::new().fixture("add-one")).start();
    assert_eq!(change(&server, "add-one", "unload").status, 200);
    let health = assert_problem(&server.get("/health"), 503, "not_ready");
    assert!(health["detail"].as_str().unwrap().contains("unloaded"), "{health}");
    assert_eq!(server.get("/health/live").status, 200);
    assert_eq!(server.get("/health/startup").status, 200, "it has started once");
    let gone = assert_problem(&predict(&server, "add-one"), 404, "model_not_found");
    assert!(gone["detail"].as_str().unwrap().contains("no model is loaded"), "{gone}");
    assert_problem(&server.post("/predict", &json!([1, 2, 3])), 404, "model_not_found");
    assert_eq!(change(&server, "add-one", "load").status, 200);
    assert_eq!(server.get("/health").status, 200);
    assert_eq!(server.post("/predict", &json!([1, 2, 3])).status, 200, "the only one again");
}

#[test]
fn a_load_brings_new_and_changed_versions_and_lets_vanished_ones_go() {
    let repository = Repository::new().version("m", "1", "add-one").version("m", "2", "add-one");
    let folder = repository.path().to_owned();
    let server = Server::builder().repository(repository).start();
    let loads = || server.metrics().sum("model_load_total", &[("result", "ok")]);
    // Nothing is loaded again once the files are older than a clock's step.
    wait::until("a load that finds nothing new", wait::PATIENCE, || {
        let before = loads();
        assert_eq!(change(&server, "m", "load").status, 200);
        (loads() - before).abs().lt(&0.5).then_some(())
    });
    let before = server.metrics().sum("model_load_total", &[("version", "2"), ("result", "ok")]);
    put(&folder, "m", "10", "passthrough");
    put(&folder, "m", "2", "passthrough");
    fs::remove_dir_all(folder.join("m/1")).unwrap();
    assert_eq!(predict(&server, "m").ok()["model"]["version"], "2", "nothing changes by itself");
    assert_eq!(change(&server, "m", "load").status, 200);
    let answer = predict(&server, "m").ok();
    let model = json!({ "name": "m", "version": "10" });
    assert_eq!((&answer["x"], &answer["model"]), (&json!([1.0, 2.0, 3.0]), &model));
    assert_eq!(server.post("/predict/m/versions/2", &json!([1, 2, 3])).ok()["x"], json!([1.0, 2.0, 3.0]));
    assert_problem(&server.post("/predict/m/versions/1", &json!([1, 2, 3])), 404, "version_not_found");
    wait::until("version 1 to be let go", wait::PATIENCE, || {
        (index(&server) == ["m/2: READY", "m/10: READY"]).then_some(())
    });
    let of =
        |version: &str| server.metrics().sum("model_load_total", &[("version", version), ("result", "ok")]);
    assert!((of("2") - before - 1.0).abs() < 0.5 && (of("10") - 1.0).abs() < 0.5, "each was loaded once");
    let info = server.metrics();
    assert_eq!(info.with("model_info", &[("model", "m")]).count(), 2, "one series for each version");
}

#[test]
fn a_bad_model_leaves_the_old_one_serving_and_every_reason_is_told() {
    let repository = Repository::new().version("m", "1", "add-one").version("m", "2", "add-one");
    let folder = repository.path().to_owned();
    let server = Server::builder().repository(repository).start();
    let before = server.post("/predict/m/versions/1", &json!([1, 2, 3])).ok();
    write(&folder, "m", "1", b"junk");
    put(&folder, "m", "2", "unknown-operator");
    put(&folder, "m", "3", "add-one");
    let answer = refused(&server, "m");
    let failed = answer["models"].as_array().unwrap();
    let versions: Vec<&str> = failed.iter().map(|model| model["version"].as_str().unwrap()).collect();
    assert_eq!(versions, ["1", "2"], "all of them, and none that is good");
    assert!(failed.iter().all(|model| !model["reason"].as_str().unwrap().is_empty()), "{answer}");
    assert_eq!(server.post("/predict/m/versions/1", &json!([1, 2, 3])).ok(), before);
    assert_problem(&server.post("/predict/m/versions/3", &json!([1, 2, 3])), 404, "version_not_found");
    assert_eq!(server.get("/health").status, 200);
    let told = index(&server);
    assert_eq!(told[..2], ["m/1: READY", "m/2: READY"]);
    assert!(told[2].starts_with("m/3: UNAVAILABLE "), "{told:?}");
    assert!(server.metrics().sum("model_load_total", &[("result", "error")]) > 1.5);

    // One that never served, with a manifest that is wrong in two places.
    put(&folder, "new", "1", "add-one");
    fs::write(folder.join("new/model.toml"), "polling = 1\ntask = \"magic\"\n").unwrap();
    let problem = refused(&server, "new");
    assert!(problem["models"][0]["reason"].as_str().unwrap().contains("polling"), "{problem}");
    assert_eq!(server.get("/health").status, 200, "what was never served makes nobody unready");

    put(&folder, "m", "1", "add-one");
    put(&folder, "m", "2", "add-one");
    assert_eq!(change(&server, "m", "load").status, 200);
    assert_eq!(index(&server)[..3], ["m/1: READY", "m/2: READY", "m/3: READY"]);
}

#[test]
fn only_what_the_configured_paths_hold_can_be_loaded_and_nothing_comes_in_a_request() {
    let outside = Repository::new().fixture("add-one");
    let repository = Repository::new().fixture("passthrough");
    let folder = repository.path().to_owned();
    let server = Server::builder().repository(repository).start();
    for name in ["nobody", "..", "%2e%2e%2fadd-one", "a%00b", "%20"] {
        for verb in ["load", "unload"] {
            assert_problem(&change(&server, name, verb), 404, "model_not_found");
        }
    }
    std::os::unix::fs::symlink(outside.path().join("add-one"), folder.join("linked")).unwrap();
    let refused = refused(&server, "linked");
    assert!(refused["models"][0]["reason"].as_str().unwrap().contains("outside"), "{refused}");
    for parameter in ["config", "file:1/model.onnx", "other"] {
        let body = json!({ "parameters": { parameter: "{}" } }).to_string();
        let answer = ask(&server, "/v2/repository/models/passthrough/load", &body);
        let problem = assert_problem(&answer, 400, "unknown_input");
        assert!(problem["pointer"].as_str().unwrap().starts_with("/parameters"), "{problem}");
    }
    assert_problem(&ask(&server, "/v2/repository/models/passthrough/load", "{"), 400, "invalid_json");
}

#[test]
fn a_load_ends_with_the_process_and_the_exit_is_clean() {
    let repository = Repository::new().fixture("add-one");
    let folder = repository.path().to_owned();
    let mut server = Server::builder().repository(repository).start();
    // A warm-up of minutes.
    put(&folder, "slow", "1", "slow");
    fs::write(folder.join("slow/model.toml"), slow_warmup(MINUTES)).unwrap();
    let admin = server.admin;
    let loading = std::thread::spawn(move || {
        let request = crate::harness::Request::new("POST", "/v2/repository/models/slow/load");
        crate::harness::Connection::open(admin).call(&request)
    });
    wait::until("the load to begin", wait::PATIENCE, || {
        index(&server).contains(&"slow/1: LOADING".to_owned()).then_some(())
    });
    assert_eq!(server.get("/health").status, 200, "the pod serves on");
    assert_problem(&predict(&server, "slow"), 404, "model_not_found");
    server.process.signal("TERM");
    assert_problem(&loading.join().unwrap(), 503, "draining");
    assert_eq!(server.exit_code(Duration::from_mins(1)), Some(0));
}

#[test]
fn a_load_that_takes_too_long_is_given_up_and_changes_nothing() {
    let repository = Repository::new().fixture("add-one");
    let folder = repository.path().to_owned();
    let limit = ("ML_INFERENCE_ADMIN__LOAD_TIMEOUT", "1s");
    let server = Server::builder().repository(repository).env(limit.0, limit.1).start();
    // A warm-up of several seconds.
    put(&folder, "slow", "1", "slow");
    fs::write(folder.join("slow/model.toml"), slow_warmup(7_000)).unwrap();
    let problem = assert_problem(&change(&server, "slow", "load"), 504, "deadline_exceeded");
    assert!(problem["detail"].as_str().unwrap().contains("longer than 1 s"), "{problem}");
    // The thread cannot be stopped; what it makes is dropped.
    wait::until("the load to end", wait::PATIENCE, || {
        index(&server)
            .contains(&"slow/1: UNAVAILABLE the load was given up before its end".to_owned())
            .then_some(())
    });
    assert_problem(&predict(&server, "slow"), 404, "model_not_found");
    assert_eq!(predict(&server, "add-one").status, 200);
    fs::remove_file(folder.join("slow/model.toml")).unwrap();
    assert_eq!(change(&server, "slow", "load").status, 200);
    assert_eq!(server.get("/health").status, 200);
}
