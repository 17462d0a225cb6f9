//! `bench`: throughput, latency and CPU time of a model in this process or of a prediction route,
//! beside the bare runtime loop.

mod answer;
mod arguments;
mod bare;
mod connection;
mod drive;
mod figures;
mod in_process;
mod input;
mod open;
mod over_http;
mod plot;
mod progress;
mod report;
mod tally;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

pub(super) use arguments::BenchArguments;
use arguments::Target;
pub(super) use figures::own_cpu;
use report::Report;

use super::args::Format;
use super::{FAILED, Failure, print};

/// Measures, draws where asked to, and prints.
pub(super) fn run(arguments: &BenchArguments) -> Result<ExitCode, Failure> {
    let report = measure(arguments)?;
    if let Some(path) = &arguments.plot {
        let drawn = plot::svg(&report.target, &report.runs);
        std::fs::write(path, drawn)
            .map_err(|error| Failure::failed(format!("--plot {}: {error}", path.display())))?;
    }
    let text = match arguments.format {
        Format::Text => report.text(),
        Format::Json => report.json().map_err(|error| Failure::failed(error.to_string()))?,
    };
    print(text.trim_end())?;
    Ok(if report.is_good() { ExitCode::SUCCESS } else { FAILED.into() })
}

fn measure(arguments: &BenchArguments) -> Result<Report, Failure> {
    let bounds = arguments.bounds().map_err(Failure::usage)?;
    let mut report = match arguments.target().map_err(Failure::usage)? {
        Target::Url(uri) => over_http::run(arguments, &uri, bounds)?,
        Target::Model(path) => in_process::run(arguments, &path, bounds)?,
    };
    report.compare();
    Ok(report)
}

/// The cores that this process may use.
fn cores() -> usize {
    crate::cores::Cores::read().threads()
}
