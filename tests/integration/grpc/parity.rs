//! The same request by JSON, by raw tensors over HTTP and by gRPC: the same numbers, the same fault.

use std::collections::BTreeMap;

use ml_inference_api::grpc::proto::inference::{InferTensorContents, ModelInferRequest};
use serde_json::{Value, json};

use super::with;
use crate::harness::grpc::{Client, INFER, input};
use crate::harness::{Request, Response, shared};

/// Name, type, shape, elements.
type Input = (&'static str, &'static str, Vec<i64>, Vec<f32>);

/// A model, its inputs as JSON has them, and the outputs to compare.
fn requests() -> Vec<(&'static str, Vec<Input>)> {
    let features: Vec<f32> = (0..9_u8).map(|n| f32::from(n) / 3.0).collect();
    vec![
        ("add-one", vec![("x", "FP32", vec![3, 3], features.clone())]),
        ("passthrough", vec![("x", "FP32", vec![3, 3], features)]),
        ("zipmap", vec![("features", "FP32", vec![2, 2], vec![0.1, 0.2, 3.0, 4.0])]),
        // Faults.
        ("add-one", vec![("x", "FP32", vec![1, 2], vec![1.0; 2])]),
        ("add-one", vec![("x", "FP64", vec![1, 3], vec![1.0; 3])]),
        ("add-one", vec![("y", "FP32", vec![1, 3], vec![1.0; 3])]),
        ("nobody", vec![("x", "FP32", vec![1, 3], vec![1.0; 3])]),
        ("add-one", vec![]),
    ]
}

/// What came of a request: the bits of every FP32 output by name, or the code of the fault.
type Outcome = Result<BTreeMap<String, Vec<u32>>, String>;

fn of_http(response: &Response) -> Outcome {
    if response.status != 200 {
        return Err(response.json()["code"].as_str().unwrap().to_owned());
    }
    let bits = |output: &Value| {
        #[expect(clippy::cast_possible_truncation, reason = "the shortest decimals of single precision")]
        let bits = |number: &Value| (number.as_f64().unwrap() as f32).to_bits();
        output["data"].as_array().unwrap().iter().map(bits).collect()
    };
    let answer = response.json();
    let outputs = answer["outputs"].as_array().unwrap().iter().filter(|output| output["datatype"] == "FP32");
    Ok(outputs.map(|output| (output["name"].as_str().unwrap().to_owned(), bits(output))).collect())
}

async fn of_grpc(client: &Client, request: &ModelInferRequest) -> Outcome {
    use ml_inference_api::grpc::proto::inference::ModelInferResponse;
    let ended = client.call(INFER, &[], request).await;
    if ended.status != 0 {
        let codes = ["model_not_found", "shape_mismatch", "unknown_input", "missing_input", "invalid_input"];
        let is_this = |code: &&str| std::panic::catch_unwind(|| ended.refused(ended.status, code)).is_ok();
        return Err((*codes.iter().find(|code| is_this(code)).unwrap()).to_owned());
    }
    let answer: ModelInferResponse = ended.ok();
    let mut outputs = BTreeMap::new();
    for (index, output) in answer.outputs.iter().enumerate().filter(|(_, output)| output.datatype == "FP32") {
        let bits = if let Some(raw) = answer.raw_output_contents.get(index) {
            raw.chunks(4).map(|chunk| u32::from_le_bytes(chunk.try_into().unwrap())).collect()
        } else {
            let contents = output.contents.as_ref().unwrap();
            contents.fp32_contents.iter().map(|number| number.to_bits()).collect()
        };
        outputs.insert(output.name.clone(), bits);
    }
    Ok(outputs)
}

#[test]
fn every_protocol_gives_the_same_numbers_and_the_same_faults() {
    with(shared(), async |client| {
        for (model, inputs) in requests() {
            let listed: Vec<Value> = inputs
                .iter()
                .map(|(name, datatype, shape, data)| {
                    json!({"name": name, "datatype": datatype, "shape": shape, "data": data})
                })
                .collect();
            let route = format!("/v2/models/{model}/infer");
            let by_json = of_http(&shared().call(&Request::json(&route, &json!({"inputs": listed}))));
            let mut typed = ModelInferRequest { model_name: model.into(), ..Default::default() };
            let mut raw = typed.clone();
            for (name, datatype, shape, data) in &inputs {
                let contents = if *datatype == "FP64" {
                    let fp64_contents = data.iter().copied().map(f64::from).collect();
                    InferTensorContents { fp64_contents, ..Default::default() }
                } else {
                    InferTensorContents { fp32_contents: data.clone(), ..Default::default() }
                };
                let plain = input(name, datatype, shape);
                raw.inputs.push(plain.clone());
                let bytes: Vec<u8> = match *datatype {
                    "FP64" => data.iter().flat_map(|number| f64::from(*number).to_le_bytes()).collect(),
                    _ => data.iter().flat_map(|number| number.to_le_bytes()).collect(),
                };
                raw.raw_input_contents.push(bytes.into());
                typed.inputs.push(plain);
                typed.inputs.last_mut().unwrap().contents = Some(contents);
            }
            assert_eq!(of_grpc(&client, &typed).await, by_json, "{model} typed");
            assert_eq!(of_grpc(&client, &raw).await, by_json, "{model} raw");
        }
    });
}
