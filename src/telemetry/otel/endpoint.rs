//! From the exporter variables to one collector for a signal.
//!
//! Used by [`super::exporters`]. Invariant: a variable of the signal's own goes before the general one; the endpoint
//! found is the whole URL, whichever variable named it, and holds no credentials.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use super::reader::Reader;
use super::{OtlpOptions, OtlpProtocol, TlsOptions};
use crate::telemetry::labels::Signal;

const GRPC: OtlpProtocol = OtlpProtocol::Grpc;
const HTTP: OtlpProtocol = OtlpProtocol::HttpProtobuf;

/// The variables about one signal's collector.
struct Variables<'r, 'v> {
    reader: &'r mut Reader<'v>,
    signal: Signal,
}

/// The signal's collector, if any is named; `limit` bounds an export beside the collector's own timeout.
pub(super) fn collector(reader: &mut Reader<'_>, signal: Signal, limit: Duration) -> Option<OtlpOptions> {
    let mut variables = Variables { reader, signal };
    let (name, given) = variables.find("ENDPOINT")?;
    let protocol = variables.protocol(given);
    let endpoint = variables.endpoint(&name, given, protocol)?;
    Some(OtlpOptions {
        endpoint,
        protocol,
        headers: variables.headers(),
        timeout: variables.timeout().min(limit),
        gzip: variables.gzip(),
        tls: variables.tls(),
    })
}

impl<'v> Variables<'_, 'v> {
    /// The signal's own form of a variable.
    fn own(&self, name: &str) -> String {
        format!("OTEL_EXPORTER_OTLP_{}_{name}", self.signal.as_str().to_ascii_uppercase())
    }

    /// The form that is set, and its text.
    fn find(&self, name: &str) -> Option<(String, &'v str)> {
        [self.own(name), format!("OTEL_EXPORTER_OTLP_{name}")]
            .into_iter()
            .find_map(|form| self.reader.text(&form).map(|text| (form, text)))
    }

    fn endpoint(&mut self, name: &str, given: &str, protocol: OtlpProtocol) -> Option<String> {
        let mut endpoint = given.to_owned();
        if !given.contains("://") {
            let scheme = self.scheme(protocol);
            self.reader.warn(format!("{name} has no scheme: {scheme} is used"));
            endpoint.insert_str(0, scheme);
        }
        let Some(bare) = usable(&endpoint) else {
            let signal = self.signal.as_str();
            self.reader.warn(format!("{name} is no http:// or https:// URL: {signal} are not exported"));
            return None;
        };
        if bare != endpoint {
            self.reader.warn(format!("{name} holds credentials, which are not sent: headers can hold them"));
            endpoint = bare;
        }
        if protocol == HTTP && name != self.own("ENDPOINT") {
            endpoint = format!("{}/v1/{}", endpoint.trim_end_matches('/'), self.signal.as_str());
        }
        Some(endpoint)
    }

    /// The scheme of an endpoint that has none: with gRPC, whether it is secure is a variable's to say.
    fn scheme(&mut self, protocol: OtlpProtocol) -> &'static str {
        let insecure = self.find("INSECURE").is_some_and(|(name, _)| self.reader.is_true(&name));
        if protocol == GRPC && !insecure { "https://" } else { "http://" }
    }

    fn protocol(&mut self, endpoint: &str) -> OtlpProtocol {
        let Some((name, text)) = self.find("PROTOCOL") else {
            if port(endpoint) != Some("4318") {
                return GRPC;
            }
            self.reader
                .warn("port 4318 without OTEL_EXPORTER_OTLP_PROTOCOL: http/protobuf is used".to_owned());
            return HTTP;
        };
        match text {
            "grpc" => GRPC,
            "http/protobuf" => HTTP,
            "http/json" => {
                self.reader.warn(format!("{name}: http/json is not supported: http/protobuf is used"));
                HTTP
            }
            other => {
                self.reader
                    .warn(format!("{name} is {other:?}, expected grpc or http/protobuf: grpc is used"));
                GRPC
            }
        }
    }

    fn headers(&mut self) -> Vec<(String, String)> {
        let Some((variable, text)) = self.find("HEADERS") else { return Vec::new() };
        let mut headers = self.reader.pairs(&variable, text);
        let given = headers.len();
        headers.retain(|(name, value)| {
            name.parse::<HeaderName>().is_ok() && HeaderValue::from_str(value).is_ok()
        });
        if headers.len() < given {
            self.reader.warn(format!("{variable}: what HTTP does not take as a header is left out"));
        }
        headers
    }

    fn timeout(&mut self) -> Duration {
        match self.find("TIMEOUT") {
            Some((name, _)) => self.reader.millis(&name, 10_000),
            None => Duration::from_secs(10),
        }
    }

    fn gzip(&mut self) -> bool {
        match self.find("COMPRESSION") {
            None | Some((_, "none")) => false,
            Some((_, "gzip")) => true,
            Some((name, other)) => {
                self.reader.warn(format!("{name} is {other:?}, expected gzip or none: none is used"));
                false
            }
        }
    }

    fn tls(&mut self) -> TlsOptions {
        let path = |found: Option<(String, &str)>| found.map(|(_, path)| PathBuf::from(path));
        let authorities = path(self.find("CERTIFICATE"));
        let certificate = path(self.find("CLIENT_CERTIFICATE"));
        let key = path(self.find("CLIENT_KEY"));
        if certificate.is_some() != key.is_some() {
            self.reader.warn(
                "of OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY only one is set: neither is used"
                    .to_owned(),
            );
        }
        TlsOptions { authorities, identity: certificate.zip(key) }
    }
}

/// The URL without credentials, if a collector can be there.
fn usable(endpoint: &str) -> Option<String> {
    let uri: Uri = endpoint.parse().ok()?;
    let is_known = matches!(uri.scheme_str()?, "http" | "https");
    let authority = uri.authority()?.as_str();
    uri.host().filter(|host| !host.is_empty() && is_known)?;
    let bare = authority.rsplit_once('@').map_or(authority, |(_, bare)| bare);
    Some(endpoint.replacen(authority, bare, 1))
}

fn port(endpoint: &str) -> Option<&str> {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let (_, port) = authority.rsplit_once(':')?;
    port.bytes().all(|byte| byte.is_ascii_digit()).then_some(port)
}
