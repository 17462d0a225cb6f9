//! One connection to a collector: HTTP/2 for gRPC, HTTP/1.1 for protobuf over HTTP, either over TLS.
//!
//! Used by [`super::collector`], on its runtime: between two exports nobody reads, so a connection that the collector
//! closed meanwhile is noticed by the next one.

use std::sync::Arc;

use bytes::Bytes;
use http::uri::Authority;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::answer::{Failure, Retry};
use super::tls;
use crate::telemetry::otel::{OtlpProtocol, TlsOptions};

/// Where a collector is.
#[derive(Debug)]
pub(super) struct Place {
    host: String,
    port: u16,
    protocol: OtlpProtocol,
    /// None for a connection in the clear.
    tls: Option<TlsOptions>,
}

impl Place {
    /// The place of a URL with a scheme and a host.
    pub(super) fn new(uri: &Uri, protocol: OtlpProtocol, tls: &TlsOptions) -> Option<Self> {
        let tls = match uri.scheme_str()? {
            "https" => Some(tls.clone()),
            "http" => None,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?;
        // The ports of the schemes, as the specification has it; collectors are mostly elsewhere, and named so.
        let default = if tls.is_some() { 443 } else { 80 };
        let port = uri.authority().and_then(Authority::port_u16).unwrap_or(default);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Self { host, port, protocol, tls })
    }

    /// A new connection. Its own work is done by a task of the runtime.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        let later = |error: std::io::Error| {
            Failure::unavailable(format!("{}:{}: {error}", self.host, self.port), Retry::Later)
        };
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(later)?;
        stream.set_nodelay(true).map_err(later)?;
        let Some(options) = &self.tls else { return self.speak(TokioIo::new(stream)).await };
        // Neither a bad file nor a certificate that is not trusted gets better by trying again at once.
        let never = |message: String| {
            Failure::unavailable(format!("TLS to {}:{}: {message}", self.host, self.port), Retry::Never)
        };
        let alpn: &[u8] = match self.protocol {
            OtlpProtocol::Grpc => b"h2",
            OtlpProtocol::HttpProtobuf => b"http/1.1",
        };
        let config = tls::client(options, alpn).map_err(never)?;
        let name = ServerName::try_from(self.host.clone()).map_err(|error| never(error.to_string()))?;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await.map_err(|error| never(error.to_string()))?;
        self.speak(TokioIo::new(stream)).await
    }

    async fn speak<T>(&self, stream: T) -> Result<Connection, Failure>
    where
        T: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    {
        // What ends a connection is told to the request in it, or noticed by the next one.
        match self.protocol {
            OtlpProtocol::Grpc => {
                let (sender, work) =
                    http2::handshake(TokioExecutor::new(), stream).await.map_err(|error| broken(&error))?;
                tokio::spawn(async { drop(work.await) });
                Ok(Connection::Http2(sender))
            }
            OtlpProtocol::HttpProtobuf => {
                let (sender, work) = http1::handshake(stream).await.map_err(|error| broken(&error))?;
                tokio::spawn(async { drop(work.await) });
                Ok(Connection::Http1(sender))
            }
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) enum Connection {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// Sends one request, after the last one was answered.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        let response = match self {
            Self::Http1(sender) => match sender.ready().await {
                Ok(()) => sender.send_request(request).await,
                Err(error) => Err(error),
            },
            Self::Http2(sender) => match sender.ready().await {
                Ok(()) => sender.send_request(request).await,
                Err(error) => Err(error),
            },
        };
        response.map_err(|error| broken(&error))
    }
}

/// The connection, with the cause that the library keeps behind its own words.
pub(super) fn broken(error: &hyper::Error) -> Failure {
    let mut message = format!("connection to the collector: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    Failure::unavailable(message, Retry::Later)
}
