//! The runtimes of `deploy/kserve` start the real server on what KServe's storage initializer leaves in the model's folder.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::models::{copy_folder, fixture_path};
use crate::harness::{Server, settings};

const NAME: &str = "payment-risk";
const RUNTIMES: [&str; 2] = ["deploy/kserve/runtime-cpu.yaml", "deploy/kserve/runtime-gpu.yaml"];

/// What the container of a runtime starts, as KServe fills it in, with a folder in place of the mount.
fn arguments(runtime: &str, folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(settings::package(runtime)).unwrap();
    let (_, rest) = text.split_once("\n      args:\n").expect("the runtime has arguments");
    let lines = rest.lines().map_while(|line| line.strip_prefix("        - "));
    lines
        .map(|argument| argument.trim_matches('"').replace("{{.Name}}", NAME))
        .map(|argument| argument.replace("/mnt/models", folder.to_str().unwrap()))
        .collect()
}

/// The server's settings of a runtime, but the choice of a card: there is none here.
fn settings_of(runtime: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(settings::package(runtime)).unwrap();
    let variables =
        text.lines().filter_map(|line| line.trim().strip_prefix("- {name: ML_INFERENCE_")?.strip_suffix('}'));
    let pairs = variables.filter_map(|pair| pair.split_once(", value: "));
    pairs
        .filter(|(name, _)| !name.ends_with("PROVIDERS"))
        .map(|(name, value)| (format!("ML_INFERENCE_{name}"), value.to_owned()))
        .collect()
}

/// A tensor of ones, or of short texts, for an input as the metadata describes it.
fn ones(input: &Value) -> Value {
    let shape: Vec<_> =
        input["shape"].as_array().unwrap().iter().map(|size| size.as_i64().unwrap().max(1)).collect();
    let count = usize::try_from(shape.iter().product::<i64>()).unwrap();
    let one = if input["datatype"] == "BYTES" { json!("a") } else { json!(1) };
    json!({ "name": input["name"], "datatype": input["datatype"], "shape": shape, "data": vec![one; count] })
}

/// Serves a folder as a runtime does, and asks it as KServe's clients do.
#[track_caller]
fn serves(runtime: &str, folder: &Path) {
    let arguments = arguments(runtime, folder);
    assert_eq!(arguments[0], "serve");
    let mut builder = Server::builder();
    for argument in &arguments[1..] {
        builder = builder.arg(argument);
    }
    let variables = settings_of(runtime);
    assert_eq!(variables.len(), 3, "{variables:?}");
    let server = variables.iter().fold(builder, |builder, (name, value)| builder.env(name, value)).start();
    assert_eq!(server.get(&format!("/v2/models/{NAME}/ready")).status, 200);
    assert_eq!(server.get(&format!("/v1/models/{NAME}")).ok()["ready"], true);
    let metadata = server.get(&format!("/v2/models/{NAME}")).ok();
    let inputs: Vec<_> = metadata["inputs"].as_array().unwrap().iter().map(ones).collect();
    let answer = server.post(&format!("/v2/models/{NAME}/infer"), &json!({ "inputs": inputs })).ok();
    assert_eq!(answer["model_name"], NAME);
    let values = answer["outputs"][0]["data"].as_array().unwrap();
    assert!(!values.is_empty(), "{answer}");
    let example = server.get(&format!("/predict/{NAME}")).ok()["example"].clone();
    let instances =
        if example["instances"].is_array() { example["instances"].clone() } else { json!([example]) };
    let answer = server.post(&format!("/v1/models/{NAME}:predict"), &json!({ "instances": instances })).ok();
    assert!(!answer["predictions"][0].is_null(), "{answer}");
}

#[test]
fn a_graph_alone_is_served_by_both_runtimes() {
    let folder = TempDir::new().unwrap();
    fs::copy(fixture_path("add-one"), folder.path().join("model.onnx")).unwrap();
    for runtime in RUNTIMES {
        serves(runtime, folder.path());
    }
}

#[test]
fn versions_with_a_manifest_are_served() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("1")).unwrap();
    fs::copy(fixture_path("zipmap"), folder.path().join("1/model.onnx")).unwrap();
    fs::write(folder.path().join("model.toml"), "schema = 1\nname = \"other\"\n").unwrap();
    serves(RUNTIMES[0], folder.path());
}

#[test]
fn exports_of_hugging_face_mlflow_and_triton_are_served() {
    for export in ["hf-distilbert/model", "mlflow-tensor/model", "triton-batched/classifier"] {
        let folder = TempDir::new().unwrap();
        copy_folder(&settings::package("tests/fixtures/exports").join(export), folder.path());
        serves(RUNTIMES[0], folder.path());
    }
}
