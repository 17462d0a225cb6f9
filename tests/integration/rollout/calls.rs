//! A client of gRPC with one connection for all its calls, which opens another one once the server says
//! GOAWAY. A call that was sent is never sent again.

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ml_inference_api::grpc::proto::inference::ModelInferResponse;
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::harness::grpc::{INFER, framed, rows};

type Sender = SendRequest<Full<Bytes>>;

pub(super) struct Caller {
    address: SocketAddr,
    connection: Mutex<Option<Sender>>,
}

impl Caller {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, connection: Mutex::new(None) }
    }

    /// Asks `add-one` what follows `number`.
    pub(super) async fn call(&self, number: f32) -> Result<(), String> {
        let message = Bytes::from(framed(&rows("add-one", &[number, number, number])));
        let mut request = Request::post(format!("http://localhost{INFER}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(message))
            .unwrap();
        loop {
            let mut sender = self.sender().await?;
            match sender.try_send_request(request).await {
                Ok(answer) => return check(answer, number + 1.0).await,
                // GOAWAY came while it waited to be written: it never left.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(format!("calling: {:?}", error.into_error())),
                },
            }
        }
    }

    /// The connection, or a new one where that takes no more calls.
    async fn sender(&self) -> Result<Sender, String> {
        let mut connection = self.connection.lock().await;
        if let Some(sender) = connection.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let sender = open(self.address).await.map_err(|error| format!("connecting: {error}"))?;
        Ok(connection.insert(sender).clone())
    }
}

async fn open(address: SocketAddr) -> Result<Sender, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn check(answer: Response<Incoming>, expected: f32) -> Result<(), String> {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(|error| format!("reading: {error}"))?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let status = trailers.get("grpc-status").or_else(|| head.headers.get("grpc-status"));
    if head.status != 200 || status.is_none_or(|status| status != "0") {
        return Err(format!("answered {} with grpc-status {status:?}", head.status));
    }
    let message = body.to_bytes();
    let message = message.get(5..).ok_or("no message")?;
    let answer = ModelInferResponse::decode(message).map_err(|error| error.to_string())?;
    let wanted = expected.to_le_bytes().repeat(3);
    (answer.raw_output_contents == [wanted]).then_some(()).ok_or_else(|| "a wrong prediction".to_owned())
}
