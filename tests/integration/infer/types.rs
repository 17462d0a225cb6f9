//! Every element type, in JSON and as raw bytes, both ways, with its extremes.

use serde_json::{Value, json};

use super::{LENGTH, binary_input, binary_request, infer, input, parts};
use crate::harness::shared;

/// A type: the fixture's name for it, the protocol's, two values in JSON, and the same as bytes.
fn types() -> Vec<(&'static str, &'static str, Value, Vec<u8>)> {
    fn bytes<const N: usize>(values: [[u8; N]; 2]) -> Vec<u8> {
        values.concat()
    }
    vec![
        ("bool", "BOOL", json!([true, false]), vec![1, 0]),
        ("uint8", "UINT8", json!([0, 255]), vec![0, 255]),
        ("uint16", "UINT16", json!([1, 65535]), bytes([1_u16, u16::MAX].map(u16::to_le_bytes))),
        ("uint32", "UINT32", json!([1, u32::MAX]), bytes([1_u32, u32::MAX].map(u32::to_le_bytes))),
        ("uint64", "UINT64", json!([1, u64::MAX]), bytes([1_u64, u64::MAX].map(u64::to_le_bytes))),
        ("int8", "INT8", json!([-128, 127]), vec![0x80, 0x7f]),
        ("int16", "INT16", json!([-32768, 32767]), bytes([i16::MIN, i16::MAX].map(i16::to_le_bytes))),
        ("int32", "INT32", json!([i32::MIN, i32::MAX]), bytes([i32::MIN, i32::MAX].map(i32::to_le_bytes))),
        ("int64", "INT64", json!([i64::MIN, i64::MAX]), bytes([i64::MIN, i64::MAX].map(i64::to_le_bytes))),
        // 65504 is the largest half; 2^-24 the smallest above zero.
        ("float16", "FP16", json!([65504.0, 5.960_464_5e-8]), bytes([[0xff, 0x7b], [0x01, 0x00]])),
        ("bfloat16", "BF16", json!([1.0, -3.140_625]), bytes([[0x80, 0x3f], [0x49, 0xc0]])),
        (
            "float64",
            "FP64",
            json!([0.1, -1.797_693_134_862_315_7e308]),
            bytes([0.1_f64, f64::MIN].map(f64::to_le_bytes)),
        ),
    ]
}

fn sent_alone(name: &str, asked: &Value) -> Value {
    // The fixture takes all types at once: the others get ones.
    let inputs: Vec<Value> = types()
        .iter()
        .map(|(other, datatype, values, _)| {
            let data = if *other == name { asked.clone() } else { values.clone() };
            input(&format!("{other}_in"), datatype, &[1, 2], &data)
        })
        .collect();
    json!(inputs)
}

#[test]
fn numbers_come_back_as_they_went_in() {
    for (name, datatype, values, _) in types() {
        let output = format!("{name}_out");
        let body = json!({"inputs": sent_alone(name, &values), "outputs": [{"name": output}]});
        let answer = infer("dtypes", &body);
        let expected = json!({"name": output, "datatype": datatype, "shape": [1, 2], "data": values});
        assert_eq!(answer["outputs"][0], expected);
    }
}

#[test]
fn bytes_come_back_as_they_went_in_wherever_they_lie() {
    let all = types();
    // Paddings of the id put the tensors at every offset from a multiple of eight.
    for padding in 0..8 {
        let inputs: Vec<Value> = all
            .iter()
            .map(|(name, datatype, _, bytes)| {
                binary_input(&format!("{name}_in"), datatype, &[1, 2], bytes.len())
            })
            .collect();
        let outputs: Vec<Value> = all
            .iter()
            .map(|(name, ..)| json!({"name": format!("{name}_out"), "parameters": {"binary_data": true}}))
            .collect();
        let envelope = json!({"id": "x".repeat(padding + 1), "inputs": inputs, "outputs": outputs});
        let tensors: Vec<&[u8]> = all.iter().map(|(.., bytes)| bytes.as_slice()).collect();
        let (head, tail) = parts(&shared().call(&binary_request("dtypes", &envelope, &tensors)));
        assert_eq!(tail, tensors.concat());
        for ((name, datatype, _, bytes), output) in all.iter().zip(head["outputs"].as_array().unwrap()) {
            let expected = json!({"name": format!("{name}_out"), "datatype": datatype, "shape": [1, 2],
                "parameters": {"binary_data_size": bytes.len()}});
            assert_eq!(output, &expected);
        }
    }
}

#[test]
fn json_and_bytes_mix_both_ways() {
    let all = types();
    let inputs: Vec<Value> = all
        .iter()
        .enumerate()
        .map(|(index, (name, datatype, values, bytes))| {
            let name = format!("{name}_in");
            if index % 2 == 0 {
                input(&name, datatype, &[1, 2], values)
            } else {
                binary_input(&name, datatype, &[1, 2], bytes.len())
            }
        })
        .collect();
    let outputs: Vec<Value> = all
        .iter()
        .enumerate()
        .map(|(index, (name, ..))| json!({"name": format!("{name}_out"), "parameters": {"binary_data": index % 3 == 0}}))
        .collect();
    let envelope = json!({"inputs": inputs, "outputs": outputs, "parameters": {"binary_data_output": true}});
    let behind: Vec<&[u8]> = all.iter().skip(1).step_by(2).map(|(.., bytes)| bytes.as_slice()).collect();
    let response = shared().call(&binary_request("dtypes", &envelope, &behind));
    assert!(response.header(LENGTH).is_some());
    let (head, tail) = parts(&response);
    let expected: Vec<u8> = all.iter().step_by(3).flat_map(|(.., bytes)| bytes.clone()).collect();
    assert_eq!(tail, expected, "an output's own flag wins over the request's");
    for (index, ((.., values, _), output)) in all.iter().zip(head["outputs"].as_array().unwrap()).enumerate()
    {
        let in_json = if index % 3 == 0 { &Value::Null } else { values };
        assert_eq!(output.get("data").unwrap_or(&Value::Null), in_json, "{output}");
    }
}

#[test]
fn texts_are_framed_by_their_lengths() {
    let texts = ["", "é👍", "abc"];
    let framed: Vec<u8> = texts
        .iter()
        .flat_map(|text| {
            let length = u32::try_from(text.len()).unwrap().to_le_bytes();
            length.into_iter().chain(text.bytes())
        })
        .collect();
    let envelope = json!({"inputs": [binary_input("x", "BYTES", &[3], framed.len())],
        "parameters": {"binary_data_output": true}});
    let (head, tail) = parts(&shared().call(&binary_request("strings", &envelope, &[&framed])));
    assert_eq!(tail, framed);
    assert_eq!(head["outputs"][0]["datatype"], "BYTES");
}
