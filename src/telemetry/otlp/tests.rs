//! Tests of the sender against a server that answers as it is told: what a real collector does too seldom.

use std::convert::Infallible;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;

use super::*;
use crate::telemetry::labels::Signal;
use crate::telemetry::otel::{OtlpOptions, OtlpProtocol, TlsOptions};

const PROTOCOLS: [OtlpProtocol; 2] = [OtlpProtocol::Grpc, OtlpProtocol::HttpProtobuf];
/// `partial_success { rejected: 2, error_message: "no" }`.
const PARTIAL: &[u8] = &[0x0a, 6, 8, 2, 0x12, 2, b'n', b'o'];

/// One answer.
#[derive(Clone, Copy)]
enum Say {
    /// Partly taken in.
    Part,
    /// Not now: `Retry-After`, or the code that says so.
    Later(&'static str),
    /// Never.
    No,
    /// Nothing, however long one waits.
    Nothing,
    /// The connection ends without an answer.
    HangUp,
}

struct Call {
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// A server that says what it was told to, in order, the last of it for ever.
struct Scripted {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    connections: Arc<AtomicUsize>,
}

impl Scripted {
    fn start(script: &'static [Say]) -> Self {
        let (calls, connections) = (Arc::<Mutex<Vec<Call>>>::default(), Arc::<AtomicUsize>::default());
        let (told, address) = mpsc::channel();
        let (seen, opened) = (Arc::clone(&calls), Arc::clone(&connections));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    opened.fetch_add(1, Ordering::Relaxed);
                    let seen = Arc::clone(&seen);
                    let service = service_fn(move |request| answer(request, script, Arc::clone(&seen)));
                    tokio::spawn(async move {
                        let server = auto::Builder::new(TokioExecutor::new());
                        drop(server.serve_connection(TokioIo::new(stream), service).await);
                    });
                }
            });
        });
        Self { address: address.recv().unwrap(), calls, connections }
    }

    fn options(&self, protocol: OtlpProtocol) -> OtlpOptions {
        OtlpOptions {
            endpoint: format!("http://{}/base?key=1", self.address),
            protocol,
            headers: vec![("x-token".to_owned(), "s3cret".to_owned()), ("te".to_owned(), "bad".to_owned())],
            timeout: Duration::from_secs(20),
            gzip: false,
            tls: TlsOptions::default(),
        }
    }

    fn collector(&self, protocol: OtlpProtocol) -> Collector {
        Collector::open(&self.options(protocol), Signal::Logs).unwrap()
    }

    fn counts(&self) -> (usize, usize) {
        (self.calls.lock().unwrap().len(), self.connections.load(Ordering::Relaxed))
    }
}

type Answered = Result<Response<BoxBody<Bytes, Infallible>>, std::io::Error>;

async fn answer(request: Request<Incoming>, script: &[Say], seen: Arc<Mutex<Vec<Call>>>) -> Answered {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes().to_vec();
    let is_grpc = head.headers["content-type"] == "application/grpc";
    let say = {
        let mut seen = seen.lock().unwrap();
        seen.push(Call { path: head.uri.to_string(), headers: head.headers, body });
        script[(seen.len() - 1).min(script.len() - 1)]
    };
    let plain = |bytes: Vec<u8>| Full::new(Bytes::from(bytes));
    let mut response = Response::new(plain(Vec::new()).boxed());
    let mut header = |name: &'static str, value: &'static str| {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    };
    match say {
        Say::Part if is_grpc => {
            let framed = [&[0, 0, 0, 0, 8][..], PARTIAL].concat();
            let trailers =
                HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
            *response.body_mut() = plain(framed).with_trailers(async { Some(Ok(trailers)) }).boxed();
        }
        Say::Part => *response.body_mut() = plain(PARTIAL.to_vec()).boxed(),
        Say::Later(_) if is_grpc => header("grpc-status", "14"),
        Say::No if is_grpc => header("grpc-status", "3"),
        Say::Later(seconds) => {
            header("retry-after", seconds);
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        }
        Say::No => *response.status_mut() = http::StatusCode::BAD_REQUEST,
        Say::Nothing => std::future::pending().await,
        Say::HangUp => return Err(std::io::Error::other("hang up")),
    }
    Ok(response)
}

#[test]
fn requests_are_as_the_protocols_have_them() {
    let server = Scripted::start(&[Say::Part]);
    for protocol in PROTOCOLS {
        for gzip in [false, true] {
            let options = OtlpOptions { gzip, ..server.options(protocol) };
            let accepted =
                Collector::open(&options, Signal::Logs).unwrap().send(b"request".to_vec()).unwrap();
            assert_eq!(accepted, Accepted { rejected: 2, message: "no".to_owned() });
            let Call { path, headers, body } = server.calls.lock().unwrap().pop().unwrap();
            assert_eq!(headers["x-token"], "s3cret");
            assert!(headers["user-agent"].to_str().unwrap().starts_with("OTel-OTLP-Exporter-Rust/"));
            let (message, encoding) = match protocol {
                OtlpProtocol::Grpc => {
                    let method = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
                    assert_eq!(path, format!("http://{}{method}", server.address));
                    assert!(headers["te"] == "trailers" && headers["content-type"] == "application/grpc");
                    let timeout = headers["grpc-timeout"].to_str().unwrap().strip_suffix('m').unwrap();
                    assert!((1..=20_000).contains(&timeout.parse().unwrap()), "{timeout}");
                    assert_eq!(body[0], u8::from(gzip));
                    assert_eq!(body[1..5], u32::try_from(body.len() - 5).unwrap().to_be_bytes());
                    (&body[5..], headers.get("grpc-encoding"))
                }
                OtlpProtocol::HttpProtobuf => {
                    assert_eq!(path, "/base?key=1");
                    assert_eq!(headers["content-type"], "application/x-protobuf");
                    assert_eq!(headers["host"], server.address.to_string());
                    (&body[..], headers.get("content-encoding"))
                }
            };
            assert_eq!(encoding.is_some_and(|encoding| encoding == "gzip"), gzip);
            let mut plain = message.to_vec();
            if gzip {
                plain.clear();
                GzDecoder::new(message).read_to_end(&mut plain).unwrap();
            }
            assert_eq!(plain, b"request");
        }
    }
}

#[test]
fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
    for protocol in PROTOCOLS {
        let passing = Scripted::start(&[Say::Later("0"), Say::Later("0"), Say::Part]);
        assert_eq!(passing.collector(protocol).send(Vec::new()).unwrap().rejected, 2, "{protocol:?}");
        assert_eq!(passing.counts(), (3, 1), "{protocol:?}");
        let refused = Scripted::start(&[Say::No]);
        let error = refused.collector(protocol).send(Vec::new()).unwrap_err();
        assert_eq!((error.kind, refused.counts()), (ExportErrorKind::Rejected, (1, 1)), "{error}");
    }
}

#[test]
fn a_connection_is_kept_and_a_broken_one_opened_anew() {
    for protocol in PROTOCOLS {
        let server = Scripted::start(&[Say::Part, Say::Part, Say::HangUp, Say::Part]);
        let mut collector = server.collector(protocol);
        let begun = Instant::now();
        for _ in 0..3 {
            collector.send(Vec::new()).unwrap();
        }
        // HTTP/2 resets the one stream that failed and keeps the connection.
        let connections = if protocol == OtlpProtocol::Grpc { 1..=2 } else { 2..=2 };
        assert!(server.counts().0 == 4 && connections.contains(&server.counts().1), "{:?}", server.counts());
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn a_send_ends_in_time_whatever_the_collector_does() {
    for protocol in PROTOCOLS {
        let silent = Scripted::start(&[Say::Nothing, Say::Part]);
        let options = OtlpOptions { timeout: Duration::from_millis(200), ..silent.options(protocol) };
        let mut collector = Collector::open(&options, Signal::Traces).unwrap();
        let begun = Instant::now();
        let error = collector.send(Vec::new()).unwrap_err();
        assert_eq!(error.kind, ExportErrorKind::Timeout, "{error}");
        assert!(begun.elapsed() >= Duration::from_millis(200) && begun.elapsed() < Duration::from_secs(10));
        // The next one has a connection, and a limit, of its own.
        collector.limit = Duration::from_secs(20);
        assert_eq!(collector.send(Vec::new()).unwrap().rejected, 2);
        assert_eq!(silent.counts().1, 2);
    }
}

#[test]
fn a_pause_beyond_the_limit_is_not_begun() {
    let busy = Scripted::start(&[Say::Later("60")]);
    let begun = Instant::now();
    let error = busy.collector(OtlpProtocol::HttpProtobuf).send(Vec::new()).unwrap_err();
    assert_eq!((error.kind, busy.counts().0), (ExportErrorKind::Unavailable, 1), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = OtlpOptions {
        endpoint: format!("http://{closed}"),
        timeout: Duration::from_millis(700),
        ..busy.options(OtlpProtocol::Grpc)
    };
    let error = Collector::open(&options, Signal::Metrics).unwrap().send(Vec::new()).unwrap_err();
    assert_eq!(error.kind, ExportErrorKind::Unavailable, "{error}");
}

#[test]
fn endpoints_that_are_none_are_an_error_of_opening() {
    let server = Scripted::start(&[Say::Part]);
    for endpoint in ["", "/path", "ftp://c", "http://", "not a url"] {
        let options = OtlpOptions { endpoint: endpoint.to_owned(), ..server.options(OtlpProtocol::Grpc) };
        assert!(Collector::open(&options, Signal::Logs).is_err(), "{endpoint:?}");
    }
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("empty"), "s3cret").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for (authorities, identity) in [
        (Some(path("missing")), None),
        (Some(path("empty")), None),
        (None, Some((path("missing"), path("empty")))),
    ] {
        let tls = TlsOptions { authorities, identity };
        let options = OtlpOptions {
            endpoint: format!("https://{}", listener.local_addr().unwrap()),
            protocol: OtlpProtocol::Grpc,
            headers: Vec::new(),
            timeout: Duration::from_secs(20),
            gzip: false,
            tls,
        };
        let error = Collector::open(&options, Signal::Logs).unwrap().send(Vec::new()).unwrap_err();
        assert_eq!(error.kind, ExportErrorKind::Unavailable);
        assert!(!error.message.contains("s3cret"), "{error}");
    }
}
