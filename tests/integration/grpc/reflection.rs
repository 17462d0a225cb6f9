//! Reflection and health through grpcurl, which we did not write and which knows nothing of our
//! definitions but what it asks for.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::server::shared_with_strangers as strangers;
use crate::harness::{Server, settings};

/// What grpcurl said, and whether it was content.
fn grpcurl(server: &Server, more: &[&str]) -> (bool, String, String) {
    let mut command = Command::new(settings::grpcurl());
    command.args(["-plaintext", "-max-time", "30"]).env_clear().env("PATH", "/usr/bin:/bin");
    let (options, rest): (Vec<&str>, Vec<&str>) = match more {
        ["-d", data, rest @ ..] => (vec!["-d", data], rest.to_vec()),
        rest => (Vec::new(), rest.to_vec()),
    };
    let output = command.args(options).arg(server.grpc.to_string()).args(rest).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[track_caller]
fn told(more: &[&str]) -> String {
    let (good, stdout, stderr) = grpcurl(strangers(), more);
    assert!(good, "{stderr}");
    stdout
}

#[track_caller]
fn called(method: &str, data: &Value) -> Value {
    let method = format!("inference.GRPCInferenceService/{method}");
    serde_json::from_str(&told(&["-d", &data.to_string(), &method])).unwrap()
}

#[test]
fn every_service_is_listed_and_described() {
    let services = told(&["list"]);
    for service in [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
    ] {
        assert!(services.lines().any(|line| line == service), "{services}");
        assert!(told(&["describe", service]).contains("rpc "), "{service}");
    }
    let methods = told(&["list", "inference.GRPCInferenceService"]);
    assert!(methods.contains("ModelStreamInfer") && methods.contains("RepositoryIndex"), "{methods}");
    for symbol in ["inference.ModelInferRequest", "inference.ModelConfig", "google.rpc.ErrorInfo"] {
        assert!(told(&["describe", symbol]).contains("message "), "{symbol}");
    }
    let (good, _, stderr) = grpcurl(strangers(), &["describe", "inference.Nothing"]);
    assert!(!good && !stderr.is_empty());
}

#[test]
fn an_inference_by_reflection_alone() {
    let input = json!({"name": "x", "datatype": "FP32", "shape": [1, 3],
        "contents": {"fp32_contents": [1, 2.5, -3]}});
    let answer = called("ModelInfer", &json!({"model_name": "add-one", "id": "7", "inputs": [input]}));
    assert_eq!((&answer["modelName"], &answer["id"]), (&json!("add-one"), &json!("7")));
    assert_eq!(answer["outputs"][0]["contents"]["fp32Contents"], json!([2, 3.5, -2]));
    assert_eq!(called("ModelReady", &json!({"name": "add-one"}))["ready"], json!(true));
    assert_eq!(called("ModelReady", &json!({"name": "nobody"})), json!({}));
    let input =
        json!({"name": "x", "datatype": "FP32", "shape": [1, 2], "contents": {"fp32_contents": [1, 2]}});
    let request = json!({"model_name": "add-one", "inputs": [input]}).to_string();
    let (good, _, stderr) =
        grpcurl(strangers(), &["-d", &request, "inference.GRPCInferenceService/ModelInfer"]);
    assert!(!good, "a wrong shape");
    for words in ["InvalidArgument", "shape_mismatch", "/inputs/0/shape", "ErrorInfo"] {
        assert!(stderr.contains(words), "{words} in {stderr}");
    }
}

#[test]
fn health_as_probes_ask_for_it() {
    for service in ["", "add-one", "inference.GRPCInferenceService"] {
        let data = json!({"service": service}).to_string();
        let answer: Value =
            serde_json::from_str(&told(&["-d", &data, "grpc.health.v1.Health/Check"])).unwrap();
        assert_eq!(answer, json!({"status": "SERVING"}), "{service}");
    }
    let data = json!({"service": "nobody"}).to_string();
    let (good, _, stderr) = grpcurl(strangers(), &["-d", &data, "grpc.health.v1.Health/Check"]);
    assert!(!good && stderr.contains("NotFound"), "{stderr}");
}
