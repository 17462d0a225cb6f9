//! `POST /v2/models/{model}[/versions/{version}]/infer`: the protocol's inference, in JSON, with
//! binary tensors, and as one raw tensor.

mod addresses;
mod binary;
mod faults;
mod fuzz;
mod json;
mod parameters;
mod types;

use serde_json::{Value, json};

use crate::harness::{Request, Response, shared};

pub(crate) const LENGTH: &str = "inference-header-content-length";

/// The route of a model's inference.
pub(crate) fn route(model: &str) -> String {
    format!("/v2/models/{model}/infer")
}

/// An input with its data in JSON.
pub(crate) fn input(name: &str, datatype: &str, shape: &[usize], data: &Value) -> Value {
    json!({"name": name, "datatype": datatype, "shape": shape, "data": data})
}

/// An input whose data come behind the JSON.
pub(crate) fn binary_input(name: &str, datatype: &str, shape: &[usize], size: usize) -> Value {
    json!({"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}})
}

/// A request in JSON with raw tensors behind it.
pub(crate) fn binary_request(model: &str, envelope: &Value, tensors: &[&[u8]]) -> Request {
    let mut body = envelope.to_string().into_bytes();
    let length = body.len().to_string();
    body.extend(tensors.concat());
    Request::new("POST", &route(model))
        .header("content-type", "application/octet-stream")
        .header(LENGTH, &length)
        .body(body)
}

/// A binary answer: its JSON, and the bytes behind it.
#[track_caller]
pub(crate) fn parts(response: &Response) -> (Value, Vec<u8>) {
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("application/octet-stream"));
    let length: usize = response.header(LENGTH).expect("the length of the JSON").parse().unwrap();
    let (head, tail) = response.body.split_at(length);
    let head: Value = serde_json::from_slice(head).unwrap();
    let sizes = head["outputs"].as_array().unwrap().iter();
    let sizes = sizes.filter_map(|output| output["parameters"]["binary_data_size"].as_u64());
    assert_eq!(sizes.sum::<u64>(), tail.len() as u64, "{head}");
    (head, tail.to_vec())
}

/// The answer to a request in JSON.
#[track_caller]
pub(crate) fn infer(model: &str, body: &Value) -> Value {
    let response = shared().post(&route(model), body);
    assert_eq!(response.header("content-type"), Some("application/json"), "{}", response.text());
    assert_eq!(response.header(LENGTH), None);
    response.ok()
}

pub(crate) fn singles(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
