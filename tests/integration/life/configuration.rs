//! Configuration mistakes: all told at once, with 64, before anything is bound.

use std::fs;
use std::net::TcpListener;

use tempfile::NamedTempFile;

use crate::harness::server::Builder;
use crate::harness::wait::PATIENCE;
use crate::harness::{Repository, Server, assert_problem};

/// Starts a server on ports that are taken, so that it would fail otherwise had it bound first.
#[track_caller]
fn refuses(builder: Builder) -> String {
    let taken = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [http, admin] = taken.each_ref().map(|listener| listener.local_addr().unwrap());
    let builder = builder.addresses(http, admin);
    let mut process = builder.spawn();
    let code = process.wait(PATIENCE);
    let said = process.stderr();
    assert_eq!(code, Some(64), "{said}");
    assert!(!said.to_lowercase().contains("in use") && !said.contains("panicked"), "{said}");
    said
}

fn builder() -> Builder {
    Server::builder().repository(Repository::new().fixture("add-one"))
}

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn every_mistake_of_every_source_is_told_at_once() {
    let config =
        file("[http]\nmax_connections = -5\nspeed = 3\n[limits]\nmax_body_bytes = 64\n[nonsense]\na = 1\n");
    let said = refuses(
        builder()
            .arg("--config")
            .arg(config.path())
            .env("ML_INFERENCE_LIMITS__REQUEST_TIMEOUT", "soon")
            .env("ML_INFERENCE_LIMITS__MAX_INSTANCES", "many")
            .env("ML_INFERENCE_DRAIN__DELAY", "5")
            .env("ML_INFERENCE_NO__SUCH_KEY", "1")
            .env("ML_INFERENCE_LOG__FORMAT", "xml"),
    );
    for told in [
        "max_connections",
        "speed",
        "max_body_bytes",
        "nonsense",
        "ML_INFERENCE_LIMITS__REQUEST_TIMEOUT",
        "soon",
        "ML_INFERENCE_LIMITS__MAX_INSTANCES",
        "many",
        "ML_INFERENCE_DRAIN__DELAY",
        "ML_INFERENCE_NO__SUCH_KEY",
        "ML_INFERENCE_LOG__FORMAT",
        "xml",
    ] {
        assert!(said.contains(told), "{told} is missing in:\n{said}");
    }
    assert!(said.contains(&config.path().display().to_string()), "the source: {said}");
    assert!(said.contains("ms") && said.contains("json"), "the expected form: {said}");
}

#[test]
fn each_mistake_alone_is_enough() {
    for (name, value) in [
        ("ML_INFERENCE_LIMITS__MAX_BODY_BYTES", "64"),
        ("ML_INFERENCE_LIMITS__MAX_BODY_BYTES", "-1MiB"),
        ("ML_INFERENCE_LIMITS__MAX_JSON_DEPTH", "0"),
        ("ML_INFERENCE_LIMITS__MAX_INSTANCES", "0"),
        ("ML_INFERENCE_HTTP__MAX_CONNECTIONS", "0"),
        ("ML_INFERENCE_HTTP__HEADER_TIMEOUT", "10"),
        ("ML_INFERENCE_TELEMETRY__TRUST_PARENT", "maybe"),
        ("ML_INFERENCE_LOG__ACCESS", "some"),
        ("ML_INFERENCE_LOG__LEVEL", "loud"),
        ("ML_INFERENCE_DEFAULTS__QUEUE__MAX_SIZE", "none"),
        ("ML_INFERENCE_SPEED", "1"),
    ] {
        let said = refuses(builder().env(name, value));
        assert!(said.contains(name), "{name}={value}: {said}");
    }
}

#[test]
fn a_default_model_that_nobody_has_is_a_mistake() {
    for name in ["ML_INFERENCE_MODELS__DEFAULT", "MODEL_NAME"] {
        let builder = builder().env(name, "nobody");
        let mut process = builder.spawn();
        assert_eq!(process.wait(PATIENCE), Some(64), "{name}: {}", process.stderr());
        let said = process.stderr();
        assert!(said.contains("nobody") && said.contains("add-one"), "what there is: {said}");
        assert!(said.contains("MODEL_NAME") || said.contains("models.default"), "{said}");
    }
}

#[test]
fn files_that_cannot_be_read_or_parsed() {
    let said = refuses(builder().arg("--config").arg("/does/not/exist.toml"));
    assert!(said.contains("/does/not/exist.toml"), "{said}");
    let broken = file("[http\n");
    let said = refuses(builder().arg("--config").arg(broken.path()));
    assert!(said.contains(&broken.path().display().to_string()), "{said}");
}

#[test]
fn a_port_that_is_taken_is_a_failure_and_no_mistake() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = crate::harness::ports::free(1)[0];
    let builder = builder().addresses(taken.local_addr().unwrap(), admin);
    let mut process = builder.spawn();
    assert_eq!(process.wait(PATIENCE), Some(1), "{}", process.stderr());
    assert!(process.stderr().contains(&taken.local_addr().unwrap().to_string()), "{}", process.stderr());
}

#[test]
fn the_environment_wins_over_the_file_and_flags_over_both() {
    let config = file("[limits]\nmax_instances = 1\nmax_json_depth = 5\n[log]\nlevel = \"warn\"\n");
    let server =
        builder().arg("--config").arg(config.path()).env("ML_INFERENCE_LIMITS__MAX_INSTANCES", "2").start();
    let rows = |count: usize| serde_json::json!({"instances": vec![serde_json::json!([1, 2, 3]); count]});
    server.post("/predict/add-one", &rows(2)).ok();
    assert_problem(&server.post("/predict/add-one", &rows(3)), 400, "batch_too_large");
}

#[test]
fn values_may_come_from_files_and_an_exact_key_wins() {
    let name = file("other\n");
    let repository = || Repository::new().fixture("add-one").model("other", "add-one", "");
    let with_file = Server::builder()
        .repository(repository())
        .env("ML_INFERENCE_MODELS__DEFAULT_FILE", name.path())
        .start();
    let row = serde_json::json!({"x": [1, 2, 3]});
    assert_eq!(with_file.post("/predict", &row).ok()["model"]["name"], "other");
    let with_both = Server::builder()
        .repository(repository())
        .env("ML_INFERENCE_MODELS__DEFAULT_FILE", name.path())
        .env("ML_INFERENCE_MODELS__DEFAULT", "add-one")
        .start();
    assert_eq!(with_both.post("/predict", &row).ok()["model"]["name"], "add-one");
}

#[test]
fn lists_are_separated_by_commas() {
    let (one, two) = (Repository::new().fixture("add-one"), Repository::new().fixture("nan"));
    let both = format!("{},{}", one.path().display(), two.path().display());
    let server = Server::builder().env("ML_INFERENCE_MODELS__PATHS", both).start();
    assert_eq!(server.get("/predict/add-one").status, 200);
    assert_eq!(server.get("/predict/nan").status, 200);
}
