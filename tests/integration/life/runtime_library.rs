//! ONNX Runtime that is missing, too old or something else: one clear error that says what to do.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::wait::PATIENCE;
use crate::harness::{Repository, Server, settings};

/// What a server says that finds this at `ORT_DYLIB_PATH`.
#[track_caller]
fn said_with(library: &Path) -> String {
    let builder =
        Server::builder().repository(Repository::new().fixture("add-one")).env("ORT_DYLIB_PATH", library);
    let mut process = builder.spawn();
    let code = process.wait(PATIENCE);
    let said = process.stderr();
    assert_eq!(code, Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(said.contains("ORT_DYLIB_PATH"), "what to do: {said}");
    assert!(said.contains(&library.display().to_string()), "which file: {said}");
    let errors = said.lines().filter(|line| line.to_lowercase().contains("error")).count();
    assert!(errors <= 1, "one error, not {errors}: {said}");
    said
}

/// Compiles a shared library out of a few lines of C.
fn library(folder: &TempDir, name: &str, source: &str) -> std::path::PathBuf {
    let (c, so) = (folder.path().join(format!("{name}.c")), folder.path().join(format!("{name}.so")));
    fs::write(&c, source).unwrap();
    let status = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&so).arg(&c).status().unwrap();
    assert!(status.success());
    so
}

const OLD: &str = r#"
struct base { const void *(*api)(unsigned); const char *(*version)(void); };
static const void *api(unsigned version) { return version <= 16 ? (const void *)&api : 0; }
static const char *version(void) { return "1.16.3"; }
static struct base base = { api, version };
const struct base *OrtGetApiBase(void) { return &base; }
"#;

#[test]
fn a_missing_file() {
    said_with(Path::new("/does/not/exist/libonnxruntime.so"));
}

#[test]
fn a_file_that_is_no_library() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    fs::write(&path, "not a library").unwrap();
    said_with(&path);
}

#[test]
fn a_library_that_is_no_runtime() {
    let folder = TempDir::new().unwrap();
    said_with(&library(&folder, "other", "int answer(void) { return 42; }\n"));
}

#[test]
fn a_runtime_that_is_too_old() {
    let folder = TempDir::new().unwrap();
    let said = said_with(&library(&folder, "old", OLD));
    assert!(said.contains("1.16.3"), "its version: {said}");
}

/// Runs `check` with a copy of the binary in `bin/` of a folder, and no `ORT_DYLIB_PATH`.
fn check_from(folder: &TempDir) -> std::process::Output {
    let binary = folder.path().join("bin/ml-inference-api");
    if !binary.exists() {
        fs::create_dir_all(folder.path().join("bin")).unwrap();
        // By another process: a child that any test of this one starts meanwhile would inherit the
        // open copy, and a file that is open for writing can't be executed.
        let original = env!("CARGO_BIN_EXE_ml-inference-api");
        assert!(Command::new("cp").arg(original).arg(&binary).status().unwrap().success());
    }
    let repository = Repository::new().fixture("add-one");
    let mut command = Command::new(&binary);
    command.arg("check").arg(repository.path()).env_clear().env("PATH", "/usr/bin:/bin");
    // Neither of these is looked at.
    let elsewhere = settings::runtime_library().parent().unwrap().to_owned();
    command.env("LD_LIBRARY_PATH", &elsewhere).current_dir(&elsewhere).output().unwrap()
}

#[test]
fn without_the_variable_it_lies_beside_the_binary_or_in_lib_and_nowhere_else() {
    let folder = TempDir::new().unwrap();
    let output = check_from(&folder);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("ORT_DYLIB_PATH"), "what to do: {said}");
    for place in ["bin", "lib"] {
        let library = folder.path().join(place).join("libonnxruntime.so");
        fs::create_dir_all(library.parent().unwrap()).unwrap();
        symlink(settings::runtime_library(), &library).unwrap();
        let output = check_from(&folder);
        assert!(output.status.success(), "{place}: {}", String::from_utf8_lossy(&output.stderr));
        fs::remove_file(&library).unwrap();
    }
}
