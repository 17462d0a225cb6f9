//! Sends requests to a collector, blocking the thread that asks, which is an exporter's own.
//!
//! Source: "OpenTelemetry Protocol Specification", OTLP/gRPC and OTLP/HTTP. One connection is kept and opened anew when
//! it is broken. Invariant: a send ends within its limit, tries and pauses between them included.

use std::io::Write as _;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, TE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version};
use http_body_util::{BodyExt as _, Full, Limited};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep, timeout_at};

use super::answer::{self, FRAME, Failure, Retry};
use super::connection::{Connection, Place};
use super::{Accepted, ExportError};
use crate::telemetry::labels::Signal;
use crate::telemetry::otel::{OtlpOptions, OtlpProtocol};

/// Bytes of an answer that are read: it is a count and a message.
const MAX_ANSWER: usize = 64 << 10;
/// The pause before the second try; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// What a collector that asks for no pause at all gets.
const LEAST_PAUSE: Duration = Duration::from_millis(100);

const AGENT: &str = concat!("OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));

/// An open way to a collector.
#[derive(Debug)]
pub(in crate::telemetry) struct Collector {
    runtime: Runtime,
    way: Way,
    pub(super) limit: Duration,
}

#[derive(Debug)]
struct Way {
    place: Place,
    protocol: OtlpProtocol,
    /// What is asked for: the whole URL, or a method's.
    uri: Uri,
    headers: HeaderMap,
    is_compressed: bool,
    connection: Option<Connection>,
}

impl Collector {
    /// Prepares everything; nothing is connected or read before the first send.
    pub(in crate::telemetry) fn open(options: &OtlpOptions, signal: Signal) -> Result<Self, ExportError> {
        let unusable = |what: String| ExportError::unavailable(what);
        let given: Uri =
            options.endpoint.parse().map_err(|error| unusable(format!("the endpoint: {error}")))?;
        let place = Place::new(&given, options.protocol, &options.tls)
            .ok_or_else(|| unusable("the endpoint is no http:// or https:// URL".to_owned()))?;
        let uri = target(given, options.protocol, signal).map_err(|error| unusable(error.to_string()))?;
        let headers = headers(options, &uri);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| unusable(format!("no runtime: {error}")))?;
        let (protocol, is_compressed) = (options.protocol, options.gzip);
        let way = Way { place, protocol, uri, headers, is_compressed, connection: None };
        Ok(Self { runtime, way, limit: options.timeout })
    }

    /// Sends an `Export...ServiceRequest`; returns within the time limit.
    pub(in crate::telemetry) fn send(&mut self, request: Vec<u8>) -> Result<Accepted, ExportError> {
        let Self { runtime, way, limit } = self;
        runtime.block_on(async {
            let deadline = Instant::now() + *limit;
            let body = way.body(request);
            let mut last = None;
            let sent = timeout_at(deadline, way.deliver(&body, deadline, &mut last)).await;
            sent.unwrap_or_else(|_| {
                // An answer to this request must not be taken for one to the next.
                way.connection = None;
                Err(last.unwrap_or_else(|| ExportError::timeout(*limit)))
            })
        })
    }
}

impl Way {
    /// The request as it travels.
    fn body(&self, request: Vec<u8>) -> Bytes {
        let message = if self.is_compressed { compressed(&request) } else { request };
        if self.protocol == OtlpProtocol::HttpProtobuf {
            return message.into();
        }
        let mut framed = BytesMut::with_capacity(FRAME + message.len());
        framed.put_u8(u8::from(self.is_compressed));
        framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
        framed.extend_from_slice(&message);
        framed.freeze()
    }

    /// Tries until it is taken in, refused for good, or the next try would be too late. What a try failed of stands in
    /// `last` while the next one is made.
    async fn deliver(
        &mut self,
        body: &Bytes,
        deadline: Instant,
        last: &mut Option<ExportError>,
    ) -> Result<Accepted, ExportError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let was_kept = self.connection.is_some();
            let Failure { error, retry } = match self.attempt(body, deadline).await {
                Ok(accepted) => return Ok(accepted),
                Err(failure) => failure,
            };
            let wait = match retry {
                Retry::Never => return Err(error),
                // The collector had closed it while nothing was sent.
                _ if was_kept && self.connection.is_none() => Duration::ZERO,
                Retry::After(asked) => asked.max(LEAST_PAUSE),
                Retry::Later => {
                    let wait = pause.mul_f64(0.75 + fastrand::f64() / 2.0);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    wait
                }
            };
            if wait >= deadline.saturating_duration_since(Instant::now()) {
                return Err(error);
            }
            *last = Some(error);
            sleep(wait).await;
        }
    }

    /// One try. The connection stays only when it can be used again.
    async fn attempt(&mut self, body: &Bytes, deadline: Instant) -> Result<Accepted, Failure> {
        let mut connection = match self.connection.take() {
            Some(kept) => kept,
            None => self.place.connect().await?,
        };
        let response = connection.send(self.request(body, deadline)).await?;
        let (head, answer) = response.into_parts();
        let read = Limited::new(answer, MAX_ANSWER).collect().await;
        let (trailers, answer) = match read {
            Ok(whole) => {
                self.connection = Some(connection);
                (whole.trailers().cloned().unwrap_or_default(), whole.to_bytes())
            }
            // The status was there: with HTTP it says everything, with gRPC it was still to come.
            Err(_) if self.protocol == OtlpProtocol::HttpProtobuf => (HeaderMap::new(), Bytes::new()),
            Err(error) => {
                return Err(Failure::unavailable(format!("the collector's answer: {error}"), Retry::Later));
            }
        };
        match self.protocol {
            OtlpProtocol::Grpc => answer::grpc(head.status, &head.headers, &trailers, &answer),
            OtlpProtocol::HttpProtobuf => answer::http(head.status, &head.headers, &answer),
        }
    }

    fn request(&self, body: &Bytes, deadline: Instant) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = http::Method::POST;
        *request.headers_mut() = self.headers.clone();
        match self.protocol {
            OtlpProtocol::Grpc => {
                *request.version_mut() = Version::HTTP_2;
                *request.uri_mut() = self.uri.clone();
                let left = deadline.saturating_duration_since(Instant::now()).as_millis();
                // Eight digits at most.
                if let Ok(value) = format!("{}m", left.clamp(1, 99_999_999)).parse() {
                    request.headers_mut().insert("grpc-timeout", value);
                }
            }
            OtlpProtocol::HttpProtobuf => {
                let path = self.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
                *request.uri_mut() = path.parse().unwrap_or_default();
            }
        }
        request
    }
}

/// What is asked for: the endpoint itself, or the signal's method there.
fn target(endpoint: Uri, protocol: OtlpProtocol, signal: Signal) -> Result<Uri, http::Error> {
    if protocol == OtlpProtocol::HttpProtobuf {
        return Ok(endpoint);
    }
    let service = match signal {
        Signal::Traces => "trace.v1.TraceService",
        Signal::Metrics => "metrics.v1.MetricsService",
        Signal::Logs => "logs.v1.LogsService",
    };
    let mut parts = endpoint.into_parts();
    parts.path_and_query = Some(format!("/opentelemetry.proto.collector.{service}/Export").try_into()?);
    Ok(Uri::from_parts(parts)?)
}

/// The given headers, then ours, which win.
fn headers(options: &OtlpOptions, uri: &Uri) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &options.headers {
        if let (Ok(name), Ok(mut value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    let fixed = HeaderValue::from_static;
    headers.insert(USER_AGENT, fixed(AGENT));
    match options.protocol {
        OtlpProtocol::Grpc => {
            headers.insert(CONTENT_TYPE, fixed("application/grpc"));
            headers.insert(TE, fixed("trailers"));
            if options.gzip {
                headers.insert("grpc-encoding", fixed("gzip"));
            }
        }
        OtlpProtocol::HttpProtobuf => {
            headers.insert(CONTENT_TYPE, fixed("application/x-protobuf"));
            if options.gzip {
                headers.insert(CONTENT_ENCODING, fixed("gzip"));
            }
            if let Some(Ok(host)) = uri.authority().map(|place| HeaderValue::from_str(place.as_str())) {
                headers.insert(HOST, host);
            }
        }
    }
    headers
}

fn compressed(request: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(request.len() / 4), Compression::fast());
    // Writing to memory does not fail.
    encoder.write_all(request).and_then(|()| encoder.finish()).unwrap_or_default()
}
