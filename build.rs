//! Notes what the binary is built from and with: the compiler and the source's revision, which
//! `build_info` and the logs tell.

use std::process::Command;

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().filter(|_| output.status.success()).map(str::to_owned)
}

#[expect(clippy::disallowed_methods, reason = "cargo hands a build script its facts by the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[expect(clippy::print_stdout, reason = "that is how a build script talks to cargo")]
fn main() {
    println!("cargo::rerun-if-env-changed=ML_INFERENCE_BUILD_REVISION");
    println!("cargo::rerun-if-changed=build.rs");
    // Absent in a source archive; a path that is not there would mean a rebuild every time.
    if std::path::Path::new(".git/HEAD").exists() {
        println!("cargo::rerun-if-changed=.git/HEAD");
    }
    let unknown = || "unknown".to_owned();
    let rustc =
        variable("RUSTC").and_then(|rustc| first_line(&rustc, &["--version"])).unwrap_or_else(unknown);
    // An image is built without the repository: its recipe gives the revision.
    let revision = variable("ML_INFERENCE_BUILD_REVISION")
        .or_else(|| first_line("git", &["rev-parse", "--short=12", "HEAD"]))
        .unwrap_or_else(unknown);
    println!("cargo::rustc-env=ML_INFERENCE_RUSTC={rustc}");
    println!("cargo::rustc-env=ML_INFERENCE_REVISION={revision}");
}
