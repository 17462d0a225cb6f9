//! A real Prometheus that scrapes what it is told to.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::http::{Connection, Request};
use super::process::Process;
use super::wait::{self, PATIENCE};
use super::{ports, settings};

/// A running Prometheus, with its data in a folder of its own.
pub(crate) struct Prometheus {
    _process: Process,
    _folder: TempDir,
    address: SocketAddr,
}

/// A sample of an instant query.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// An exemplar that is stored.
#[derive(Clone, Debug)]
pub(crate) struct Exemplar {
    /// Labels of its series.
    pub(crate) series: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Prometheus {
    /// Starts one that scrapes these addresses every second, and waits until it is ready.
    #[track_caller]
    pub(crate) fn scraping(targets: &[SocketAddr]) -> Self {
        let targets: Vec<String> = targets.iter().map(|target| format!("'{target}'")).collect();
        Self::start(&format!(
            "global: {{ scrape_interval: 1s }}\nscrape_configs:\n- job_name: server\n  static_configs:\n  - targets: [{}]\n",
            targets.join(", ")
        ))
    }

    /// Starts one with this configuration, and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(config: &str) -> Self {
        // Another process may take a port between our look and its: then look again.
        (0..3).find_map(|_| Self::try_start(config)).expect("Prometheus does not start")
    }

    fn try_start(config: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let [address] = ports::free(1)[..] else { unreachable!("asked for one") };
        let file = folder.path().join("prometheus.yaml");
        fs::write(&file, config).unwrap();
        let mut command = Command::new(settings::prometheus());
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.args(["--enable-feature=exemplar-storage", "--log.level=warn"]).current_dir(folder.path());
        let mut process = Process::spawn(command);
        let is_ready = wait::at_most(PATIENCE, || {
            if process.ended().is_some() {
                return Some(false);
            }
            let mut connection = Connection::try_open(address).ok()?;
            connection.try_write(&Request::get("/-/ready").bytes()).ok()?;
            (connection.try_read().ok()?.status == 200).then_some(true)
        });
        is_ready.unwrap_or(false).then(|| Self { _process: process, _folder: folder, address })
    }

    /// The value of an expression now.
    #[track_caller]
    pub(crate) fn query(&self, expression: &str) -> Vec<Sample> {
        let data = self.ask("/api/v1/query", &[("query", expression)]);
        let sample = |sample: &Value| Sample {
            labels: labels(&sample["metric"]),
            value: sample["value"][1].as_str().unwrap().parse().unwrap(),
        };
        data["result"].as_array().unwrap().iter().map(sample).collect()
    }

    /// Waits until an expression has any sample.
    #[track_caller]
    pub(crate) fn wait_for(&self, expression: &str) -> Vec<Sample> {
        wait::until(expression, PATIENCE, || Some(self.query(expression)).filter(|found| !found.is_empty()))
    }

    /// The exemplars of the series of an expression, of all times.
    #[track_caller]
    pub(crate) fn exemplars(&self, expression: &str) -> Vec<Exemplar> {
        let data = self
            .ask("/api/v1/query_exemplars", &[("query", expression), ("start", "0"), ("end", "9999999999")]);
        let of_series = |series: &Value| {
            let one = |exemplar: &Value| Exemplar {
                series: labels(&series["seriesLabels"]),
                labels: labels(&exemplar["labels"]),
                value: exemplar["value"].as_str().unwrap().parse().unwrap(),
            };
            series["exemplars"].as_array().unwrap().iter().map(one).collect::<Vec<_>>()
        };
        data.as_array().unwrap().iter().flat_map(of_series).collect()
    }

    #[track_caller]
    fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let pairs: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let answer =
            Connection::open(self.address).call(&Request::get(&format!("{path}?{}", pairs.join("&"))));
        answer.ok()["data"].take()
    }
}

fn labels(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().unwrap().iter();
    pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// As a part of a query.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02x}").unwrap();
        }
    }
    encoded
}
