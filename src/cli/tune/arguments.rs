//! The grammar of `tune`, and the validated values made from it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::args::Format;
use crate::model::ProviderKind;
use crate::units::Timespan;

/// Less is not enough for five rounds.
const SHORTEST: Duration = Duration::from_secs(2);
/// A measurement that was forgotten ends by itself.
const LONGEST: Duration = Duration::from_hours(4);

/// Find out how a model runs best on this machine: threads, instances, batches, provider, precision.
///
/// Candidates are compared with the present settings in interleaved rounds, as they are served. A
/// change is written only when it was faster in each round, by 3 % or more in the median, at a p99
/// that is not worse; else the present settings stay. Another provider or precision changes the
/// answers a little: it is proposed where the answers agree, and written with --accept-precision.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ml-inference-api tune models/fraud-detector
  ml-inference-api tune models/fraud-detector --budget 60s --dry-run
  ml-inference-api tune models/ticket-topic --data held-out.jsonl --accept-precision
  ml-inference-api tune models/ticket-topic --variant variants/ticket-topic-int8 --format json")]
pub(in crate::cli) struct TuneArguments {
    /// One model; its highest version is measured.
    #[arg(value_name = "MODEL_PATH")]
    pub(super) model: String,
    /// How long all of it may take.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = budget)]
    pub(super) budget: Duration,
    /// Providers to measure; unset: the present one, and those of the loaded library that run on the CPU.
    #[arg(long, value_name = "PROVIDER", value_delimiter = ',')]
    pub(super) providers: Option<Vec<CpuProvider>>,
    /// Another model folder with the same inputs and outputs, such as a quantized one; may be given
    /// several times. It is measured and judged, never written.
    #[arg(long, value_name = "PATH")]
    pub(super) variant: Vec<String>,
    /// Instances to measure and to compare answers with: JSON lines or `{"instances": [...]}`; an
    /// instance, or an object of `input` and `expected` as in `[[golden]]`. Unset: the golden samples.
    #[arg(long, value_name = "FILE")]
    pub(super) data: Option<PathBuf>,
    /// How far answers must agree; unset: 0.9999 as the lowest cosine of vectors, 0.995 as the share
    /// of equal labels, 0.999 for other numbers.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(super) agreement: Option<f64>,
    /// Write another provider or precision too, where it is faster and the answers agree.
    #[arg(long)]
    pub(super) accept_precision: bool,
    /// Print what would be written, and write nothing.
    #[arg(long, conflicts_with = "output")]
    pub(super) dry_run: bool,
    /// Write the manifest to this file instead of the model's own `model.toml`.
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

/// A provider that runs on the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CpuProvider {
    Cpu,
    Openvino,
}

impl CpuProvider {
    pub(super) const fn kind(self) -> ProviderKind {
        match self {
            Self::Cpu => ProviderKind::Cpu,
            Self::Openvino => ProviderKind::Openvino,
        }
    }
}

fn budget(text: &str) -> Result<Duration, String> {
    let budget = text.parse::<Timespan>().map_err(|error| error.to_string())?.0;
    if budget < SHORTEST || budget > LONGEST {
        return Err(format!("expected {} s to {} h", SHORTEST.as_secs(), LONGEST.as_secs() / 3600));
    }
    Ok(budget)
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if share > 0.0 && share <= 1.0 {
        return Ok(share);
    }
    Err("expected more than 0 and at most 1".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        tune: TuneArguments,
    }

    fn parse(line: &str) -> Result<TuneArguments, clap::Error> {
        Line::try_parse_from(std::iter::once("tune").chain(line.split(' '))).map(|line| line.tune)
    }

    #[test]
    fn bounds_and_lists() {
        let arguments = parse("m --budget 60s --providers cpu,openvino --agreement 0.99").unwrap();
        assert_eq!(arguments.budget, Duration::from_mins(1));
        assert_eq!(arguments.providers, Some(vec![CpuProvider::Cpu, CpuProvider::Openvino]));
        assert_eq!(parse("m").unwrap().budget, Duration::from_mins(2));
        for bad in [
            "m --budget 1s",
            "m --budget 5h",
            "m --budget 60",
            "m --providers cuda",
            "m --agreement 0",
            "m --agreement 1.5",
            "m --dry-run --output x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
