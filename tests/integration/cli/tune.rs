//! `tune`: measures, and changes a manifest only for the better.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::Repository;
use crate::harness::command::{Finished, run};
use crate::harness::models::fixture_path;

const MANIFEST: &str = "# ours\nname = \"add-one\" # a name\n\n[[golden]]\ninput = [1.0, 2.0, 3.0]\n\
                        expected = { y = [2.0, 3.0, 4.0] } # right\n";

fn tune(path: &Path, more: &[&str]) -> Finished {
    let mut arguments = vec!["tune".as_ref(), path.as_os_str(), "--budget".as_ref(), "2s".as_ref()];
    arguments.extend(more.iter().map(AsRef::<std::ffi::OsStr>::as_ref));
    run(arguments).finish()
}

fn manifest_of(repository: &Repository) -> String {
    fs::read_to_string(repository.path().join("add-one/model.toml")).unwrap()
}

/// The settings of an answer, where they are the present ones' own.
fn settings(setting: &Value) -> [&Value; 4] {
    ["provider", "precision", "instances", "max_batch_size"].map(|key| &setting[key])
}

#[test]
fn what_is_written_is_what_was_chosen_and_nothing_else_changes() {
    let repository = Repository::new().model("add-one", "add-one", MANIFEST);
    let path = repository.path().join("add-one");
    let answer = tune(&path, &["--format", "json"]).exits(0).json();
    let outcome = &answer["outcome"];
    let compared = answer["compared"].as_array().unwrap();
    assert_eq!(settings(&compared[0]["setting"]), settings(&answer["now"]), "{answer}");
    let rounds = |comparison: &Value| comparison["rounds"].as_array().unwrap().len();
    assert!(compared.iter().all(|comparison| rounds(comparison) >= 5), "{answer}");
    let is_gain = compared.iter().any(|comparison| comparison["verdict"]["is_gain"] == true);
    let text = manifest_of(&repository);
    if outcome["written"].is_null() {
        assert_eq!(text, MANIFEST);
        assert_eq!(outcome["chosen"], answer["now"], "{answer}");
    } else {
        assert!(is_gain && outcome["chosen"] != answer["now"], "{answer}");
        for kept in MANIFEST.lines() {
            assert!(text.contains(kept), "{kept}: {text}");
        }
    }
    run(["check".as_ref(), path.as_os_str()]).finish().exits(0);
}

#[test]
fn a_dry_run_shows_the_evidence_and_writes_nothing() {
    let repository = Repository::new().model("add-one", "add-one", MANIFEST);
    let path = repository.path().join("add-one");
    let text = tune(&path, &["--dry-run"]).exits(0).stdout;
    for told in
        ["first look", "interleaved rounds", "now: cpu fp32", "rows/s", "p99 ms", "CPU us/row", "median"]
    {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert!(text.contains("the present settings stay") || text.contains("chosen:"), "{text}");
    assert_eq!(manifest_of(&repository), MANIFEST);
}

#[test]
fn output_gets_the_whole_manifest() {
    let repository = Repository::new().model("add-one", "add-one", MANIFEST);
    let file = repository.path().join("tuned.toml");
    tune(&repository.path().join("add-one"), &["--output", file.to_str().unwrap()]).exits(0);
    assert!(fs::read_to_string(file).unwrap().starts_with("# ours\nname = \"add-one\" # a name\n"));
    assert_eq!(manifest_of(&repository), MANIFEST);
}

#[test]
fn a_single_file_is_measured_and_left_alone() {
    let repository = Repository::new();
    let file = repository.path().join("m.onnx");
    fs::copy(fixture_path("add-one"), &file).unwrap();
    tune(&file, &[]).exits(0);
    let entries = fs::read_dir(repository.path()).unwrap().count();
    assert_eq!(entries, 1, "nothing was put beside it");
}

#[test]
fn a_variant_is_compared_and_never_written() {
    let repository = Repository::new().model("add-one", "add-one", MANIFEST).model(
        "other",
        "add-one",
        "name = \"other\"\n",
    );
    let other = repository.path().join("other");
    let arguments = ["--variant", other.to_str().unwrap(), "--format", "json", "--accept-precision"];
    let answer = tune(&repository.path().join("add-one"), &arguments).exits(0).json();
    let found = &answer["choices"][0]["found"];
    assert_eq!((&found["passes"], &found["measure"]), (&Value::Bool(true), &"numbers".into()), "{answer}");
    assert!(answer["outcome"]["chosen"]["variant"].is_null(), "{answer}");
}

#[test]
fn a_variant_with_other_answers_is_not_measured_further() {
    let manifest = "[[golden]]\ninput = { x = [1.0, 2.0, 3.0] }\nexpected = {}\n";
    let repository = Repository::new().model("add-one", "add-one", manifest).model(
        "other",
        "fixed-sum",
        "name = \"other\"\n",
    );
    let other = repository.path().join("other");
    let answer =
        tune(&repository.path().join("add-one"), &["--variant", other.to_str().unwrap(), "--format", "json"]);
    let answer = answer.exits(0).json();
    assert_ne!(answer["choices"][0]["found"]["passes"], true, "{answer}");
    let screened = answer["screen"].as_array().unwrap();
    assert!(screened.iter().all(|screened| screened["variant"].is_null()), "{answer}");
}

#[test]
fn what_can_not_be_is_said_before_anything_is_measured() {
    let repository = Repository::new().model("add-one", "add-one", MANIFEST).fixture("fixed-sum");
    let path = repository.path().join("add-one");
    let bad = tune(&path, &["--output", "/no/such/folder/model.toml"]).exits(1);
    assert!(bad.stderr.contains("can't be written") && bad.stderr.contains("--dry-run"), "{}", bad.stderr);
    let lacking = tune(&path, &["--providers", "openvino", "--dry-run"]).exits(64);
    assert!(lacking.stderr.contains("built without openvino"), "{}", lacking.stderr);
    let several = tune(repository.path(), &[]).exits(64);
    assert!(several.stderr.contains("several models"), "{}", several.stderr);
    tune(&path, &["--agreement", "2"]).exits(64);
    tune(&path, &["--data", "/no/such/file", "--dry-run"]).exits(64);
}

#[test]
fn an_instance_that_the_model_refuses_is_named() {
    let repository = Repository::new().model("add-one", "add-one", MANIFEST);
    let data = repository.path().join("data.jsonl");
    fs::write(&data, "[1.0, 2.0, 3.0]\n[\"text\"]\n").unwrap();
    let path = repository.path().join("add-one");
    let refused = tune(&path, &["--data", data.to_str().unwrap(), "--dry-run"]).exits(1);
    assert!(refused.stderr.contains("instance 2 of"), "{}", refused.stderr);
}
