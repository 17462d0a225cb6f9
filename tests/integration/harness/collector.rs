//! A real OpenTelemetry Collector that writes what it gets to files.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::process::Process;
use super::settings;
use super::signals::{self, Metric, Record};
use super::spans::{self, Span};
use super::wait::{self, PATIENCE};
use super::{ports, server};

/// A running collector.
pub(crate) struct Collector {
    _process: Process,
    folder: TempDir,
    scheme: &'static str,
    grpc: SocketAddr,
    http: SocketAddr,
}

impl Collector {
    /// Starts one and waits until it listens.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    /// The same over TLS: `tls` is the collector's own setting of its files.
    #[track_caller]
    pub(crate) fn start_with(tls: Option<&Value>) -> Self {
        // Another process may take a port between our look and the collector's: then look again.
        (0..3).find_map(|_| Self::try_start(tls)).expect("the collector does not start")
    }

    fn try_start(tls: Option<&Value>) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let [grpc, http] = ports::free(2)[..] else { unreachable!("asked for two") };
        let mut command = Command::new(settings::collector());
        command.arg("--config").arg(settings::package("scripts/tools/otelcol/test-config.yaml"));
        for protocol in tls.map(|_| ["grpc", "http"]).into_iter().flatten() {
            let setting = tls.unwrap_or(&Value::Null);
            command
                .arg("--config")
                .arg(format!("yaml:receivers::otlp::protocols::{protocol}::tls: {setting}"));
        }
        command.env("OTLP_GRPC_PORT", grpc.port().to_string()).env("OTLP_HTTP_PORT", http.port().to_string());
        command.env("OTEL_OUT", folder.path());
        let mut process = Process::spawn(command);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listens = wait::at_most(PATIENCE, || {
            let both = [grpc, http].iter().all(|address| TcpStream::connect(address).is_ok());
            (both || process.ended().is_some()).then_some(both)
        });
        listens.unwrap_or(false).then(|| Self { _process: process, folder, scheme, grpc, http })
    }

    /// Points a server at its gRPC port.
    pub(crate) fn by_grpc(&self, builder: server::Builder) -> server::Builder {
        quick(builder).env("OTEL_EXPORTER_OTLP_ENDPOINT", self.url(self.grpc))
    }

    /// Points a server at its HTTP port.
    pub(crate) fn by_http(&self, builder: server::Builder) -> server::Builder {
        let builder = quick(builder).env("OTEL_EXPORTER_OTLP_ENDPOINT", self.url(self.http));
        builder.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    }

    /// By its name, which certificates are about.
    fn url(&self, address: SocketAddr) -> String {
        format!("{}://localhost:{}", self.scheme, address.port())
    }

    /// Every span that has arrived.
    pub(crate) fn spans(&self) -> Vec<Span> {
        spans::parse(&self.read("traces.jsonl"))
    }

    /// Every log record that has arrived.
    pub(crate) fn records(&self) -> Vec<Record> {
        signals::records(&self.read("logs.jsonl"))
    }

    /// Every metric that has arrived, as often as it has.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        signals::metrics(&self.read("metrics.jsonl"))
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// The spans of a trace, once there are at least `count`.
    #[track_caller]
    pub(crate) fn trace(&self, trace: &str, count: usize) -> Vec<Span> {
        let of_trace = || self.spans().into_iter().filter(|span| span.trace == trace).collect::<Vec<_>>();
        let found = wait::at_most(Duration::from_secs(20), || {
            let spans = of_trace();
            (spans.len() >= count).then_some(spans)
        });
        found.unwrap_or_else(|| panic!("{count} spans of {trace} expected, got {:#?}", self.spans()))
    }
}

/// Exports often, so that a test need not wait for seconds.
fn quick(builder: server::Builder) -> server::Builder {
    let builder = builder.env("OTEL_BSP_SCHEDULE_DELAY", "50").env("OTEL_BLRP_SCHEDULE_DELAY", "50");
    builder.env("OTEL_METRIC_EXPORT_INTERVAL", "200")
}
