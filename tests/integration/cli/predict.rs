//! `predict`: one prediction in this process.

use std::fs;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use tempfile::NamedTempFile;

use crate::harness::command::run;
use crate::harness::vectors::{self, assert_close};
use crate::harness::{Repository, settings};

#[test]
fn from_a_file_and_from_standard_input() {
    let fraud = settings::package("models/fraud-detector");
    let input = vectors::fraud_instance(0).to_string();
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), &input).unwrap();
    let from_file =
        run(["predict".as_ref(), fraud.as_os_str(), "--input".as_ref(), file.path().as_os_str()]).finish();
    let from_stdin =
        run(["predict".as_ref(), fraud.as_os_str(), "--input".as_ref(), "-".as_ref()]).input(&input).finish();
    for finished in [from_file, from_stdin] {
        let answer = finished.exits(0).json();
        let scores = json!([answer["scores"]["legitimate"], answer["scores"]["fraud"]]);
        assert_close(&scores, &vectors::fraud()["scores"][0], 1e-5);
    }
}

#[test]
fn lists_are_answered_as_lists() {
    let repository = Repository::new().fixture("add-one");
    let model = repository.path().join("add-one");
    let finished = run(["predict".as_ref(), model.as_os_str(), "--input".as_ref(), "-".as_ref()])
        .input("{\"instances\":[[1,2,3],[4,5,6]]}")
        .finish()
        .exits(0);
    assert_eq!(finished.json()["predictions"], json!([{"y": [2.0, 3.0, 4.0]}, {"y": [5.0, 6.0, 7.0]}]));
}

#[test]
fn what_is_wrong_is_said_on_standard_error() {
    let repository = Repository::new().fixture("add-one");
    let model = repository.path().join("add-one");
    let predict = |input: &str| {
        run(["predict".as_ref(), model.as_os_str(), "--input".as_ref(), "-".as_ref()])
            .input(input)
            .finish()
            .exits(1)
    };
    for input in ["{\"x\":[1,2]}", "no json", ""] {
        let finished = predict(input);
        assert!(finished.stdout.is_empty() && !finished.stderr.is_empty(), "{finished:?}");
    }
    run(["predict", "/does/not/exist", "--input", "-"]).input("{}").finish().exits(1);
    run(["predict"]).finish().exits(64);
}

#[test]
fn a_picture_is_taken_as_it_is() {
    let image = &vectors::digits()["images"][0];
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("digit.png");
    fs::write(&file, BASE64_STANDARD.decode(image["b64"].as_str().unwrap()).unwrap()).unwrap();
    let model = settings::package("models/digits");
    let arguments = ["predict".as_ref(), model.as_os_str(), "--input".as_ref(), file.as_os_str()];
    assert_eq!(run(arguments).finish().exits(0).json()["label"], image["label"]);
}
