//! A client of HTTP/1.1 that keeps its connection by the rules: behind an answer that says `close` it
//! opens another one. It sends nothing twice.

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::CONNECTION;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub(super) struct Client {
    address: SocketAddr,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// Whether the next request goes over a connection that was used before.
    pub(super) fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
        let failed = |doing: &'static str| move |error: hyper::Error| format!("{doing}: {error}");
        let mut sender = match self.connection.take() {
            Some(sender) => sender,
            None => open(self.address).await?,
        };
        // A client that looks would not send here; one that has just sent could not know.
        sender.ready().await.map_err(failed("closed unannounced"))?;
        let answer = sender.send_request(request).await.map_err(failed("sending"))?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(failed("reading"))?.to_bytes();
        let is_last = head.headers.get(CONNECTION).is_some_and(|value| value == "close");
        self.connection = (!is_last).then_some(sender);
        Ok(Response::from_parts(head, body))
    }
}

async fn open(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>, String> {
    let failed = |error: &dyn std::error::Error| format!("connecting: {error}");
    let stream = TcpStream::connect(address).await.map_err(|error| failed(&error))?;
    stream.set_nodelay(true).map_err(|error| failed(&error))?;
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    tokio::spawn(connection);
    Ok(sender)
}
