//! What this room is given: filled by `config/`, read once by [`super::start`].
//!
//! Invariant: nothing here or below reads the process environment; the variables come as a map.

use std::collections::BTreeMap;
use std::time::Duration;

use super::metrics::SemanticMetrics;
use super::otel::OtelOptions;

const DEFAULT_SERVICE: &str = "ml-inference-api";

/// Telemetry as configured.
#[derive(Clone, Debug)]
pub struct Options {
    /// The service's name: resource attribute and constant label.
    pub service_name: String,
    /// Whether every series carries `service`.
    pub service_label: bool,
    /// Whether there are metrics under the semantic conventions' names too, whatever the variables say.
    pub semantic_metrics: bool,
    /// Whether a caller's trace is continued; if not, a new root is linked to it.
    pub trust_parent: bool,
    /// Which traces are exported although they were not sampled.
    pub tail: TailOptions,
    /// How long the exit may wait for the last spans.
    pub flush_timeout: Duration,
    /// Logs.
    pub log: LogOptions,
    /// Traces.
    pub otel: OtelOptions,
}

/// Which traces are exported although they were not sampled, decided at their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TailOptions {
    /// Those of requests that failed: 5xx but 503.
    pub keep_failed: bool,
    /// Those of requests that took longer.
    pub keep_slower_than: Option<Duration>,
}

/// Logs as configured.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Directives such as `info,ml_inference_api=debug`.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Options {
    /// The defaults, with what the `OTEL_*` variables and `RUST_LOG` say; and warnings to log.
    pub fn from_environment(variables: &BTreeMap<String, String>) -> (Self, Vec<String>) {
        let (otel, warnings) = OtelOptions::from_variables(variables);
        let filter = variables.get("RUST_LOG").filter(|text| !text.trim().is_empty());
        let options = Self {
            service_name: otel.service_name.clone().unwrap_or_else(|| DEFAULT_SERVICE.to_owned()),
            service_label: true,
            semantic_metrics: false,
            trust_parent: true,
            tail: TailOptions::default(),
            flush_timeout: Duration::from_secs(2),
            log: LogOptions {
                filter: filter.map_or("info", String::as_str).to_owned(),
                format: LogFormat::Json,
            },
            otel,
        };
        (options, warnings)
    }

    /// Which metrics of the semantic conventions are kept.
    pub(super) fn semantic_metrics(&self) -> SemanticMetrics {
        let SemanticMetrics { http, rpc } = self.otel.semantic;
        SemanticMetrics { http: http || self.semantic_metrics, rpc: rpc || self.semantic_metrics }
    }
}
