//! The clients of OpenAI, KServe and MLflow for Python.

use std::process::Command;

use crate::harness::{settings, shared};

/// Runs a file of `tests/clients/`, and demands that all its tests pass.
#[track_caller]
fn passes(file: &str) {
    let mut command = Command::new(settings::other_clients());
    command.arg(settings::package("tests/clients").join(file)).arg(shared().http.to_string());
    let home = tempfile::TempDir::new().unwrap();
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", home.path())
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("\nOK"), "{said}");
}

#[test]
fn openais_client_gets_embeddings_and_raises_its_own_exceptions() {
    passes("openai_v1.py");
}

#[test]
fn kserves_client_predicts_by_both_versions_of_its_protocol() {
    passes("kserve_rest.py");
}

#[test]
fn mlflows_client_scores_tables_and_arrays() {
    passes("mlflow_scoring.py");
}
