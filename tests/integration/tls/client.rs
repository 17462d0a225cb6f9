//! A client of rustls, and HTTP/1.1 and HTTP/2 over it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};

use super::pki::{Leaf, Pki};
use crate::harness::ledger::Ledger;

pub(super) type Stream = TlsStream<TcpStream>;
pub(super) type Version = &'static SupportedProtocolVersion;

pub(super) const VERSIONS: [Version; 2] = [&version::TLS12, &version::TLS13];

/// A client that trusts the authority, speaks one version, and has `identity` to show.
pub(super) fn config(pki: &Pki, version: Version, identity: Option<&Leaf>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(pki.authority.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some(leaf) => builder.with_client_auth_cert(vec![leaf.der()], leaf.key()).unwrap(),
    }
}

pub(super) async fn connect(address: SocketAddr, config: ClientConfig) -> io::Result<Stream> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

/// What any client does: connects with the newest version and no certificate of its own.
pub(super) async fn open(pki: &Pki, address: SocketAddr) -> Stream {
    connect(address, config(pki, &version::TLS13, None)).await.unwrap()
}

fn post(target: &str, body: &Value) -> hyper::Request<Full<Bytes>> {
    hyper::Request::post(format!("https://localhost{target}")).body(Full::from(body.to_string())).unwrap()
}

/// Notes that a request is about to be sent.
pub(super) fn begin(stream: &Stream) -> Arc<Ledger> {
    let ledger = Ledger::of(stream.get_ref().0.peer_addr().unwrap());
    ledger.begin(1);
    ledger
}

async fn read(answer: hyper::Response<hyper::body::Incoming>, ledger: &Ledger) -> Value {
    assert_eq!(answer.status(), 200);
    ledger.answered();
    serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

/// HTTP/1.1 on a connection that stays open.
pub(super) struct Http1(http1::SendRequest<Full<Bytes>>, Arc<Ledger>);

impl Http1 {
    pub(super) async fn new(stream: Stream) -> Self {
        let ledger = Ledger::of(stream.get_ref().0.peer_addr().unwrap());
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender, ledger)
    }

    /// The answer, which must be a success.
    pub(super) async fn post(&mut self, target: &str, body: &Value) -> hyper::Result<Value> {
        let mut request = post(target, body);
        request.headers_mut().insert("host", "localhost".parse().unwrap());
        self.1.begin(1);
        Ok(read(self.0.send_request(request).await?, &self.1).await)
    }
}

/// One request over HTTP/2, which must be answered.
pub(super) async fn post_h2(stream: Stream, target: &str, body: &Value) -> Value {
    let (ledger, io) = (begin(&stream), TokioIo::new(stream));
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(post(target, body)).await.unwrap();
    assert_eq!(answer.version(), hyper::Version::HTTP_2);
    read(answer, &ledger).await
}
