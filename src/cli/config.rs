//! `config`, and how every command gets its configuration.

use std::collections::BTreeMap;
use std::process::ExitCode;

use super::args::{ConfigArguments, ConfigSource};
use super::{Failure, print};
use crate::config::{self, Flags, Loaded, Sources};

/// The process' environment as text; names or values that are not are left out.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment, for `config`")]
pub(super) fn environment() -> BTreeMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Loads the configuration.
///
/// # Errors
/// Every mistake, each on a line, for exit code 64.
pub(super) fn load(source: &ConfigSource) -> Result<Loaded, Failure> {
    let file = match &source.config {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::usage(format!("--config {}: cannot be read: {error}", path.display()))
            })?;
            Some((path.clone(), text))
        }
    };
    let flags = Flags {
        models: source.models.clone(),
        http: source.http.clone(),
        grpc: source.grpc.clone(),
        admin: source.admin.clone(),
    };
    checked(&Sources { file, env: environment(), flags })
}

/// Loads the configuration from these sources and no others.
///
/// # Errors
/// Every mistake, each on a line, for exit code 64.
pub(super) fn checked(sources: &Sources) -> Result<Loaded, Failure> {
    config::load(sources).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
        Failure::usage(format!("the configuration is wrong:\n{}", lines.join("\n")))
    })
}

/// Shows the configuration or its schema.
pub(super) fn run(arguments: &ConfigArguments) -> Result<ExitCode, Failure> {
    if arguments.schema {
        print(config::json_schema().trim_end())?;
    } else {
        let loaded = load(&arguments.source)?;
        for warning in &loaded.warnings {
            super::complain(&format!("warning: {warning}"));
        }
        print(config::show(&loaded).trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}
