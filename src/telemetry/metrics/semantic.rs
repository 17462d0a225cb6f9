//! Durations of requests once more, under the names of OpenTelemetry's semantic conventions.
//!
//! Kept where they are asked for only, since they double the largest families. Invariant: like all labels, theirs are
//! members of closed lists; the `error_type` of a request is the one that its span has.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::catalogue::Catalogue;
use super::histogram::{Histogram, SampledSpan};

/// Which conventions are followed beside our own names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SemanticMetrics {
    /// `http_server_request_duration_seconds`.
    pub http: bool,
    /// `rpc_server_call_duration_seconds`.
    pub rpc: bool,
}

/// What a request speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Spoken {
    /// HTTP without TLS.
    #[default]
    Http,
    /// HTTP over TLS.
    Https,
    /// gRPC.
    Grpc,
}

/// What else is known of a request at its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObservedEnd {
    /// The server span, where it is exported.
    pub span: Option<SampledSpan>,
    /// The error code, where it is a fault of ours.
    pub error_type: Option<&'static str>,
    /// The name of gRPC's status.
    pub grpc_status: Option<&'static str>,
}

/// Where no route or method was found; the conventions have no route then, and a method of this name.
const UNMATCHED: &str = "unmatched";
const OTHER_METHOD: &str = "_OTHER";
/// `error_type` where the client went away, as on its span.
const CLIENT_GONE: &str = "client_disconnected";
/// The status that says so.
const GONE: u16 = 499;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    method: &'static str,
    route: &'static str,
    spoken: Spoken,
    status: u16,
    grpc_status: Option<&'static str>,
    error_type: Option<&'static str>,
}

/// The histograms, found without making labels on each request.
#[derive(Debug)]
pub(super) struct Semantic {
    catalogue: Arc<Catalogue>,
    wanted: SemanticMetrics,
    known: RwLock<HashMap<Key, Histogram>>,
}

impl Semantic {
    /// None where none are wanted.
    pub(super) fn new(catalogue: &Arc<Catalogue>, wanted: SemanticMetrics) -> Option<Arc<Self>> {
        let made = || Self { catalogue: Arc::clone(catalogue), wanted, known: RwLock::default() };
        (wanted.http || wanted.rpc).then(|| Arc::new(made()))
    }

    /// A request of a method and route took `seconds`.
    pub(super) fn observe(
        &self,
        (method, route): (&'static str, &'static str),
        (spoken, status): (Spoken, u16),
        end: &ObservedEnd,
        seconds: f64,
    ) {
        let is_rpc = spoken == Spoken::Grpc;
        if !(if is_rpc { self.wanted.rpc } else { self.wanted.http }) {
            return;
        }
        let (grpc_status, error_type) = match status {
            GONE => (Some("CANCELLED"), Some(CLIENT_GONE)),
            _ => (end.grpc_status, end.error_type),
        };
        let grpc_status = grpc_status.filter(|_| is_rpc);
        let key = Key { method, route, spoken, status, grpc_status, error_type };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(histogram) = known.get(&key) {
            histogram.observe_in(seconds, end.span);
            return;
        }
        drop(known);
        let histogram = self.made(&key);
        histogram.observe_in(seconds, end.span);
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(key, histogram);
    }

    fn made(&self, key: &Key) -> Histogram {
        let status = key.status.to_string();
        let error = match key.error_type {
            Some(error) => error,
            None if key.status >= 500 => &status,
            None => "",
        };
        if key.spoken == Spoken::Grpc {
            let method =
                if key.route == UNMATCHED { OTHER_METHOD } else { key.route.trim_start_matches('/') };
            let labels = ["grpc", method, key.grpc_status.unwrap_or("OK"), error];
            return self.catalogue.rpc_duration.with_label_values(&labels);
        }
        let route = if key.route == UNMATCHED { "" } else { key.route };
        let scheme = if key.spoken == Spoken::Https { "https" } else { "http" };
        let labels = [key.method, route, status.as_str(), scheme, error];
        self.catalogue.semantic_http_duration.with_label_values(&labels)
    }
}

/// Names that OTLP has with dots: a metric, and its labels with their names as attributes.
type Dotted = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const DOTTED: [Dotted; 2] = [
    (
        "http_server_request_duration_seconds",
        "http.server.request.duration",
        &[
            ("http_request_method", "http.request.method"),
            ("http_response_status_code", STATUS_CODE),
            ("http_route", "http.route"),
            ("url_scheme", "url.scheme"),
            ("error_type", "error.type"),
        ],
    ),
    (
        "rpc_server_call_duration_seconds",
        "rpc.server.call.duration",
        &[
            ("rpc_system_name", "rpc.system.name"),
            ("rpc_method", "rpc.method"),
            ("rpc_response_status_code", "rpc.response.status_code"),
            ("error_type", "error.type"),
        ],
    ),
];

/// The one attribute that is a number.
pub(super) const STATUS_CODE: &str = "http.response.status_code";

/// How a metric is named in OTLP, and its labels.
#[derive(Clone, Copy)]
pub(super) struct Names(Option<&'static Dotted>);

impl Names {
    pub(super) fn of(metric: &str) -> Self {
        Self(DOTTED.iter().find(|(name, ..)| *name == metric))
    }

    pub(super) fn metric(self, own: &'static str) -> &'static str {
        self.0.map_or(own, |(_, dotted, _)| dotted)
    }

    pub(super) fn attribute(self, label: &'static str) -> &'static str {
        let dotted = self.0.and_then(|(.., labels)| labels.iter().find(|(name, _)| *name == label));
        dotted.map_or(label, |(_, dotted)| dotted)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::Metrics;
    use super::*;
    use crate::telemetry::BuildInfo;

    fn metrics(http: bool, rpc: bool) -> Metrics {
        Metrics::new(None, &BuildInfo::default()).with_semantic(SemanticMetrics { http, rpc })
    }

    fn request(metrics: &Metrics, route: &'static str, spoken: Spoken, end: Option<(u16, ObservedEnd)>) {
        let mut observation = metrics.http().begin("POST", route, Instant::now());
        observation.speaks(spoken);
        if let Some((status, end)) = end {
            observation.ends(end);
            observation.finish(status, 1);
        }
    }

    fn requests(metrics: &Metrics) {
        let failed = |error_type| ObservedEnd { error_type, ..ObservedEnd::default() };
        request(metrics, "/predict", Spoken::Http, Some((200, ObservedEnd::default())));
        request(metrics, "/predict", Spoken::Http, Some((200, ObservedEnd::default())));
        request(metrics, "/predict", Spoken::Https, Some((400, ObservedEnd::default())));
        request(metrics, "/predict", Spoken::Http, Some((503, failed(Some("overloaded")))));
        request(metrics, "/predict", Spoken::Http, Some((500, failed(None))));
        request(metrics, "/predict", Spoken::Http, None);
        request(metrics, "unmatched", Spoken::Http, Some((404, ObservedEnd::default())));
        let call = |status, grpc_status, error_type| {
            let end = ObservedEnd { span: None, error_type, grpc_status: Some(grpc_status) };
            request(metrics, "/p.Service/Method", Spoken::Grpc, Some((status, end)));
        };
        call(200, "OK", None);
        call(404, "NOT_FOUND", None);
        call(504, "DEADLINE_EXCEEDED", Some("deadline_exceeded"));
        request(metrics, "/p.Service/Method", Spoken::Grpc, None);
        let unknown = ObservedEnd { grpc_status: Some("UNIMPLEMENTED"), ..ObservedEnd::default() };
        request(metrics, "unmatched", Spoken::Grpc, Some((404, unknown)));
    }

    fn counts(metrics: &Metrics, name: &str) -> Vec<String> {
        let start = format!("{name}_count{{");
        metrics.render().lines().filter_map(|line| line.strip_prefix(&start)).map(str::to_owned).collect()
    }

    const HTTP: &str = "http_server_request_duration_seconds";
    const RPC: &str = "rpc_server_call_duration_seconds";

    #[test]
    fn requests_are_measured_under_the_conventions_names() {
        let metrics = metrics(true, true);
        requests(&metrics);
        let of = |error: &str, route: &str, status, scheme, count| {
            format!(
                "error_type=\"{error}\",http_request_method=\"POST\",http_response_status_code=\"{status}\",\
                 http_route=\"{route}\",url_scheme=\"{scheme}\"}} {count}"
            )
        };
        let expected = [
            of("", "/predict", 200, "http", 2),
            of("", "/predict", 400, "https", 1),
            of("", "", 404, "http", 1),
            of("500", "/predict", 500, "http", 1),
            of("client_disconnected", "/predict", 499, "http", 1),
            of("overloaded", "/predict", 503, "http", 1),
        ];
        assert_eq!(counts(&metrics, HTTP), expected);
        let of = |error: &str, method: &str, status| {
            format!(
                "error_type=\"{error}\",rpc_method=\"{method}\",rpc_response_status_code=\"{status}\",\
                 rpc_system_name=\"grpc\"}} 1"
            )
        };
        let method = "p.Service/Method";
        let expected = [
            of("", "_OTHER", "UNIMPLEMENTED"),
            of("", method, "NOT_FOUND"),
            of("", method, "OK"),
            of("client_disconnected", method, "CANCELLED"),
            of("deadline_exceeded", method, "DEADLINE_EXCEEDED"),
        ];
        assert_eq!(counts(&metrics, RPC), expected);
        assert!(metrics.render().contains(&format!("{HTTP}_bucket{{error_type=\"\"")));
    }

    #[test]
    fn what_is_not_wanted_is_not_there() {
        for (http, rpc) in [(false, false), (true, false), (false, true)] {
            let metrics = metrics(http, rpc);
            requests(&metrics);
            assert_eq!(!counts(&metrics, HTTP).is_empty(), http);
            assert_eq!(!counts(&metrics, RPC).is_empty(), rpc);
        }
    }
}
