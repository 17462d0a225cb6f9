//! Which model and which version answers.

use serde_json::{Value, json};

use crate::harness::{Repository, Server, assert_problem, shared};

fn row() -> Value {
    json!({"x": [1, 2, 3]})
}

#[test]
fn the_highest_version_is_the_default_and_others_are_asked_for_by_path() {
    let server = shared();
    assert_eq!(server.post("/predict/versions", &row()).ok()["model"]["version"], "10");
    for version in ["2", "9", "10"] {
        let answer = server.post(&format!("/predict/versions/versions/{version}"), &row()).ok();
        assert_eq!(answer["model"], json!({"name": "versions", "version": version}));
    }
    for unknown in ["1", "11", "02", "x", "-1"] {
        let answer = server.post(&format!("/predict/versions/versions/{unknown}"), &row());
        assert_problem(&answer, 404, "version_not_found");
    }
}

#[test]
fn version_policies_choose_what_is_loaded() {
    let versions = |policy: &str| {
        let repository = Repository::new()
            .version("m", "1", "add-one")
            .version("m", "2", "add-one")
            .version("m", "3", "add-one")
            .manifest("m", policy);
        let server = Server::builder().repository(repository).start();
        let found = ["1", "2", "3"]
            .into_iter()
            .filter(|version| server.post(&format!("/predict/m/versions/{version}"), &row()).status == 200);
        found.collect::<Vec<_>>()
    };
    assert_eq!(versions("versions = \"latest\"\n"), ["3"]);
    assert_eq!(versions("versions = { latest = 2 }\n"), ["2", "3"]);
    assert_eq!(versions("versions = [1, 3]\n"), ["1", "3"]);
}

#[test]
fn the_only_model_is_the_default() {
    let server = Server::builder().repository(Repository::new().fixture("add-one")).start();
    assert_eq!(server.post("/predict", &row()).ok()["model"]["name"], "add-one");
}

#[test]
fn of_several_models_none_is_the_default_unless_it_is_named() {
    let repository = Repository::new().fixture("add-one").model("other", "add-one", "");
    let server = Server::builder().repository(repository).start();
    let body = assert_problem(&server.post("/predict", &row()), 404, "model_not_found");
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.contains("/predict/") || detail.contains("MODEL_NAME"), "what to do: {detail}");
}

#[test]
fn an_empty_model_name_is_unset() {
    let server =
        Server::builder().repository(Repository::new().fixture("add-one")).env("MODEL_NAME", "").start();
    assert_eq!(server.post("/predict", &row()).ok()["model"]["name"], "add-one");
}

#[test]
fn a_model_may_be_named_on_the_command_line_or_in_its_manifest() {
    let repository = Repository::new().model("folder", "add-one", "name = \"in-manifest\"\n");
    let path = repository.path().join("folder");
    let server = Server::builder().models(&path).start();
    assert_eq!(server.post("/predict/in-manifest", &row()).status, 200);
    assert_problem(&server.post("/predict/folder", &row()), 404, "model_not_found");
    let server = Server::builder().arg("--models").arg(format!("named={}", path.display())).start();
    assert_eq!(server.post("/predict/named", &row()).ok()["model"]["name"], "named");
}
