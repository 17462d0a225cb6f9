//! `config`: what is in force and where it comes from.

use std::fs;

use tempfile::NamedTempFile;

use crate::harness::command::run;

#[test]
fn every_value_with_its_source() {
    let finished = run(["config"])
        .env("ML_INFERENCE_LIMITS__MAX_INSTANCES", "77")
        .env("MODEL_NAME", "somebody")
        .finish()
        .exits(0);
    let out = &finished.stdout;
    let line = out.lines().find(|line| line.contains("max_instances") && line.contains("77"));
    assert!(line.is_some(), "{out}");
    assert!(
        out.contains("ML_INFERENCE_LIMITS__MAX_INSTANCES") && out.contains("MODEL_NAME"),
        "the sources: {out}"
    );
    for default in
        ["request_timeout", "30s", "64MiB", "max_json_depth", "flush_timeout", "2s", "0.0.0.0:8080"]
    {
        assert!(out.contains(default), "{default}: {out}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), "top-secret-value").unwrap();
    let finished = run(["config"])
        .env("ML_INFERENCE_ADMIN__TOKEN_FILE", file.path())
        .env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20top-secret-value")
        .finish()
        .exits(0);
    assert!(!finished.all().contains("top-secret-value"), "{}", finished.all());
}

#[test]
fn mistakes_are_64_here_too() {
    let finished = run(["config"]).env("ML_INFERENCE_LIMITS__MAX_INSTANCES", "many").finish().exits(64);
    assert!(finished.stderr.contains("ML_INFERENCE_LIMITS__MAX_INSTANCES"), "{}", finished.stderr);
}

#[test]
fn the_schema_is_json_schema_and_knows_every_section() {
    let schema = run(["config", "--schema"]).finish().exits(0).json();
    assert!(schema["$schema"].as_str().is_some_and(|text| text.contains("json-schema.org")), "{schema}");
    let properties = schema["properties"].as_object().unwrap();
    for section in ["http", "grpc", "admin", "models", "limits", "drain", "telemetry", "log", "defaults"] {
        assert!(properties.contains_key(section), "{section}: {:?}", properties.keys().collect::<Vec<_>>());
    }
    assert!(schema.to_string().contains("max_inflight_bytes"));
}

#[test]
fn no_runtime_is_needed_for_it() {
    run(["config", "--schema"]).without("ORT_DYLIB_PATH").finish().exits(0);
}
