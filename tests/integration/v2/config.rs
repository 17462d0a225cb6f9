//! The configuration as Triton's clients read it.

use serde_json::{Value, json};

use crate::harness::{Repository, Server, assert_problem, shared};

fn config(model: &str) -> Value {
    shared().get(&format!("/v2/models/{model}/config")).ok()
}

#[test]
fn a_configuration_has_what_clients_read_and_nothing_else() {
    let manifest = "[execution]\ninstances = 2\nintra_threads = 1\n\
                    [batching]\nmax_batch_size = 8\nmax_queue_delay = \"2ms\"\n";
    let server = Server::builder().repository(Repository::new().model("m", "add-one", manifest)).start();
    let expected = json!({
        "name": "m",
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "version_policy": {"all": {}},
        "max_batch_size": 8,
        "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [3]}],
        "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [3]}],
        "instance_group": [{"name": "m", "kind": "KIND_CPU", "count": 2}],
        "dynamic_batching": {
            "preferred_batch_size": [],
            "max_queue_delay_microseconds": 2000,
            "preserve_ordering": false,
            "priority_levels": 0,
            "default_priority_level": 0,
        },
        "parameters": {"intra_op_thread_count": {"string_value": "1"}},
        "model_transaction_policy": {"decoupled": false},
    });
    assert_eq!(server.get("/v2/models/m/config").ok(), expected);
    assert_eq!(server.get("/v2/models/m/versions/1/config").ok(), expected);
}

#[test]
fn shapes_leave_the_batch_dimension_out_where_there_is_one() {
    let tensor = |name: &str, kind: &str, dims: Value| json!({"name": name, "data_type": kind, "dims": dims});
    let fixed = config("fixed-sum");
    assert_eq!((&fixed["max_batch_size"], fixed.get("dynamic_batching")), (&json!(0), None));
    assert_eq!(fixed["input"], json!([tensor("x", "TYPE_FP32", json!([2, 3]))]));
    assert_eq!(fixed["output"][0]["dims"], json!([2]));
    let mixes = config("mixes-rows");
    assert_eq!((&mixes["max_batch_size"], &mixes["input"][0]["dims"]), (&json!(0), &json!([-1, 3])));
    let strings = config("strings");
    assert_eq!(strings["max_batch_size"], 32);
    assert_eq!(strings["input"], json!([tensor("x", "TYPE_STRING", json!([]))]));
    let types: Vec<String> = config("dtypes")["input"]
        .as_array()
        .unwrap()
        .iter()
        .map(|input| input["data_type"].as_str().unwrap().to_owned())
        .collect();
    for name in ["FP16", "BF16", "FP64", "INT8", "UINT64", "BOOL"] {
        assert!(types.contains(&format!("TYPE_{name}")), "{name}: {types:?}");
    }
}

#[test]
fn the_version_policy_is_the_manifests() {
    let of_three = |repository: Repository, name: &str, policy: &str| {
        let versions = ["1", "2", "3"];
        let repository =
            versions.iter().fold(repository, |all, version| all.version(name, version, "add-one"));
        repository.manifest(name, policy)
    };
    let policies = [
        ("all", "", json!({"all": {}})),
        ("newest", "versions = \"latest\"\n", json!({"latest": {"num_versions": 1}})),
        ("two", "versions = { latest = 2 }\n", json!({"latest": {"num_versions": 2}})),
        ("some", "versions = [1, 3]\n", json!({"specific": {"versions": [1, 3]}})),
    ];
    let repository = policies
        .iter()
        .fold(Repository::new(), |repository, (name, policy, _)| of_three(repository, name, policy));
    let server = Server::builder().repository(repository).start();
    for (name, _, expected) in policies {
        assert_eq!(
            server.get(&format!("/v2/models/{name}/config")).ok()["version_policy"],
            expected,
            "{name}"
        );
    }
}

#[test]
fn what_there_is_not_is_404() {
    assert_problem(&shared().get("/v2/models/nobody/config"), 404, "model_not_found");
    assert_problem(&shared().get("/v2/models/versions/versions/3/config"), 404, "version_not_found");
}
