//! Models that cannot be served: all of them are named at once, and the process ends with 1.

use std::fs;
use std::os::unix::fs::symlink;

use crate::harness::server::Builder;
use crate::harness::wait::PATIENCE;
use crate::harness::{Repository, Server, models};

/// Starts a server that must give up with 1; returns what it said.
#[track_caller]
fn gives_up(builder: &Builder) -> String {
    let mut process = builder.spawn();
    let code = process.wait(PATIENCE);
    let said = process.stderr();
    assert_eq!(code, Some(1), "{said}");
    assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "{said}");
    said
}

fn add_one() -> Vec<u8> {
    fs::read(models::fixture_path("add-one")).unwrap()
}

const GOLDEN: &str = "[[golden]]\ninput = { x = [1.0, 2.0, 3.0] }\nexpected = { y = [2.0, 3.0, 5.0] }\n";

/// A repository in which every model has a fault of its own.
fn faulty() -> Repository {
    let graph = add_one();
    let random: Vec<u8> = (0..4096_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let zeros = "0".repeat(64);
    Repository::new()
        .graph("truncated", "1", &graph[..graph.len() / 2])
        .graph("random-bytes", "1", &random)
        .graph("empty-file", "1", b"")
        .graph("html-page", "1", b"<!doctype html><title>404</title>")
        .model("wrong-digest", "add-one", &format!("sha256 = \"{zeros}\"\n"))
        .model("golden-wrong", "add-one", GOLDEN)
        .model("golden-impossible", "add-one", "[[golden]]\ninput = { z = 1.0 }\nexpected = { y = [2.0] }\n")
        .model("warmup-fails", "gather", "[warmup]\ninputs = [{ ids = [0, 99] }]\n")
        .model("bad-manifest", "add-one", "schema = 1\npoling = \"mean\"\n")
        .model("no-toml", "add-one", "schema = = 1\n")
        .model("bad-schema", "add-one", "schema = 2\n")
        .model("wrong-task", "add-one", "task = \"text-embedding\"\n")
        .model(
            "wrong-features",
            "regressor",
            "task = \"tabular-regression\"\nfeatures = [{ name = \"only\" }]\n",
        )
        .fixture("sequence-output")
        .fixture("external-escape")
        .model("no-such-provider", "add-one", "[execution]\nproviders = [\"tensorrt\"]\n")
}

const FAULTY: [&str; 16] = [
    "truncated",
    "random-bytes",
    "empty-file",
    "html-page",
    "wrong-digest",
    "golden-wrong",
    "golden-impossible",
    "warmup-fails",
    "bad-manifest",
    "no-toml",
    "bad-schema",
    "wrong-task",
    "wrong-features",
    "sequence-output",
    "external-escape",
    "no-such-provider",
];

#[test]
fn every_fault_of_every_model_is_listed_at_once() {
    let said = gives_up(&Server::builder().repository(faulty().fixture("add-one")));
    let silent: Vec<_> = FAULTY.iter().filter(|name| !said.contains(*name)).collect();
    assert!(silent.is_empty(), "nothing is said about {silent:?} in:\n{said}");
    for word in ["digest", "poling", "golden", "outside.bin"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn each_fault_alone_is_enough() {
    let faulty = faulty();
    for name in FAULTY {
        let said = gives_up(&Server::builder().models(faulty.path().join(name)));
        assert!(said.contains(name), "{name}: {said}");
    }
}

#[test]
fn a_fault_in_a_part_of_a_manifest_names_its_line() {
    let said = gives_up(&Server::builder().repository(Repository::new().model(
        "m",
        "add-one",
        "\n\nbatching = 5\n",
    )));
    assert!(said.contains("line 3") && said.contains("batching"), "{said}");
}

#[test]
fn no_model_at_all_is_a_fault() {
    let empty = Repository::new();
    fs::write(empty.path().join("README.md"), "nothing here").unwrap();
    fs::create_dir(empty.path().join("..data")).unwrap();
    gives_up(&Server::builder().models(empty.path()));
    let missing = empty.path().join("missing");
    assert!(gives_up(&Server::builder().models(&missing)).contains("missing"));
}

#[test]
fn two_models_of_one_name_are_a_fault() {
    let (one, two) = (Repository::new().fixture("add-one"), Repository::new().fixture("add-one"));
    let said = gives_up(&Server::builder().models(one.path()).models(two.path()));
    assert!(said.contains("add-one"), "{said}");
    let both = Repository::new().model("a", "add-one", "name = \"same\"\n").model(
        "b",
        "add-one",
        "name = \"same\"\n",
    );
    assert!(gives_up(&Server::builder().models(both.path())).contains("same"));
}

#[test]
fn names_and_versions_that_cannot_be_are_faults() {
    let said =
        gives_up(&Server::builder().repository(Repository::new().model("m", "add-one", "name = \"-no\"\n")));
    assert!(said.contains("-no"), "{said}");
    let no_version = Repository::new().model("m", "add-one", "versions = [7]\n");
    assert!(gives_up(&Server::builder().repository(no_version)).contains('7'));
}

#[test]
fn links_are_followed_inside_the_folder_and_refused_outside() {
    let outside = Repository::new().fixture("add-one");
    let target = outside.path().join("add-one/1/model.onnx");
    let inside = Repository::new().version("linked", "1", "add-one");
    fs::create_dir(inside.path().join("other")).unwrap();
    symlink("../linked/1/model.onnx", inside.path().join("other/model.onnx")).unwrap();
    drop(Server::builder().models(inside.path()).start());
    fs::create_dir(inside.path().join("escape")).unwrap();
    symlink(&target, inside.path().join("escape/model.onnx")).unwrap();
    let said = gives_up(&Server::builder().models(inside.path()));
    assert!(said.contains("escape"), "{said}");
}

#[test]
fn a_mounted_config_map_serves() {
    // Kubernetes mounts files as links through ..data into a dated folder.
    let folder = Repository::new();
    let dated = folder.path().join("..2026_11_22");
    fs::create_dir(&dated).unwrap();
    fs::write(dated.join("model.onnx"), add_one()).unwrap();
    fs::write(dated.join("model.toml"), "name = \"mounted\"\n").unwrap();
    symlink("..2026_11_22", folder.path().join("..data")).unwrap();
    symlink("..data/model.onnx", folder.path().join("model.onnx")).unwrap();
    symlink("..data/model.toml", folder.path().join("model.toml")).unwrap();
    let server = Server::builder().models(folder.path()).start();
    assert_eq!(server.get("/predict/mounted").status, 200);
}
