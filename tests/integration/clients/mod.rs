//! Other people's clients, unmodified, against the real server. What they ask and expect is written in
//! their own languages below `tests/clients/`.

mod openmetrics;
mod sdks;
mod triton;

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::harness::settings;

pub(crate) use triton::{triton, triton_grpc};

/// Runs a script of `tests/clients/` by this Python, and demands that there are tests and that all pass.
#[track_caller]
fn unittest<A: AsRef<OsStr>>(python: &Path, script: &str, arguments: impl IntoIterator<Item = A>) {
    let mut command = Command::new(python);
    command.arg(settings::package("tests/clients").join(script)).args(arguments);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let none = said.contains("Ran 0 tests");
    assert!(output.status.success() && said.contains("\nOK") && !none, "{said}");
}
