//! Models and requests that mean harm: nothing is read that lies elsewhere, nothing crashes, and one
//! bad model is found among many.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::command::{Finished, run};
use crate::harness::models::fixture_path;
use crate::harness::{Connection, Repository, Request, Server, assert_problem};

/// Three singles, which the graphs with external data add.
const WEIGHTS: [u8; 12] = [0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64];

fn check(repository: &Repository) -> Finished {
    run(["check".as_ref(), repository.path().as_os_str()]).finish()
}

fn json_of(repository: &Repository) -> Value {
    run(["check".as_ref(), repository.path().as_os_str(), "--format".as_ref(), "json".as_ref()])
        .finish()
        .json()
}

/// Must be refused, with all of `words`, and without a crash.
#[track_caller]
fn assert_refused(repository: &Repository, words: &[&str]) {
    let said = check(repository).exits(1).all();
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

fn beside() -> Repository {
    Repository::new().fixture("external-beside")
}

#[test]
fn external_data_is_read_from_beside_the_graph_only() {
    let good = beside();
    fs::write(good.path().join("external-beside/1/weights.bin"), WEIGHTS).unwrap();
    check(&good).exits(0);
    let server = Server::builder().repository(good).start();
    let answer = server.post("/predict", &json!({ "x": [1.0, 1.0, 1.0] })).ok();
    assert_eq!(answer["y"], json!([2.0, 3.0, 4.0]));
    assert_refused(&Repository::new().fixture("external-escape"), &["external data \"../outside.bin\""]);
    assert_refused(&Repository::new().fixture("external-absolute"), &["external data \"/etc/hostname\""]);
    assert_refused(&beside(), &["external data \"weights.bin\""]);
}

#[test]
fn a_link_to_a_secret_is_no_external_data() {
    let outside = tempfile::TempDir::new().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, WEIGHTS).unwrap();
    let soft = beside();
    symlink(&secret, soft.path().join("external-beside/1/weights.bin")).unwrap();
    assert_refused(&soft, &["weights.bin"]);
    let hard = beside();
    // Temporary folders may lie on another device than each other, where no hard link can be.
    let own = hard.path().join("kept-elsewhere");
    fs::write(&own, WEIGHTS).unwrap();
    fs::hard_link(&own, hard.path().join("external-beside/1/weights.bin")).unwrap();
    assert_refused(&hard, &["weights.bin", "link"]);
}

/// A runtime that is given bytes looks for external data in the working directory.
#[test]
fn the_working_directory_is_not_searched() {
    let repository = beside();
    let command = run(["check".as_ref(), repository.path().as_os_str()]).file("weights.bin", &WEIGHTS);
    let said = command.finish().exits(1).all();
    assert!(said.contains("weights.bin"), "{said}");
}

#[test]
fn graphs_that_the_runtime_does_not_know_are_refused_in_words() {
    let cases = [("unknown-operator", "Frobnicate"), ("opset-99", "99"), ("ir-99", "99")];
    let repository = cases.iter().fold(Repository::new(), |repository, (name, _)| repository.fixture(name));
    let said = check(&repository.fixture("add-one")).exits(1).all();
    for (name, word) in cases {
        let line = said.lines().find(|line| line.starts_with(&format!("BAD   {name}")));
        assert!(line.is_some_and(|line| line.contains(word)), "{name}: {said}");
    }
    assert!(said.contains("good  add-one"), "the good one among them is still told: {said}");
}

/// Every bit of a small graph once: whatever it becomes, it loads or it is refused.
#[test]
fn no_flipped_bit_crashes() {
    let graph = fs::read(fixture_path("add-one")).unwrap();
    for bit in 0..8 {
        let flip = |repository: Repository, at: usize| {
            let mut flipped = graph.clone();
            flipped[at] ^= 1 << bit;
            repository.graph(&format!("at-{at}"), "1", &flipped)
        };
        let repository = (0..graph.len()).fold(Repository::new(), flip);
        let finished = check(&repository);
        assert!(matches!(finished.code, Some(0 | 1)), "bit {bit}: {:?}\n{}", finished.code, finished.stderr);
        let told = finished
            .stdout
            .lines()
            .filter(|line| line.starts_with("good") || line.starts_with("BAD"))
            .count();
        assert!(told >= graph.len(), "bit {bit}: {told} of {}", graph.len());
    }
}

#[test]
fn a_constant_that_would_fill_the_memory_is_not_computed_at_load() {
    let report = json_of(&Repository::new().fixture("folding-bomb"));
    let model = &report["models"][0];
    let bytes = model["memory_bytes"].as_i64().unwrap_or_else(|| panic!("{report}"));
    // The constant alone has 400 million.
    assert!(bytes < 200_000_000, "{bytes} bytes at load");
}

fn server(fixtures: &[&str]) -> Server {
    let repository = fixtures.iter().fold(Repository::new(), |repository, name| {
        repository.model(name, name, "[execution]\ninstances = 1\nintra_threads = 1\n")
    });
    Server::builder().repository(repository).start()
}

#[test]
fn shapes_beyond_all_memory_are_an_error_and_nothing_more() {
    let server = server(&["shape-bomb", "add-one"]);
    let mut connection = Connection::open(server.http);
    for shape in [json!([1_000_000_000, 1_000_000]), json!([1_u64 << 62, 4]), json!([-1, 5]), json!([-5, -5])]
    {
        let answer = connection.call(&Request::json("/predict/shape-bomb", &json!({ "shape": shape })));
        let code = answer.json()["code"].clone();
        let is_known = matches!(
            (answer.status, code.as_str()),
            (400, Some("invalid_input")) | (500, Some("inference_failed"))
        );
        assert!(is_known, "{shape}: {}", answer.text());
    }
    assert_eq!(
        server.post("/predict/shape-bomb", &json!({ "shape": [1, 2] })).ok()["y"],
        json!([[0.0, 0.0]])
    );
    assert_eq!(server.post("/predict/add-one", &json!({ "x": [1, 2, 3] })).ok()["y"], json!([2.0, 3.0, 4.0]));
}

#[test]
fn a_loop_without_end_stops_at_the_deadline() {
    let server = server(&["slow"]);
    let endless = json!({ "x": [1.0], "iterations": [1_000_000_000_000_000_u64] });
    let begun = Instant::now();
    let request = Request::json("/predict/slow", &endless).header("x-request-timeout-ms", "500");
    assert_problem(&server.call(&request), 504, "deadline_exceeded");
    // The only session is free again: the loop was ended, not left behind.
    let answer = server.post("/predict/slow", &json!({ "x": [2.0], "iterations": [1] })).ok();
    assert_eq!(answer["y"], json!([2.0]));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// Between nodes a run can be stopped, within one it can't: the caller is answered in time all the
/// same, others are served, and the worker comes back.
#[test]
fn a_kernel_that_nothing_interrupts_holds_up_its_own_model_only() {
    let server = server(&["big-matmul", "add-one"]);
    let request = Request::json("/predict/big-matmul", &json!({ "size": [4000] }))
        .header("x-request-timeout-ms", "200");
    let begun = Instant::now();
    assert_problem(&server.call(&request), 504, "deadline_exceeded");
    let answered = begun.elapsed();
    assert_eq!(server.post("/predict/add-one", &json!({ "x": [1, 2, 3] })).ok()["y"], json!([2.0, 3.0, 4.0]));
    assert_eq!(server.get("/health/live").status, 200, "it is late, not yet stuck");
    assert_eq!(server.post("/predict/big-matmul", &json!({ "size": [3] })).ok()["y"], json!(3.0));
    let kernel = begun.elapsed();
    assert!(answered < kernel, "answered after {answered:?}, the kernel ran for {kernel:?}");
}

#[test]
fn wrong_ranks_sizes_and_types_are_the_callers_fault() {
    let server = server(&["add-one", "nan"]);
    let cases = [
        (json!({ "x": 1.0 }), "shape_mismatch"),
        (json!({ "x": [1.0, 2.0] }), "shape_mismatch"),
        (json!({ "x": [[1.0, 2.0, 3.0]] }), "shape_mismatch"),
        (json!({ "x": ["a", "b", "c"] }), "invalid_input"),
    ];
    for (body, code) in cases {
        assert_problem(&server.post("/predict/add-one", &body), 400, code);
    }
    assert_problem(&server.post("/predict/nan", &json!({ "x": [-1.0] })), 500, "non_finite_output");
    assert_problem(&server.post("/predict/nan", &json!({ "x": [0.0] })), 500, "non_finite_output");
    assert_eq!(server.post("/predict/nan", &json!({ "x": [1.0] })).ok()["y"], json!([0.0]));
    let none = json!({ "inputs": [{ "name": "x", "shape": [0, 3], "datatype": "FP32", "data": [] }] });
    let answer = server.post("/v2/models/add-one/infer", &none).ok();
    assert_eq!(answer["outputs"][0]["shape"], json!([0, 3]), "{answer}");
}
