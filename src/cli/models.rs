//! Finding and loading models outside the server: for `check`, `predict` and `bench`.

use std::path::PathBuf;

use super::Failure;
use super::config::environment;
use crate::engine::{Runtime, RuntimeOptions};
use crate::model::{Discovered, ModelPath, ModelProblem, discover};

/// How the runtime is to be found and started, from the environment.
pub(super) fn runtime_options(dylib_path: Option<PathBuf>) -> RuntimeOptions {
    let disabled = environment().get("ORT_DISABLE_TELEMETRY").is_some_and(|value| value == "1");
    RuntimeOptions { dylib_path, telemetry_disabled: disabled }
}

/// The runtime, for a command that needs nothing else of the configuration.
pub(super) fn runtime() -> Result<&'static Runtime, Failure> {
    let path = environment().remove("ORT_DYLIB_PATH").filter(|path| !path.is_empty());
    Runtime::load(&runtime_options(path.map(PathBuf::from)))
        .map_err(|error| Failure::failed(error.to_string()))
}

/// The models behind paths as they stand on the command line.
pub(super) fn find(paths: &[String]) -> Discovered {
    let mut problems: Vec<ModelProblem> = Vec::new();
    let mut parsed = Vec::new();
    for path in paths {
        match path.parse::<ModelPath>() {
            Ok(path) => parsed.push(path),
            Err(problem) => problems.push(problem),
        }
    }
    let mut discovered = discover(&parsed);
    problems.append(&mut discovered.problems);
    Discovered { problems, ..discovered }
}
