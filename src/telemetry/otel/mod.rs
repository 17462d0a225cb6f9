//! The `OTEL_*` variables as options: those the SDK reads and those it does not.
//!
//! `config/` calls [`OtelOptions::from_variables`] with the map it loaded. Invariant: a bad value is
//! a warning and the default, never a failed start.

mod endpoint;
mod exporters;
mod reader;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub(super) use reader::percent_decoded;

use reader::Reader;

use super::metrics::SemanticMetrics;

/// A batch links to every member, and one batch may hold more than the SDK's 128.
const LINKS: u32 = 16_384;

/// Traces, metrics and logs as configured by the standard variables.
#[derive(Clone, Debug, PartialEq)]
pub struct OtelOptions {
    /// `OTEL_SERVICE_NAME`, else `service.name` of `OTEL_RESOURCE_ATTRIBUTES`.
    pub service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES`, decoded.
    pub resource: Vec<(String, String)>,
    /// Where spans go.
    pub exporter: TraceExporter,
    /// In which formats a caller's context is read (`OTEL_PROPAGATORS`); of several the last that is there.
    pub propagators: Vec<Propagator>,
    /// Which traces are recorded.
    pub sampler: SamplerKind,
    /// The queue before the exporter.
    pub queue: QueueOptions,
    /// Limits on one span.
    pub limits: LimitOptions,
    /// Metrics pushed to a collector, beside being scraped.
    pub metrics: Option<MetricExport>,
    /// Logs sent to a collector, beside stderr.
    pub logs: Option<LogExport>,
    /// Which metrics of the semantic conventions are kept (`OTEL_SEMCONV_STABILITY_OPT_IN`).
    pub semantic: SemanticMetrics,
}

/// A format of callers' contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagator {
    /// `traceparent` and `tracestate`.
    TraceContext,
    /// `b3`, or the several `x-b3-*`.
    B3,
}

/// Where spans go.
#[derive(Clone, Debug, PartialEq)]
pub enum TraceExporter {
    /// Nowhere: no endpoint, `none`, or switched off.
    Off,
    /// Lines on stderr, for a first look.
    Console,
    /// An OTLP collector.
    Otlp(OtlpOptions),
}

/// Metrics pushed to a collector.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricExport {
    /// The collector.
    pub otlp: OtlpOptions,
    /// From one push to the next.
    pub interval: Duration,
}

/// Logs sent to a collector.
#[derive(Clone, Debug, PartialEq)]
pub struct LogExport {
    /// The collector.
    pub otlp: OtlpOptions,
    /// The queue before the exporter.
    pub queue: QueueOptions,
    /// Attributes of a record at most.
    pub attributes: usize,
    /// Characters of a text attribute at most.
    pub value_length: usize,
}

/// How a signal's collector is reached.
#[derive(Clone, PartialEq)]
pub struct OtlpOptions {
    /// The whole URL that is called; of gRPC only its scheme, host and port.
    pub endpoint: String,
    /// gRPC or HTTP.
    pub protocol: OtlpProtocol,
    /// Sent with every export; may hold secrets.
    pub headers: Vec<(String, String)>,
    /// Limit on one export, retries included.
    pub timeout: Duration,
    /// Whether exports are compressed.
    pub gzip: bool,
    /// For `https://` endpoints.
    pub tls: TlsOptions,
}

/// The PEM files of a connection over TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// The authorities that may vouch for the collector; none = those that the system trusts.
    pub authorities: Option<PathBuf>,
    /// Our certificate and its key, where the collector wants one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl fmt::Debug for OtlpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("OtlpOptions")
            .field("endpoint", &self.endpoint)
            .field("protocol", &self.protocol)
            .field("headers", &names)
            .field("timeout", &self.timeout)
            .field("gzip", &self.gzip)
            .field("tls", &self.tls)
            .finish()
    }
}

/// How exports travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP.
    HttpProtobuf,
}

/// Which traces are recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplerKind {
    /// Whether a caller's decision is followed.
    pub parent_based: bool,
    /// The share of roots that is recorded.
    pub root: RootSampler,
}

/// The decision for a trace that begins here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RootSampler {
    /// Record it.
    On,
    /// Do not.
    Off,
    /// Record this share, by trace id.
    Ratio(f64),
}

/// The queue before the exporter (`OTEL_BSP_*` for spans, `OTEL_BLRP_*` for log records).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueOptions {
    /// Items that may wait; further ones are dropped and counted.
    pub capacity: usize,
    /// Items in one export at most.
    pub batch: usize,
    /// How long an item waits for company.
    pub delay: Duration,
    /// Limit on one export.
    pub export_timeout: Duration,
}

/// Limits on one span (`OTEL_SPAN_*_LIMIT` and the general forms).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitOptions {
    /// Attributes of a span.
    pub attributes: u32,
    /// Events of a span.
    pub events: u32,
    /// Links of a span.
    pub links: u32,
    /// Attributes of an event.
    pub attributes_per_event: u32,
    /// Attributes of a link.
    pub attributes_per_link: u32,
    /// Characters of a text attribute.
    pub value_length: Option<usize>,
}

impl OtelOptions {
    /// Reads the variables; the second part is what should be logged as warnings.
    pub fn from_variables(vars: &BTreeMap<String, String>) -> (Self, Vec<String>) {
        let mut reader = Reader::new(vars);
        let resource = reader.resource_attributes();
        let named = resource.iter().rev().find(|(key, _)| key == "service.name");
        let service_name = reader
            .text("OTEL_SERVICE_NAME")
            .map(str::to_owned)
            .or_else(|| named.map(|(_, name)| name.clone()));
        let propagators = reader.propagators();
        let queue = exporters::queue(&mut reader, "OTEL_BSP", 16_384, 5_000);
        let options = Self {
            service_name,
            exporter: exporters::traces(&mut reader, &queue),
            propagators,
            sampler: reader.sampler(),
            queue,
            limits: limits(&mut reader),
            metrics: exporters::metrics(&mut reader),
            logs: exporters::logs(&mut reader),
            semantic: semantic(&reader),
            resource,
        };
        (options, reader.warnings())
    }
}

impl Default for OtelOptions {
    fn default() -> Self {
        Self::from_variables(&BTreeMap::new()).0
    }
}

fn limits(reader: &mut Reader<'_>) -> LimitOptions {
    let attributes = reader.number("OTEL_ATTRIBUTE_COUNT_LIMIT", 128);
    let length = reader.number("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", usize::MAX);
    let length = reader.number("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", length);
    LimitOptions {
        attributes: reader.number("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", attributes),
        events: reader.number("OTEL_SPAN_EVENT_COUNT_LIMIT", 128),
        links: reader.number("OTEL_SPAN_LINK_COUNT_LIMIT", LINKS),
        attributes_per_event: reader.number("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", 128),
        attributes_per_link: reader.number("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", 128),
        value_length: (length != usize::MAX).then_some(length),
    }
}

/// Our own names stay in any case, so that `http` and `http/dup` say the same. Other names are of conventions of which
/// we have no metrics.
fn semantic(reader: &Reader<'_>) -> SemanticMetrics {
    let text = reader.text("OTEL_SEMCONV_STABILITY_OPT_IN").unwrap_or_default();
    let has = |name: &str| {
        text.split(',').map(str::trim).any(|one| one.strip_suffix("/dup").unwrap_or(one) == name)
    };
    SemanticMetrics { http: has("http"), rpc: has("rpc") }
}
