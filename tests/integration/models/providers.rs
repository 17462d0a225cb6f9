//! NVIDIA's providers where they can't be had, by the real library of the GPU build: an error that says why and what
//! to do, and the CPU only where a manifest allows it. On a machine that has all they need they are had, and nothing
//! else.

use std::path::PathBuf;

use serde_json::Value;

use crate::harness::wait::PATIENCE;
use crate::harness::{Repository, Server, command, settings};

/// ONNX Runtime with NVIDIA's providers, without CUDA's libraries beside it.
fn library() -> PathBuf {
    settings::gpu_runtime()
}

fn manifest(provider: &str, more: &str) -> String {
    format!("[execution]\nproviders = [\"{provider}\"]\n{more}\n")
}

/// What `check` says of a model with this manifest, and its exit code.
fn checked(manifest: &str) -> (Value, Option<i32>) {
    let repository = Repository::new().model("m", "add-one", manifest);
    let path = repository.path().display().to_string();
    let finished =
        command::run(["check", "--format", "json", &path]).env("ORT_DYLIB_PATH", library()).finish();
    (finished.json(), finished.code)
}

/// The reason of a provider that can't be had: cause, words of the loader, driver; and no folder of this machine.
#[track_caller]
fn explained(reason: &str, provider: &str) {
    let cause = reason.strip_prefix(&format!("provider {provider} can't be had: ")).expect(reason);
    let causes =
        ["CUDA 13 and cuDNN 9 are not here", "TensorRT 10 is not here", "there is no NVIDIA driver here"];
    assert!(causes.iter().any(|known| cause.starts_with(known)), "{reason}");
    let libraries = ["libcublas", "libcudart.so", "libnvinfer", "libcuda.so", "CUDA failure"];
    assert!(libraries.iter().any(|library| reason.contains(library)), "which library: {reason}");
    assert!(reason.contains("driver"), "what NVML says: {reason}");
    assert!(!reason.contains(library().parent().unwrap().to_str().unwrap()), "{reason}");
    assert!(!reason.contains(".cc:"), "{reason}");
}

#[test]
fn a_provider_that_cannot_be_had_is_an_error_that_says_why() {
    for provider in ["cuda", "tensorrt"] {
        let (report, code) = checked(&manifest(provider, ""));
        if let [model] = report["models"].as_array().unwrap().as_slice() {
            assert_eq!((model["provider"].as_str(), code), (Some(provider), Some(0)), "{report:#}");
            continue;
        }
        assert_eq!(code, Some(1), "{report:#}");
        explained(report["problems"][0]["message"].as_str().unwrap(), provider);
    }
}

#[test]
fn the_cpu_stands_in_only_where_a_manifest_allows_it_and_says_so() {
    for provider in ["cuda", "tensorrt"] {
        let (report, code) = checked(&manifest(provider, "allow_fallback = true"));
        assert_eq!(code, Some(0), "{report:#}");
        let model = &report["models"][0];
        if model["provider"] == provider {
            continue;
        }
        assert_eq!((&model["provider"], &model["device"]), (&"cpu".into(), &"cpu".into()));
        assert_eq!(model["nodes"].as_object().unwrap().keys().collect::<Vec<_>>(), ["cpu"]);
        let notes = model["notes"].as_array().unwrap();
        let note = notes.iter().filter_map(Value::as_str).find(|note| note.starts_with("provider "));
        explained(note.expect("a note says why"), provider);
    }
}

#[test]
fn options_that_make_no_sense_are_told_before_any_library_is_needed() {
    for (more, said) in [
        ("devices = [0, 0]", "at least one, and each once"),
        ("devices = [1]\ncuda = { device_id = \"0\" }", "leave `device_id` out"),
        ("cuda = { gpu_mem_limit = \"lots\" }", "gpu_mem_limit = \"lots\": expected a number with a unit"),
        ("precision = \"fp16\"", "provider cuda has no precision fp16"),
    ] {
        let (report, code) = checked(&manifest("cuda", more));
        assert_eq!(code, Some(1));
        let message = report["problems"][0]["message"].as_str().unwrap();
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn a_server_is_never_ready_with_a_provider_that_it_has_not() {
    let repository = Repository::new().model("m", "add-one", &manifest("cuda", ""));
    let (report, _) = checked(&manifest("cuda", ""));
    if report["ok"] == true {
        return;
    }
    let builder = Server::builder().repository(repository).env("ORT_DYLIB_PATH", library());
    let mut process = builder.spawn();
    let code = process.wait(PATIENCE);
    assert_eq!(code, Some(1), "{}", process.stderr());
    let said = process.stderr();
    assert!(said.contains("provider cuda can't be had"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_stand_in_shows_in_metadata_metrics_and_log() {
    let manifest = manifest("cuda", "allow_fallback = true");
    let repository = Repository::new().model("m", "add-one", &manifest);
    let server = Server::builder().repository(repository).env("ORT_DYLIB_PATH", library()).start();
    let described = server.get("/predict/m").ok();
    let provider = described["execution"]["provider"].as_str().unwrap().to_owned();
    assert_eq!(described["execution"]["nodes"][&provider], 1, "{described:#}");
    let metrics = server.metrics();
    let labels = [("model", "m"), ("provider", provider.as_str())];
    assert!((metrics.sum("model_info", &labels) - 1.0).abs() < f64::EPSILON);
    assert!((metrics.sum("model_nodes", &labels) - 1.0).abs() < f64::EPSILON);
    if provider == "cpu" {
        let said = server.process.stderr();
        assert!(said.contains("provider cuda can't be had"), "{said}");
        assert!(!metrics.names().iter().any(|name| name.starts_with("gpu_")), "no model runs on a GPU");
    }
}
