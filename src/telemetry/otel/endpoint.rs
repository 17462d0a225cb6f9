//! From the exporter variables to one place to send spans to.
//!
//! Used by [`super::OtelOptions::from_variables`]. Invariant: without an endpoint there is no
//! tracing; the endpoint found is the whole URL, whichever variable named it.

use super::reader::Reader;
use super::{OtlpOptions, OtlpProtocol, TraceExporter};

const GRPC: OtlpProtocol = OtlpProtocol::Grpc;
const HTTP: OtlpProtocol = OtlpProtocol::HttpProtobuf;

/// Both forms of a variable, the one for traces first.
macro_rules! forms {
    ($name:literal) => {
        [concat!("OTEL_EXPORTER_OTLP_TRACES_", $name), concat!("OTEL_EXPORTER_OTLP_", $name)]
    };
}

pub(super) fn exporter(reader: &mut Reader<'_>) -> TraceExporter {
    if reader.is_true("OTEL_SDK_DISABLED") {
        return TraceExporter::Off;
    }
    let wanted = reader.text("OTEL_TRACES_EXPORTER").unwrap_or("otlp");
    let (first, rest) = wanted.split_once(',').unwrap_or((wanted, ""));
    if !rest.is_empty() {
        reader.warn(format!("OTEL_TRACES_EXPORTER names several exporters: only {first:?} is used"));
    }
    match first.trim() {
        "otlp" => otlp(reader).map_or(TraceExporter::Off, TraceExporter::Otlp),
        "console" => TraceExporter::Console,
        "none" => TraceExporter::Off,
        other => {
            reader.warn(format!("OTEL_TRACES_EXPORTER {other:?} is not supported: no spans are exported"));
            TraceExporter::Off
        }
    }
}

fn otlp(reader: &mut Reader<'_>) -> Option<OtlpOptions> {
    let [signal, _] = forms!("ENDPOINT");
    let (name, given) = reader.first(&forms!("ENDPOINT"))?;
    let mut endpoint = given.to_owned();
    if !given.contains("://") {
        reader.warn(format!("{name} has no scheme: http:// is used"));
        endpoint.insert_str(0, "http://");
    }
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        reader
            .warn(format!("{name} is {given:?}, expected an http:// or https:// URL: no spans are exported"));
        return None;
    }
    let protocol = protocol(reader, &endpoint);
    if protocol == HTTP && name != signal {
        endpoint = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    }
    let timeout = match reader.first(&forms!("TIMEOUT")) {
        Some((name, _)) => reader.millis(name, 10_000),
        None => std::time::Duration::from_secs(10),
    };
    let headers = match reader.first(&forms!("HEADERS")) {
        Some((name, text)) => reader.pairs(name, text),
        None => Vec::new(),
    };
    Some(OtlpOptions { endpoint, protocol, headers, timeout, gzip: gzip(reader) })
}

fn protocol(reader: &mut Reader<'_>, endpoint: &str) -> OtlpProtocol {
    let Some((name, text)) = reader.first(&forms!("PROTOCOL")) else {
        if port(endpoint) != Some("4318") {
            return GRPC;
        }
        reader.warn("port 4318 without OTEL_EXPORTER_OTLP_PROTOCOL: http/protobuf is used".to_owned());
        return HTTP;
    };
    match text {
        "grpc" => GRPC,
        "http/protobuf" => HTTP,
        "http/json" => {
            reader.warn(format!("{name}: http/json is not supported yet: http/protobuf is used"));
            HTTP
        }
        other => {
            reader.warn(format!("{name} is {other:?}, expected grpc or http/protobuf: grpc is used"));
            GRPC
        }
    }
}

fn port(endpoint: &str) -> Option<&str> {
    let (_, rest) = endpoint.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (_, port) = authority.rsplit_once(':')?;
    port.bytes().all(|byte| byte.is_ascii_digit()).then_some(port)
}

fn gzip(reader: &mut Reader<'_>) -> bool {
    match reader.first(&forms!("COMPRESSION")) {
        None | Some((_, "none")) => false,
        Some((_, "gzip")) => true,
        Some((name, other)) => {
            reader.warn(format!("{name} is {other:?}, expected gzip or none: none is used"));
            false
        }
    }
}
