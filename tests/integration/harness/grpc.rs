//! A gRPC client of a few lines over the HTTP library's client, so that a test sees and sets every part
//! of a call. The messages are the committed definitions'.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{HeaderMap, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ml_inference_api::grpc::proto::inference::model_infer_request::InferInputTensor;
use ml_inference_api::grpc::proto::inference::{
    InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse, infer_parameter,
};
use ml_inference_api::grpc::proto::rpc::{ErrorInfo, RetryInfo, Status};
use prost::Message;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::ledger::Ledger;

/// The service's path.
pub(crate) const INFERENCE: &str = "/inference.GRPCInferenceService/";
pub(crate) const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

pub(crate) type Body = BoxBody<Bytes, Infallible>;

/// One connection.
#[derive(Clone)]
pub(crate) struct Client {
    sender: SendRequest<Body>,
    ledger: Arc<Ledger>,
}

/// What a call ended with.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The number of the status.
    pub(crate) status: i32,
    pub(crate) message: String,
    /// What it began and ended with.
    pub(crate) metadata: HeaderMap,
    /// The messages' bytes.
    pub(crate) messages: Vec<Bytes>,
}

/// A message behind its prefix.
pub(crate) fn framed(message: &impl Message) -> Vec<u8> {
    framed_bytes(0, &message.encode_to_vec())
}

/// Bytes behind a prefix.
pub(crate) fn framed_bytes(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag], &length[..], message].concat()
}

impl Client {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, ledger: Ledger::of(address) }
    }

    /// Sends headers and a body of its own making.
    pub(crate) async fn send(
        &self,
        path: &str,
        metadata: &[(&str, &str)],
        body: Body,
    ) -> hyper::Result<Response<Incoming>> {
        let mut request = hyper::Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in metadata {
            request = request.header(*name, *value);
        }
        let mut sender = self.sender.clone();
        sender.ready().await?;
        self.ledger.begin(1);
        let response = sender.send_request(request.body(body).unwrap()).await?;
        if response.headers().contains_key("x-request-id") {
            self.ledger.answered();
        }
        Ok(response)
    }

    /// A call whose body is these bytes.
    pub(crate) async fn raw(&self, path: &str, metadata: &[(&str, &str)], body: impl Into<Bytes>) -> Ended {
        let response = self.send(path, metadata, Full::new(body.into()).boxed()).await.unwrap();
        Ended::of(response).await
    }

    /// A call of one message.
    pub(crate) async fn call(&self, path: &str, metadata: &[(&str, &str)], message: &impl Message) -> Ended {
        self.raw(path, metadata, framed(message)).await
    }

    /// An inference that goes well.
    pub(crate) async fn infer(&self, request: &ModelInferRequest) -> ModelInferResponse {
        self.call(INFER, &[], request).await.ok()
    }

    /// Begins a stream: where its messages go, and its answer.
    pub(crate) async fn stream(
        &self,
        path: &str,
        metadata: &[(&str, &str)],
    ) -> (UnboundedSender<Vec<u8>>, Response<Incoming>) {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let response = self.send(path, metadata, Pieces(receiver).boxed()).await.unwrap();
        (sender, response)
    }
}

/// A body whose pieces come by a channel.
pub(crate) struct Pieces(pub(crate) UnboundedReceiver<Vec<u8>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| Some(Ok(Frame::data(piece?.into()))))
    }
}

/// The next message of a stream; none at its end, whose trailers are left in `trailers`.
pub(crate) async fn next(
    body: &mut Incoming,
    buffer: &mut Vec<u8>,
    trailers: &mut HeaderMap,
) -> Option<Bytes> {
    loop {
        if let Some(prefix) = buffer.first_chunk::<5>() {
            let length = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
            if buffer.len() >= 5 + length {
                let rest = buffer.split_off(5 + length);
                let message = std::mem::replace(buffer, rest).split_off(5);
                return Some(message.into());
            }
        }
        match body.frame().await?.unwrap().into_data() {
            Ok(data) => buffer.extend_from_slice(&data),
            Err(frame) => trailers.extend(frame.into_trailers().unwrap()),
        }
    }
}

impl Ended {
    pub(crate) async fn of(response: Response<Incoming>) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/grpc");
        let mut metadata = response.headers().clone();
        let (mut body, mut buffer) = (response.into_body(), Vec::new());
        let mut messages = Vec::new();
        while let Some(message) = next(&mut body, &mut buffer, &mut metadata).await {
            messages.push(message);
        }
        assert!(buffer.is_empty(), "a message was cut off");
        let text = |name: &str| metadata.get(name).map_or("", |value| value.to_str().unwrap());
        let status = text("grpc-status").parse().unwrap_or_else(|_| panic!("no status: {metadata:?}"));
        Self { status, message: decoded(text("grpc-message")), metadata, messages }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).map(|value| value.to_str().unwrap())
    }

    /// The only message of a call that went well.
    #[track_caller]
    pub(crate) fn ok<M: Message + Default>(&self) -> M {
        assert_eq!((self.status, self.messages.len()), (0, 1), "{self:?}");
        M::decode(self.messages[0].clone()).unwrap()
    }

    /// Demands an error of the table; gives the place at fault.
    #[track_caller]
    pub(crate) fn refused(&self, status: i32, code: &str) -> String {
        let details = self.header("grpc-status-details-bin").unwrap_or_else(|| panic!("{self:?}"));
        let told = Status::decode(&*STANDARD_NO_PAD.decode(details).unwrap()).unwrap();
        assert_eq!((told.code, told.message.as_str()), (self.status, self.message.as_str()));
        let of = |name: &str| {
            let url = format!("type.googleapis.com/google.rpc.{name}");
            told.details.iter().find(|detail| detail.type_url == url).map(|detail| detail.value.clone())
        };
        let info = ErrorInfo::decode(&*of("ErrorInfo").unwrap()).unwrap();
        assert_eq!((self.status, info.reason.as_str()), (status, code), "{}", self.message);
        assert_eq!(info.domain, "ml-inference-api");
        assert_eq!(Some(info.metadata["request_id"].as_str()), self.header("x-request-id"));
        assert!(!self.message.is_empty() && self.message.chars().count() <= 256, "{}", self.message);
        assert!(self.messages.is_empty());
        let delay =
            of("RetryInfo").map(|bytes| RetryInfo::decode(&*bytes).unwrap().retry_delay.unwrap().seconds);
        assert_eq!(delay, self.header("retry-after").map(|text| text.parse().unwrap()));
        assert_eq!(delay.is_some(), [8, 14].contains(&status) && code != "payload_too_large", "{code}");
        info.metadata.get("pointer").cloned().unwrap_or_default()
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        if first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&behind[..2]).unwrap(), 16).unwrap());
            rest = &behind[2..];
        } else {
            bytes.push(first);
            rest = behind;
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// An input without elements.
pub(crate) fn input(name: &str, datatype: &str, shape: &[i64]) -> InferInputTensor {
    InferInputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
        ..InferInputTensor::default()
    }
}

/// A request for `add-one` and its like: `x` of rows of 3 numbers, raw.
pub(crate) fn rows(model: &str, numbers: &[f32]) -> ModelInferRequest {
    let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    ModelInferRequest {
        model_name: model.to_owned(),
        inputs: vec![input("x", "FP32", &[i64::try_from(numbers.len() / 3).unwrap(), 3])],
        raw_input_contents: vec![raw.into()],
        ..ModelInferRequest::default()
    }
}

/// A request for the model that runs about so long, typed.
pub(crate) fn slow(milliseconds: i64) -> ModelInferRequest {
    let x = InferTensorContents { fp32_contents: vec![1.0], ..InferTensorContents::default() };
    let iterations =
        InferTensorContents { int64_contents: vec![milliseconds * 285], ..InferTensorContents::default() };
    ModelInferRequest {
        model_name: "slow".to_owned(),
        inputs: vec![
            InferInputTensor { contents: Some(x), ..input("x", "FP32", &[1, 1]) },
            InferInputTensor { contents: Some(iterations), ..input("iterations", "INT64", &[1, 1]) },
        ],
        ..ModelInferRequest::default()
    }
}

/// A parameter.
pub(crate) fn parameter(choice: infer_parameter::ParameterChoice) -> InferParameter {
    InferParameter { parameter_choice: Some(choice) }
}
