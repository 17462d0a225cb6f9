//! The server under test: the real binary, on ports of its own choice, with a clean environment.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::http::{Connection, Request, Response};
use super::ledger::Ledger;
use super::metrics::Metrics;
use super::models::{self, Repository};
use super::process::Process;
use super::settings;
use super::wait::{self, PATIENCE};

/// How a server is to be started.
pub(crate) struct Builder {
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    repository: Option<Repository>,
    folder: TempDir,
    http: String,
    admin: String,
    descriptors: String,
    ledger: Arc<Ledger>,
}

/// A running server. Dropping it demands that it counted every request once, ends it and demands a clean
/// exit.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// The home, working and temporary folder of the process.
    pub(crate) folder: TempDir,
    pub(crate) ready_file: PathBuf,
    _repository: Option<Repository>,
    scrapes: AtomicU32,
    is_exit_checked: bool,
    ledger: Arc<Ledger>,
}

impl Builder {
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Another `--models`.
    pub(crate) fn models(self, path: impl AsRef<Path>) -> Self {
        self.arg("--models").arg(path.as_ref())
    }

    /// Serves the models of a repository, which lives as long as the server.
    pub(crate) fn repository(mut self, repository: Repository) -> Self {
        self = self.models(repository.path());
        self.repository = Some(repository);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Fixed addresses, for what must be known before it is ready.
    pub(crate) fn addresses(mut self, http: SocketAddr, admin: SocketAddr) -> Self {
        (self.http, self.admin) = (http.to_string(), admin.to_string());
        self.ledger.register(&[http, admin]);
        self
    }

    /// Allows it no more than so many open descriptors.
    pub(crate) fn descriptors(mut self, count: u32) -> Self {
        self.descriptors = format!("-n {count}");
        self
    }

    fn ready_file(&self) -> PathBuf {
        self.folder.path().join("ready.json")
    }

    /// Starts the process and waits for nothing.
    pub(crate) fn spawn(&self) -> Process {
        let home = self.folder.path().join("home");
        fs::create_dir_all(home.join("tmp")).unwrap();
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("ulimit {}; exec \"$0\" \"$@\"", self.descriptors));
        command.arg(env!("CARGO_BIN_EXE_ml-inference-api"));
        command.args(["serve", "--http", &self.http, "--grpc", "127.0.0.1:0", "--admin", &self.admin]);
        command.arg("--ready-file").arg(self.ready_file()).args(&self.arguments);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &home).env("TMPDIR", home.join("tmp"));
        command.env("ORT_DYLIB_PATH", settings::runtime_library()).current_dir(&home);
        command.envs(settings::counters());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        Process::spawn(command)
    }

    /// Starts the server and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(self) -> Server {
        let mut process = self.spawn();
        let ready_file = self.ready_file();
        let text = wait::until("the ready file", PATIENCE, || {
            if let Some(status) = process.ended() {
                panic!("the server ended ({status}) before it was ready");
            }
            fs::read_to_string(&ready_file).ok()
        });
        let addresses: Value = serde_json::from_str(&text).unwrap();
        let address =
            |key: &str| addresses[key].as_str().unwrap_or_else(|| panic!("{key}: {text}")).parse().unwrap();
        let [http, grpc, admin] = ["http", "grpc", "admin"].map(address);
        self.ledger.register(&[http, grpc, admin]);
        Server {
            http,
            grpc,
            admin,
            process,
            folder: self.folder,
            ready_file,
            _repository: self.repository,
            scrapes: AtomicU32::new(0),
            is_exit_checked: false,
            ledger: self.ledger,
        }
    }
}

impl Server {
    /// A server with nothing to serve yet, which ends without delay.
    pub(crate) fn builder() -> Builder {
        let builder = Builder {
            arguments: Vec::new(),
            variables: Vec::new(),
            repository: None,
            folder: TempDir::new().unwrap(),
            http: "127.0.0.1:0".into(),
            admin: "127.0.0.1:0".into(),
            // The soft limit that shells and containers commonly give.
            descriptors: "-S -n 1024".into(),
            ledger: Arc::default(),
        };
        builder.env("ML_INFERENCE_DRAIN__DELAY", "0ms")
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn call(&self, request: &Request) -> Response {
        Connection::open(self.http).call(request)
    }

    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Response {
        self.call(&Request::get(target))
    }

    #[track_caller]
    pub(crate) fn post(&self, target: &str, body: &Value) -> Response {
        self.call(&Request::json(target, body))
    }

    /// How often the harness itself has asked for metrics: each is a request that the server counts
    /// once it is answered.
    pub(crate) fn scrapes(&self) -> u32 {
        self.scrapes.load(Ordering::Relaxed)
    }

    /// The metrics as the admin listener gives them.
    #[track_caller]
    pub(crate) fn metrics(&self) -> Metrics {
        let answer = Connection::open(self.admin).call(&Request::get("/metrics"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.scrapes.fetch_add(1, Ordering::Relaxed);
        Metrics::parse(&answer.text())
    }

    /// Says that programs are about to send requests which the harness does not see.
    pub(crate) fn expects_strangers(&self) -> &Self {
        self.ledger.has_strangers();
        self
    }

    /// Demands that `http_requests_total` sums to the requests that were sent: see [`Ledger`].
    #[track_caller]
    pub(crate) fn adds_up(&self) {
        let mut told = String::new();
        let settled = wait::at_most(Duration::from_secs(20), || {
            let least = self.ledger.least();
            let metrics = self.metrics();
            // That scrape is noted here and not counted yet.
            let most = self.ledger.most().saturating_sub(1);
            let sum = |name: &str| metrics.sum(name, &[]);
            let (requests, durations) =
                (sum("http_requests_total"), sum("http_request_duration_seconds_count"));
            told = format!("{requests} requests and {durations} durations, not {least} to {most}");
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 requests")]
            let range = least as f64 - 0.5..most as f64 + 0.5;
            (range.contains(&requests) && range.contains(&durations)).then_some(())
        });
        assert!(settled.is_some(), "the server counted {told}");
    }

    /// Most memory that it has held so far, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Waits until a metric has a value.
    #[track_caller]
    pub(crate) fn wait_for_metric(&self, name: &str, labels: &[(&str, &str)], wanted: f64) {
        let mut last = None;
        let found = wait::at_most(Duration::from_secs(20), || {
            let metrics = self.metrics();
            last = Some(metrics.sum(name, labels));
            ((metrics.sum(name, labels) - wanted).abs() < 1e-9).then_some(())
        });
        assert!(found.is_some(), "{name}{labels:?} is {last:?}, not {wanted}");
    }

    /// Waits until no request but the scrape itself is in flight.
    #[track_caller]
    pub(crate) fn wait_for_no_request_in_flight(&self) {
        let rest =
            wait::at_most(Duration::from_secs(20), || (in_flight(&self.metrics()) < 0.5).then_some(()));
        assert!(rest.is_some(), "{} requests are still in flight", in_flight(&self.metrics()));
    }

    /// Demands that it counted every request once, asks it to end and returns the exit code.
    #[track_caller]
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        self.adds_up();
        self.process.signal("TERM");
        self.exit_code(PATIENCE)
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn exit_code(&mut self, limit: Duration) -> Option<i32> {
        self.is_exit_checked = true;
        self.process.wait(limit)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.process.is_at_work() {
            self.adds_up();
        }
        let code = self.process.stop();
        if !self.is_exit_checked && !std::thread::panicking() {
            let said = self.process.stderr();
            assert_eq!(code, Some(0), "the server did not end well: {said}");
        }
    }
}

/// Requests in flight without the scrape that tells it.
pub(crate) fn in_flight(metrics: &Metrics) -> f64 {
    metrics.sum("http_requests_in_flight", &[])
        - metrics.sum("http_requests_in_flight", &[("route", "/metrics")])
}

/// One server for every test that only asks: the demo models and all fixtures, `fraud-detector` by
/// default. The guard of its process ends it with the tests.
pub(crate) fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(everything)
}

/// The same for other programs' clients, whose requests nobody counts: the other one's must add up.
pub(crate) fn shared_with_strangers() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(everything).expects_strangers()
}

fn everything() -> Server {
    Server::builder()
        .models(settings::package("models/fraud-detector"))
        .models(settings::package("models/sentence-embedder"))
        .models(settings::package("models/ticket-topic"))
        .models(settings::package("models/digits"))
        .repository(models::all_fixtures())
        .env("MODEL_NAME", "fraud-detector")
        .start()
}
