//! `check`: loads and verifies without serving.

use serde_json::Value;

use crate::harness::command::run;
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
