//! `/v2`, `/v2/models` and the metadata of one.

use serde_json::{Value, json};

use crate::harness::{Repository, Server, assert_problem, shared};

#[test]
fn the_server_says_what_it_is() {
    for target in ["/v2", "/v2/"] {
        let server = shared().get(target).ok();
        assert_eq!(server["name"], "ml-inference-api", "{target}");
        assert_eq!(server["version"], shared().get("/").ok()["version"], "{target}");
        let extensions = json!([
            "classification",
            "schedule_policy",
            "model_configuration",
            "binary_tensor_data",
            "parameters",
            "statistics"
        ]);
        assert_eq!(server["extensions"], extensions, "{target}");
        assert_eq!(server.as_object().unwrap().len(), 3, "{target}");
    }
}

#[test]
fn the_list_has_each_model_once() {
    let listed = shared().get("/v2/models").ok();
    let names: Vec<&str> =
        listed["models"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    for name in ["add-one", "fraud-detector", "versions", "zipmap"] {
        assert_eq!(names.iter().filter(|listed| **listed == name).count(), 1, "{name}: {names:?}");
    }
}

fn metadata(model: &str) -> Value {
    shared().get(&format!("/v2/models/{model}")).ok()
}

#[test]
fn metadata_has_every_field_of_the_protocol() {
    let digest = shared().get("/predict/add-one").ok()["sha256"].clone();
    let expected = json!({
        "name": "add-one",
        "versions": ["1"],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}],
        "properties": {"task": "tensors", "sha256": digest},
    });
    assert_eq!(metadata("add-one"), expected);
    assert_eq!(metadata("add-one/versions/1"), expected);
}

#[test]
fn shapes_are_whole_and_types_are_the_protocols() {
    let tensor = |name: &str, datatype: &str, shape: Value| json!({"name": name, "datatype": datatype, "shape": shape});
    assert_eq!(metadata("fixed-sum")["inputs"], json!([tensor("x", "FP32", json!([2, 3]))]));
    assert_eq!(metadata("no-batch")["inputs"], json!([tensor("x", "FP32", json!([]))]));
    assert_eq!(metadata("strings")["inputs"], json!([tensor("x", "BYTES", json!([-1]))]));
    let two = metadata("two-inputs");
    assert_eq!(
        two["inputs"],
        json!([tensor("a", "FP32", json!([-1, 2])), tensor("b", "INT64", json!([-1, 2]))])
    );
    assert_eq!(two["outputs"].as_array().unwrap().len(), 2, "{two}");
    let maps = metadata("zipmap");
    let scores = tensor("output_probability", "FP32", json!([-1, 3]));
    assert_eq!(maps["outputs"][1], scores, "a map a row reads as its scores");
    let types: Vec<Value> = metadata("dtypes")["inputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|input| input["datatype"].clone())
        .collect();
    for datatype in [
        "FP16", "BF16", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64",
        "BOOL",
    ] {
        assert!(types.iter().any(|known| known == datatype), "{datatype}: {types:?}");
    }
}

#[test]
fn versions_are_strings_in_their_order_and_each_has_metadata() {
    for target in ["versions", "versions/versions/2", "versions/versions/10"] {
        assert_eq!(metadata(target)["versions"], json!(["2", "9", "10"]), "{target}");
    }
    for unknown in ["1", "02", "x", "-1", "99999999999999999999"] {
        let answer = shared().get(&format!("/v2/models/versions/versions/{unknown}"));
        assert_problem(&answer, 404, "version_not_found");
    }
}

#[test]
fn a_description_is_a_property() {
    let manifest = "description = \"Adds one.\"\n";
    let server = Server::builder().repository(Repository::new().model("m", "add-one", manifest)).start();
    assert_eq!(server.get("/v2/models/m").ok()["properties"]["description"], "Adds one.");
}

#[test]
fn odd_names_name_no_model() {
    let long = "x".repeat(10 << 10);
    for name in ["%2e%2e", "%00", "a%00b", "a%20b", "%2F", "%ff", "add-one%00", "ADD-ONE", "%C3%A9", &long] {
        for suffix in ["", "/ready", "/config", "/stats", "/versions/1", "/versions/1/stats"] {
            let answer = shared().get(&format!("/v2/models/{name}{suffix}"));
            assert_problem(&answer, 404, "model_not_found");
        }
    }
    for target in ["/v2/models/", "/v2/nothing", "/v2/models/add-one/nothing"] {
        assert_problem(&shared().get(target), 404, "not_found");
    }
}
