//! The commands. Reads arguments, environment and files, hands values to `app` and the rooms,
//! writes results to stdout and everything else to stderr.

mod args;
mod bench;
mod check;
mod config;
mod health;
mod key;
mod models;
mod predict;
mod serve;
mod signals;
mod tune;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Arguments, Command};

/// Something failed.
const FAILED: u8 = 1;
/// The arguments or the configuration are wrong.
const USAGE: u8 = 64;

/// Why a command ended badly, and the exit code for it.
#[derive(Debug)]
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn failed(message: impl Into<String>) -> Self {
        Self { code: FAILED, message: message.into() }
    }

    fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into() }
    }
}

/// Runs the program's command line to its end.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed stdout or stderr leaves nothing to tell it to.
            drop(error.print());
            let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if is_help { ExitCode::SUCCESS } else { USAGE.into() };
        }
    };
    let done = match arguments.command {
        Command::Serve(options) => serve::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Predict(options) => predict::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Tune(options) => tune::run(&options),
        Command::Health(options) => health::run(&options),
        Command::Config(options) => config::run(&options),
        Command::Key(options) => key::run(&options),
    };
    match done {
        Ok(code) => code,
        Err(failure) => {
            complain(&failure.message);
            failure.code.into()
        }
    }
}

/// Writes to stderr.
#[expect(clippy::print_stderr, reason = "commands talk to people there")]
fn complain(message: &str) {
    eprintln!("ml-inference-api: {message}");
}

/// Writes a result to stdout.
///
/// # Errors
/// When stdout is closed or full.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::failed(format!("stdout: {error}")))
}
