//! What the tests take from the environment. `make test` sets all of it.

use std::ffi::OsString;
use std::path::PathBuf;

#[expect(clippy::disallowed_methods, reason = "the one place where the tests read the environment")]
fn path_of(name: &str) -> PathBuf {
    let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else {
        panic!("{name} is not set: run `make test`, which fetches what the tests need and sets it");
    };
    let path = PathBuf::from(value);
    assert!(path.exists(), "{name} names {}, which does not exist: run `make test`", path.display());
    path
}

/// Where a server whose build counts what is executed (`make coverage`) keeps its counters.
#[expect(clippy::disallowed_methods, reason = "the one place where the tests read the environment")]
pub(crate) fn counters() -> Option<(&'static str, OsString)> {
    let name = "LLVM_PROFILE_FILE";
    std::env::var_os(name).map(|path| (name, path))
}

/// The ONNX Runtime library that the server loads.
pub(crate) fn runtime_library() -> PathBuf {
    path_of("ORT_DYLIB_PATH")
}

/// ONNX Runtime with NVIDIA's providers, and nothing of CUDA beside it.
pub(crate) fn gpu_runtime() -> PathBuf {
    path_of("INFERENCE_TEST_GPU_RUNTIME")
}

/// The OpenTelemetry Collector.
pub(crate) fn collector() -> PathBuf {
    path_of("INFERENCE_TEST_OTELCOL")
}

/// Prometheus' own checker.
pub(crate) fn promtool() -> PathBuf {
    path_of("INFERENCE_TEST_PROMTOOL")
}

/// Prometheus' server.
pub(crate) fn prometheus() -> PathBuf {
    path_of("INFERENCE_TEST_PROMETHEUS")
}

/// The Python that has Triton's client.
pub(crate) fn triton_client() -> PathBuf {
    path_of("INFERENCE_TEST_TRITONCLIENT")
}

/// The Python that has the clients of OpenAI, KServe, MLflow and Prometheus.
pub(crate) fn clients() -> PathBuf {
    path_of("INFERENCE_TEST_CLIENTS")
}

/// grpcurl.
pub(crate) fn grpcurl() -> PathBuf {
    path_of("INFERENCE_TEST_GRPCURL")
}

/// The Python that has Schemathesis and a validator of OpenAPI descriptions.
pub(crate) fn schemathesis() -> PathBuf {
    path_of("INFERENCE_TEST_SCHEMATHESIS")
}

/// The folder with `node` and jsdom.
pub(crate) fn jsdom() -> PathBuf {
    path_of("INFERENCE_TEST_JSDOM")
}

/// A folder or file of the repository.
pub(crate) fn package(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}
