//! The grammar of `bench`, and the validated plan made from it.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::args::Format;
use crate::units::Timespan;

/// No measurement is longer: a load generator that was forgotten ends by itself.
const LONGEST: Duration = Duration::from_hours(1);
/// More connections need more ports than one client address has to spare.
const MOST_CONNECTIONS: usize = 10_000;
/// One thread offers no more.
const HIGHEST_RATE: f64 = 1e6;
/// The closed loop that shows what a server can do.
const CAPACITY_CONNECTIONS: usize = 64;
/// In flight in an open loop, where nothing else is asked for.
const IN_FLIGHT: usize = 512;

/// Measure a model in this process, or a prediction route over HTTP.
///
/// Without `--rate` the loop is closed: each connection sends its next request when the last one is
/// answered. A server that stalls is therefore asked less often while it stalls, and the slowest
/// percentiles say less than users would. Latencies are those of answers with a 2xx status; everything
/// else is counted under `errors`.
///
/// With `--rate` the loop is open: requests come by a schedule of their own, whether or not earlier
/// ones are answered, and latency counts from the time at which a request was to be sent, even where
/// it had to wait for a connection (beyond its deadline it is given up). Refusals (429, 503, 504) are counted apart, with a latency of their
/// own; goodput is the 2xx answers that come within `--deadline`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ml-inference-api bench models/fraud-detector
  ml-inference-api bench http://127.0.0.1:8080/predict/fraud-detector --connections 1,64
  ml-inference-api bench http://127.0.0.1:8080/predict/fraud-detector --model models/fraud-detector
  ml-inference-api bench models/sentence-embedder --batch 1,8 --duration 30s --format json --plot latency.svg
  ml-inference-api bench http://127.0.0.1:8080/predict/fraud-detector --rate 500,2000 --deadline 50ms
  ml-inference-api bench models/fraud-detector --rate 0.5x,0.9x,3x,10x --deadline 100ms --plot load.svg")]
pub(in crate::cli) struct BenchArguments {
    /// A model (its bare runtime loop, then the same rows through the service, all in this process)
    /// or the http:// URL of a prediction route.
    #[arg(value_name = "MODEL_PATH|URL")]
    pub(super) target: String,
    /// Requests in flight at once, one after another if several are given; unset: 1. With --rate the
    /// most that may be in flight, unset: 512; a request that finds all of them busy waits.
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub(super) connections: Vec<usize>,
    /// Open loop: requests a second, one after another if several are given. 0.7x is that multiple of
    /// the capacity that a closed loop of 64 connections shows first.
    #[arg(long, value_name = "R", value_delimiter = ',')]
    pub(super) rate: Vec<Rate>,
    /// How the requests of an open loop follow each other.
    #[arg(long, value_enum, default_value_t)]
    pub(super) arrivals: Arrivals,
    /// Of the random arrivals: the same seed gives the same schedule.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// Open loop: how long each request may take, sent as `x-request-timeout-ms`; a later answer is
    /// not goodput.
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "rate")]
    pub(super) deadline: Option<Duration>,
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
    /// Draws latency over percentiles, latency against throughput and the sizes of batches into this
    /// file.
    #[arg(long, value_name = "FILE.svg")]
    pub(super) plot: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<Timespan>().map(|timespan| timespan.0).map_err(|error| error.to_string())
}

/// A rate of arrivals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rate {
    /// So many requests a second.
    PerSecond(f64),
    /// So many times the capacity of the closed loop.
    OfCapacity(f64),
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, make): (&str, fn(f64) -> Self) = match text.strip_suffix('x') {
            Some(multiple) => (multiple, Self::OfCapacity),
            None => (text, Self::PerSecond),
        };
        let value: f64 = number.parse().map_err(|error| format!("{text}: {error}"))?;
        if value > 0.0 && value <= HIGHEST_RATE {
            return Ok(make(value));
        }
        Err(format!("{text}: expected more than nothing and at most {HIGHEST_RATE}"))
    }
}

impl Rate {
    /// Requests a second, once the capacity is known.
    ///
    /// # Errors
    /// When that is beyond what this generator offers.
    pub(super) fn per_second(self, capacity: f64) -> Result<f64, String> {
        let rate = match self {
            Self::PerSecond(rate) => rate,
            Self::OfCapacity(multiple) => multiple * capacity,
        };
        if rate > 0.0 && rate <= HIGHEST_RATE {
            return Ok(rate);
        }
        Err(format!("--rate: {rate:.1} requests a second, expected at most {HIGHEST_RATE}"))
    }

    /// The multiple of the capacity, where it is one.
    pub(super) const fn multiple(self) -> Option<f64> {
        match self {
            Self::PerSecond(_) => None,
            Self::OfCapacity(multiple) => Some(multiple),
        }
    }
}

/// How arrivals follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Arrivals {
    /// At equal distances.
    Constant,
    /// Independent of each other, as those of many users are.
    #[default]
    Poisson,
}

impl Arrivals {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Poisson => "poisson",
        }
    }
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
        if !self.rate.is_empty() && self.connections.len() > 1 {
            return Err("--connections: expected one number beside --rate".to_owned());
        }
        if self.deadline.is_some_and(|deadline| deadline.is_zero() || deadline > LONGEST) {
            let most = LONGEST.as_secs();
            return Err(format!("--deadline: expected more than nothing and at most {most} s"));
        }
        if self.batch.contains(&0) {
            return Err("--batch: expected numbers of at least 1".to_owned());
        }
        let requests = self.requests.unwrap_or(u64::MAX);
        Ok(Bounds { warmup: self.warmup, duration: self.duration, requests })
    }

    /// The numbers of connections of the closed loop: with rates the one that shows the capacity, where
    /// a rate is told by it.
    pub(super) fn closed_loops(&self) -> Vec<usize> {
        if !self.rate.is_empty() {
            let is_needed = self.rate.iter().any(|rate| rate.multiple().is_some());
            return is_needed.then(|| CAPACITY_CONNECTIONS.min(self.in_flight())).into_iter().collect();
        }
        if self.connections.is_empty() { vec![1] } else { self.connections.clone() }
    }

    /// How requests come.
    pub(super) fn kind(&self) -> &'static str {
        if self.rate.is_empty() { "closed" } else { "open" }
    }

    /// The most that an open loop has in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.connections.first().copied().unwrap_or(IN_FLIGHT)
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
            "m --rate 5 --connections 1,2",
            "m --rate 5 --deadline 0s",
        ] {
            assert!(parse(bad).bounds().is_err(), "{bad}");
        }
        assert!(Line::try_parse_from(["bench", "m", "--duration", "10"]).is_err());
        assert!(Line::try_parse_from(["bench", "m", "--requests", "0"]).is_err());
    }

    #[test]
    fn rates_are_numbers_or_multiples_of_the_capacity() {
        let arguments = parse("m --rate 100,0.7x --arrivals constant --deadline 50ms");
        assert_eq!(arguments.rate, [Rate::PerSecond(100.0), Rate::OfCapacity(0.7)]);
        assert_eq!((arguments.closed_loops(), arguments.in_flight()), (vec![64], 512));
        assert_eq!(arguments.rate[1].per_second(1000.0), Ok(700.0));
        assert!(Rate::OfCapacity(10.0).per_second(1e6).is_err());
        assert!(Rate::OfCapacity(1.0).per_second(0.0).is_err());
        assert!(parse("m --rate 5 --connections 9").closed_loops().is_empty());
        assert_eq!(parse("m --rate 5x --connections 9").closed_loops(), [9]);
        assert_eq!(parse("m").closed_loops(), [1]);
        for bad in ["0", "-1", "x", "2y", "nan", "inf", "1e7"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
        assert!(Line::try_parse_from(["bench", "m", "--deadline", "1s"]).is_err());
    }
}
