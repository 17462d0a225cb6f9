//! The grammar of `bench`, and the validated plan made from it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::args::Format;
use crate::units::Timespan;

/// No measurement is longer: a load generator that was forgotten ends by itself.
const LONGEST: Duration = Duration::from_hours(1);
/// More connections need more ports than one client address has to spare.
const MOST_CONNECTIONS: usize = 10_000;

/// Measure a model in this process, or a prediction route over HTTP.
///
/// The loop is closed: each connection sends its next request when the last one is answered. A
/// server that stalls is therefore asked less often while it stalls, and the slowest percentiles
/// say less than they would under an arrival rate of their own (an open loop, which comes later).
/// Latencies are those of answers with a 2xx status; everything else is counted under `errors`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ml-inference-api bench models/fraud-detector
  ml-inference-api bench http://127.0.0.1:8080/predict/fraud-detector --connections 1,64
  ml-inference-api bench http://127.0.0.1:8080/predict/fraud-detector --model models/fraud-detector
  ml-inference-api bench models/sentence-embedder --batch 1,8 --duration 30s --format json --plot latency.svg")]
pub(in crate::cli) struct BenchArguments {
    /// A model (its bare runtime loop, then the same rows through the service, all in this process)
    /// or the http:// URL of a prediction route.
    #[arg(value_name = "MODEL_PATH|URL")]
    pub(super) target: String,
    /// Requests in flight at once, one after another if several are given.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1")]
    pub(super) connections: Vec<usize>,
    /// Length of each measurement.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(super) duration: Duration,
    /// Ends each measurement after this many requests, if its time has not ended it before.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) requests: Option<u64>,
    /// Load before each measurement that is not measured.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub(super) warmup: Duration,
    /// File with the body to send, as `POST /predict` takes it; unset: the model's own example.
    #[arg(long, value_name = "FILE")]
    pub(super) input: Option<PathBuf>,
    /// The model behind the URL: its bare runtime loop is measured here first, and compared.
    #[arg(long, value_name = "MODEL_PATH")]
    pub(super) model: Option<String>,
    /// Rows of one run of the bare loop; unset: powers of two up to the model's largest batch.
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub(super) batch: Vec<usize>,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// Draws latency over percentiles into this file.
    #[arg(long, value_name = "FILE.svg")]
    pub(super) plot: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<Timespan>().map(|timespan| timespan.0).map_err(|error| error.to_string())
}

/// What is measured: one of the two.
#[derive(Debug, PartialEq)]
pub(super) enum Target {
    /// A prediction route.
    Url(http::Uri),
    /// A model on disk.
    Model(String),
}

/// How long one measurement goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) warmup: Duration,
    pub(super) duration: Duration,
    pub(super) requests: u64,
}

impl BenchArguments {
    /// The target; an http:// URL or a path.
    ///
    /// # Errors
    /// When it is a URL of another kind.
    pub(super) fn target(&self) -> Result<Target, String> {
        if !self.target.contains("://") {
            return Ok(Target::Model(self.target.clone()));
        }
        let uri: http::Uri = self.target.parse().map_err(|error| format!("{}: {error}", self.target))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            return Err(format!("{}: expected a model's path or an http:// URL", self.target));
        }
        Ok(Target::Url(uri))
    }

    /// Time and count of each measurement.
    ///
    /// # Errors
    /// What is out of bounds.
    pub(super) fn bounds(&self) -> Result<Bounds, String> {
        if self.duration.is_zero() || self.duration > LONGEST || self.warmup > LONGEST {
            let most = LONGEST.as_secs();
            return Err(format!("--duration, --warmup: expected more than nothing and at most {most} s"));
        }
        if self.connections.iter().any(|&n| n == 0 || n > MOST_CONNECTIONS) {
            return Err(format!("--connections: expected numbers from 1 to {MOST_CONNECTIONS}"));
        }
        if self.batch.contains(&0) {
            return Err("--batch: expected numbers of at least 1".to_owned());
        }
        let requests = self.requests.unwrap_or(u64::MAX);
        Ok(Bounds { warmup: self.warmup, duration: self.duration, requests })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        bench: BenchArguments,
    }

    pub(in crate::cli) fn parse(line: &str) -> BenchArguments {
        Line::try_parse_from(std::iter::once("bench").chain(line.split(' '))).unwrap().bench
    }

    #[test]
    fn urls_and_paths_are_told_apart() {
        let url = parse("http://127.0.0.1:8080/predict/m --connections 1,64").target().unwrap();
        assert!(matches!(url, Target::Url(uri) if uri.path() == "/predict/m"));
        assert_eq!(parse("models/m").target().unwrap(), Target::Model("models/m".to_owned()));
        for bad in ["https://host/predict", "http://", "file:///x"] {
            assert!(parse(bad).target().is_err(), "{bad}");
        }
    }

    #[test]
    fn lists_units_and_bounds() {
        let arguments = parse("m --connections 1,64 --duration 250ms --warmup 0s --batch 1,8 --requests 7");
        assert_eq!(arguments.connections, [1, 64]);
        assert_eq!(arguments.batch, [1, 8]);
        let bounds = arguments.bounds().unwrap();
        assert_eq!((bounds.duration, bounds.requests), (Duration::from_millis(250), 7));
        assert_eq!(parse("m").bounds().unwrap().requests, u64::MAX);
        for bad in [
            "m --connections 0",
            "m --connections 10001",
            "m --duration 0s",
            "m --duration 2h",
            "m --batch 0",
        ] {
            assert!(parse(bad).bounds().is_err(), "{bad}");
        }
        assert!(Line::try_parse_from(["bench", "m", "--duration", "10"]).is_err());
        assert!(Line::try_parse_from(["bench", "m", "--requests", "0"]).is_err());
    }
}
