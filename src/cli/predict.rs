//! `predict`: one prediction in this process, with the server's own decoding and encoding.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use super::args::PredictArguments;
use super::{Failure, models, print};
use crate::engine::Run;
use crate::http::{decode_prediction, encode_prediction, may_be_json};
use crate::model::{Discovered, ModelProblem, ModelSource, TaskKind, VersionSource};
use crate::service::{LoadOptions, LoadedModel, ServiceError, load_version};
use crate::task::{DecodeLimits, Decoded, Task};

const LIMITS: DecodeLimits =
    DecodeLimits { max_instances: 1024, max_depth: 64, max_bytes: u64::MAX, max_pixels: u64::MAX };

/// Loads the model, reads the input, prints the prediction.
pub(super) fn run(arguments: &PredictArguments) -> Result<ExitCode, Failure> {
    let input = read(&arguments.input)?;
    let mut loaded = load_one(&arguments.model)?;
    let answer = predict(&mut loaded, &input).map_err(|error| {
        let place = error.pointer.map(|pointer| format!(" at {pointer}")).unwrap_or_default();
        let cause = error.cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
        Failure::failed(format!("{}{place}: {}{cause}", error.code, error.detail))
    })?;
    print(&answer)?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let result = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(path).map(|read| bytes = read)
    };
    result.map_err(|error| Failure::failed(format!("--input {}: {error}", path.display())))?;
    Ok(bytes)
}

/// Loads the one model behind a path, its highest version.
pub(super) fn load_one(path: &str) -> Result<LoadedModel, Failure> {
    let (source, version) = find_one(path)?;
    load_version(models::runtime()?, &source, &version, &LoadOptions::default())
        .map_err(|problems| listed(&problems))
}

/// The one model behind a path and its highest version, not loaded.
pub(super) fn find_one(path: &str) -> Result<(ModelSource, VersionSource), Failure> {
    let Discovered { models: mut sources, problems, .. } = models::find(&[path.to_owned()]);
    if !problems.is_empty() {
        return Err(listed(&problems));
    }
    if sources.len() > 1 {
        let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        return Err(Failure::usage(format!("{path} holds several models: give one of {}", names.join(", "))));
    }
    let found = sources.pop().and_then(|source| source.versions.last().cloned().map(|last| (source, last)));
    found.ok_or_else(|| Failure::failed(format!("{path} holds no version")))
}

fn listed(problems: &[ModelProblem]) -> Failure {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Failure::failed(lines.join("\n"))
}

fn predict(loaded: &mut LoadedModel, input: &[u8]) -> Result<String, ServiceError> {
    let decoded = decode(input, &loaded.task)?;
    let rows = loaded.task.encode(decoded)?;
    let session = loaded.sessions.first_mut().ok_or_else(|| internal("no session"))?;
    let outputs = session.run(&rows.inputs).map_err(|error| internal(&error.to_string()))?;
    let predictions =
        loaded.task.predictions(&outputs, &rows.reply).map_err(|error| internal(&error.to_string()))?;
    let answer = encode_prediction(&loaded.facts, &predictions)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A picture as it is where the model takes pictures; else JSON.
fn decode(input: &[u8], task: &Task) -> Result<Decoded, ServiceError> {
    if task.kind() == TaskKind::ImageClassification && !may_be_json(input) {
        return Ok(task.decode_image(input, &LIMITS)?);
    }
    decode_prediction(input, task, &LIMITS)
}

fn internal(cause: &str) -> ServiceError {
    let code = crate::service::ErrorCode::InferenceFailed;
    ServiceError::new(code, "the model could not be run").because(cause)
}
