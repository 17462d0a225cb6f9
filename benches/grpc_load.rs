//! A closed loop of unary gRPC calls: so many streams of one connection, each with one call in flight, for
//! a while. `benches/measure/calls.py` calls it beside the same requests as JSON.
//!
//! Arguments: the server's address, a model, a file with an Open Inference Protocol request in JSON whose
//! inputs are flat FP32 or INT64 (they are sent raw), streams, milliseconds. Prints one JSON object: calls
//! and how many of them did not end with OK.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ml_inference_api::grpc::proto::inference::ModelInferRequest;
use ml_inference_api::grpc::proto::inference::model_infer_request::InferInputTensor;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// What the streams share.
struct Loop {
    uri: String,
    body: Bytes,
    until: Instant,
    calls: AtomicU64,
    failed: AtomicU64,
}

fn main() -> Result<(), Fault> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, model, file, streams, milliseconds] = arguments.as_slice() else {
        return Err("expected an address, a model, a file, streams, milliseconds".into());
    };
    let request = request(model, &serde_json::from_slice(&std::fs::read(file)?)?)?;
    let duration = Duration::from_millis(milliseconds.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (calls, failed) = runtime.block_on(run(address, framed(&request)?, streams.parse()?, duration))?;
    #[expect(clippy::print_stdout, reason = "its result")]
    {
        println!("{}", json!({"calls": calls, "failed": failed}));
    }
    Ok(())
}

async fn run(address: &str, body: Bytes, streams: usize, duration: Duration) -> Result<(u64, u64), Fault> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let shared = Arc::new(Loop {
        uri: format!("http://{address}/inference.GRPCInferenceService/ModelInfer"),
        body,
        until: Instant::now() + duration,
        calls: AtomicU64::new(0),
        failed: AtomicU64::new(0),
    });
    let loops: Vec<_> =
        (0..streams).map(|_| tokio::spawn(call(sender.clone(), Arc::clone(&shared)))).collect();
    for one in loops {
        one.await??;
    }
    Ok((shared.calls.load(Relaxed), shared.failed.load(Relaxed)))
}

/// One call after the other, each taken to its trailers.
async fn call(mut sender: SendRequest<Full<Bytes>>, shared: Arc<Loop>) -> Result<(), Fault> {
    while Instant::now() < shared.until {
        let request = Request::post(&shared.uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(shared.body.clone()))?;
        sender.ready().await?;
        let answer = sender.send_request(request).await?.into_body().collect().await?;
        let is_ok =
            answer.trailers().and_then(|trailers| trailers.get("grpc-status")).is_some_and(|s| s == "0");
        shared.calls.fetch_add(1, Relaxed);
        shared.failed.fetch_add(u64::from(!is_ok), Relaxed);
    }
    Ok(())
}

fn framed(request: &ModelInferRequest) -> Result<Bytes, Fault> {
    let message = request.encode_to_vec();
    let length = u32::try_from(message.len())?.to_be_bytes();
    Ok([&[0][..], &length, &message].concat().into())
}

/// The request with its inputs as raw contents.
fn request(model: &str, json: &Value) -> Result<ModelInferRequest, Fault> {
    let mut request = ModelInferRequest { model_name: model.to_owned(), ..ModelInferRequest::default() };
    for input in json["inputs"].as_array().ok_or("expected inputs")? {
        let text = |name: &str| Ok::<_, Fault>(input[name].as_str().ok_or("expected a text")?.to_owned());
        let shape = input["shape"].as_array().ok_or("expected a shape")?;
        let data = input["data"].as_array().ok_or("expected data")?;
        let raw: Vec<u8> = match input["datatype"].as_str() {
            #[expect(clippy::cast_possible_truncation, reason = "the type says so")]
            Some("FP32") => {
                data.iter().filter_map(Value::as_f64).flat_map(|value| (value as f32).to_le_bytes()).collect()
            }
            Some("INT64") => data.iter().filter_map(Value::as_i64).flat_map(i64::to_le_bytes).collect(),
            _ => return Err("expected FP32 or INT64".into()),
        };
        request.inputs.push(InferInputTensor {
            name: text("name")?,
            datatype: text("datatype")?,
            shape: shape.iter().filter_map(Value::as_i64).collect(),
            ..InferInputTensor::default()
        });
        request.raw_input_contents.push(raw.into());
    }
    Ok(request)
}
