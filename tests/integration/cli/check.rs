//! `check`: loads and verifies without serving.

use std::path::Path;

use serde_json::Value;

use crate::harness::command::run;
use crate::harness::models::copy_folder;
use crate::harness::{Repository, settings};

fn good() -> Repository {
    Repository::new().fixture("add-one").fixture("fixed-sum").fixture("columns")
}

#[test]
fn good_models_are_described() {
    let fraud = settings::package("models/fraud-detector");
    let finished = run(["check".as_ref(), fraud.as_os_str()]).finish().exits(0);
    for told in ["fraud-detector", "tabular-classification", "features", "probabilities", "cpu", "golden"] {
        assert!(finished.stdout.contains(told), "{told}: {}", finished.stdout);
    }
}

#[test]
fn the_demo_models_are_good() {
    let models = settings::package("models");
    let finished = run(["check".as_ref(), models.as_os_str()]).finish().exits(0);
    for name in ["digits", "fraud-detector", "sentence-embedder", "ticket-topic"] {
        assert!(finished.stdout.contains(name), "{name}: {}", finished.stdout);
    }
}

/// What `check` says of sentence-embedder with four sessions, its temporary files in `folder`.
fn of_four_sessions(folder: &Path) -> Value {
    let models = settings::package("models/sentence-embedder");
    let repository = Repository::new();
    let copy = repository.path().join("sentence-embedder");
    copy_folder(&models, &copy);
    let manifest = std::fs::read_to_string(models.join("model.toml")).unwrap();
    let execution = "[execution]\ninstances = 4\nintra_threads = 1\n";
    std::fs::write(copy.join("model.toml"), format!("{manifest}\n{execution}")).unwrap();
    let arguments = ["check".as_ref(), repository.path().as_os_str(), "--format".as_ref(), "json".as_ref()];
    let answer = run(arguments).env("TMPDIR", folder).finish().exits(0).json();
    model(&answer, "sentence-embedder").clone()
}

#[test]
fn four_sessions_hold_their_weights_once_where_there_is_room_for_a_file() {
    let room = tempfile::tempdir().unwrap();
    let (shared, own) = (of_four_sessions(room.path()), of_four_sessions(Path::new("/nowhere")));
    let file = 90_295_923;
    assert!(shared["shared_weights_bytes"].as_i64().unwrap() > file, "{shared}");
    assert_eq!(own["shared_weights_bytes"], Value::Null);
    let grown = |model: &Value| model["memory_bytes"].as_i64().unwrap();
    assert!(grown(&own) > 4 * file, "a copy each: {own}");
    assert!(grown(&shared) < 3 * file, "one copy: {shared}");
    assert_eq!((&shared["golden"], &shared["instances"]), (&own["golden"], &own["instances"]));
    assert_eq!(std::fs::read_dir(room.path()).unwrap().count(), 0, "files that nobody needs");
}

/// The model's part of the answer, wherever the list stands.
fn model<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let list = answer
        .as_array()
        .or_else(|| answer["models"].as_array())
        .unwrap_or_else(|| panic!("no list: {answer}"));
    list.iter().find(|model| model["name"] == name).unwrap_or_else(|| panic!("no {name}: {answer}"))
}

#[test]
fn as_json() {
    let repository = good();
    let finished =
        run(["check".as_ref(), repository.path().as_os_str(), "--format".as_ref(), "json".as_ref()])
            .finish()
            .exits(0);
    let answer = finished.json();
    for (name, task) in
        [("add-one", "tensors"), ("fixed-sum", "tensors"), ("columns", "tabular-classification")]
    {
        let text = model(&answer, name).to_string();
        assert!(text.contains(task) && text.contains("cpu"), "{text}");
    }
}

#[test]
fn advice_is_a_list_and_trees_get_none() {
    let fraud = settings::package("models/fraud-detector");
    let arguments = ["check".as_ref(), fraud.as_os_str(), "--format".as_ref(), "json".as_ref()];
    let answer = run(arguments).finish().exits(0).json();
    assert_eq!(model(&answer, "fraud-detector")["advice"], serde_json::json!([]));
}

#[test]
fn optional_inputs_are_shown() {
    let repository = Repository::new().fixture("optional-input");
    let path = repository.path().as_os_str();
    let text = run(["check".as_ref(), path]).finish().exits(0).stdout;
    assert!(text.contains("input     x FP32 [batch,2]"), "{text}");
    assert!(text.contains("optional  scale FP32 []") && text.contains("optional  shift INT64 [2]"), "{text}");
    let answer = run(["check".as_ref(), path, "--format".as_ref(), "json".as_ref()]).finish().exits(0).json();
    let optional = &model(&answer, "optional-input")["optional_inputs"];
    assert_eq!(optional[1], serde_json::json!({ "name": "shift", "datatype": "INT64", "shape": "[2]" }));
}

#[test]
fn every_problem_of_every_model_is_told() {
    let repository = good()
        .graph("broken", "1", b"no graph")
        .model("digest", "add-one", "sha256 = \"00\"\n")
        .model(
            "golden",
            "add-one",
            "[[golden]]\ninput = [1.0, 2.0, 3.0]\nexpected = { y = [0.0, 0.0, 0.0] }\n",
        )
        .model("manifest", "add-one", "poling = 1\n");
    for format in ["text", "json"] {
        let finished =
            run(["check".as_ref(), repository.path().as_os_str(), "--format".as_ref(), format.as_ref()])
                .finish();
        assert_ne!(finished.code, Some(0));
        assert_ne!(finished.code, None);
        let all = finished.all();
        for name in ["broken", "digest", "golden", "manifest", "add-one"] {
            assert!(all.contains(name), "{format}: {name}: {all}");
        }
        if format == "json" {
            finished.json();
        }
    }
}

#[test]
fn two_golden_samples_that_fail_are_both_told() {
    let manifest = "[[golden]]\ninput = [1.0, 2.0, 3.0]\nexpected = { y = [0.0, 0.0, 0.0] }\n[[golden]]\ninput = [4.0, 5.0, 6.0]\nexpected = { y = [9.0, 9.0, 9.0] }\n";
    let repository = Repository::new().model("m", "add-one", manifest);
    let finished = run(["check".as_ref(), repository.path().as_os_str()]).finish().exits(1);
    assert!(finished.all().matches("golden").count() >= 2, "{}", finished.all());
}

#[test]
fn nothing_to_check_fails() {
    let empty = Repository::new();
    run(["check".as_ref(), empty.path().as_os_str()]).finish().exits(1);
    run(["check", "/does/not/exist"]).finish().exits(1);
    run(["check"]).finish().exits(64);
}
