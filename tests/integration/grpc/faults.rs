//! What is wrong with a call, in the words, codes and places that HTTP has.

use ml_inference_api::grpc::proto::inference::infer_parameter::ParameterChoice;
use ml_inference_api::grpc::proto::inference::model_infer_request::InferRequestedOutputTensor;
use ml_inference_api::grpc::proto::inference::{InferTensorContents, ModelInferRequest};

use super::with;
use crate::harness::grpc::{INFER, INFERENCE, framed_bytes, input, parameter, rows, slow};
use crate::harness::shared;

const INVALID: i32 = 3;

/// A code, a place, and the change that leads to it.
type Fault = (&'static str, &'static str, fn(&mut ModelInferRequest));

/// Changes of a good request, with the code and the place that each leads to.
fn faults() -> Vec<Fault> {
    vec![
        ("unknown_input", "/inputs/0/name", |r| r.inputs[0].name = "z".into()),
        ("missing_input", "/inputs", |r| {
            r.inputs.clear();
            r.raw_input_contents.clear();
        }),
        ("invalid_input", "/inputs/0/datatype", |r| r.inputs[0].datatype = "FLOAT".into()),
        ("shape_mismatch", "/inputs/0/datatype", |r| r.inputs[0].datatype = "FP64".into()),
        ("shape_mismatch", "/inputs/0/shape", |r| r.inputs[0].shape = vec![1, -3]),
        ("shape_mismatch", "/inputs/0/shape", |r| r.inputs[0].shape = vec![3]),
        ("shape_mismatch", "/inputs/0/shape", |r| r.inputs[0].shape = vec![i64::MAX, i64::MAX]),
        ("shape_mismatch", "/raw_input_contents/0", |r| r.inputs[0].shape = vec![2, 3]),
        ("shape_mismatch", "/raw_input_contents/0", |r| {
            r.raw_input_contents[0] = r.raw_input_contents[0].slice(1..);
        }),
        ("invalid_input", "/raw_input_contents", |r| r.raw_input_contents.push(vec![0].into())),
        ("invalid_input", "/inputs/0/contents", |r| {
            r.inputs[0].contents =
                Some(InferTensorContents { fp32_contents: vec![1.0; 3], ..Default::default() });
        }),
        ("missing_input", "/inputs/0/contents", |r| r.raw_input_contents.clear()),
        ("invalid_input", "/inputs/0/contents", |r| {
            r.raw_input_contents.clear();
            r.inputs[0].contents =
                Some(InferTensorContents { fp64_contents: vec![1.0; 3], ..Default::default() });
        }),
        ("shape_mismatch", "/inputs/0/contents", |r| {
            r.raw_input_contents.clear();
            r.inputs[0].contents =
                Some(InferTensorContents { fp32_contents: vec![1.0; 4], ..Default::default() });
        }),
        ("invalid_input", "/inputs/1/name", |r| {
            r.inputs.push(r.inputs[0].clone());
            r.raw_input_contents.push(r.raw_input_contents[0].clone());
        }),
        ("invalid_input", "/outputs/0/name", |r| {
            r.outputs.push(InferRequestedOutputTensor { name: "z".into(), ..Default::default() });
        }),
        ("invalid_input", "/outputs/1/name", |r| {
            let y = InferRequestedOutputTensor { name: "y".into(), ..Default::default() };
            r.outputs = vec![y.clone(), y];
        }),
        ("invalid_input", "/parameters/timeout", |r| {
            r.parameters.insert("timeout".into(), parameter(ParameterChoice::Int64Param(-1)));
        }),
        ("invalid_input", "/parameters/priority", |r| {
            r.parameters.insert("priority".into(), parameter(ParameterChoice::StringParam("1".into())));
        }),
        ("invalid_input", "/parameters/sequence_id", |r| {
            r.parameters.insert("sequence_id".into(), parameter(ParameterChoice::Uint64Param(7)));
        }),
        ("invalid_input", "/inputs/0/parameters/shared_memory_region", |r| {
            let region = parameter(ParameterChoice::StringParam("r".into()));
            r.inputs[0].parameters.insert("shared_memory_region".into(), region);
        }),
        ("batch_too_large", "/inputs/0/shape", |r| *r = rows("add-one", &[0.0; 3 * 1025])),
    ]
}

#[test]
fn a_wrong_request_is_told_its_fault_and_place() {
    with(shared(), async |client| {
        for (index, (code, place, change)) in faults().into_iter().enumerate() {
            let mut request = rows("add-one", &[1.0; 3]);
            change(&mut request);
            let ended = client.call(INFER, &[], &request).await;
            assert_eq!(ended.refused(INVALID, code), place, "{index}: {}", ended.message);
        }
        // The connection and the model are as good as before.
        client.infer(&rows("add-one", &[1.0; 3])).await;
    });
    shared().adds_up();
}

#[test]
fn models_versions_and_methods_that_there_are_not() {
    with(shared(), async |client| {
        client.call(INFER, &[], &rows("nobody", &[1.0; 3])).await.refused(5, "model_not_found");
        let version = ModelInferRequest { model_version: "3".into(), ..rows("versions", &[1.0; 3]) };
        client.call(INFER, &[], &version).await.refused(5, "version_not_found");
        for method in
            ["SystemSharedMemoryStatus", "CudaSharedMemoryRegister", "TraceSetting", "LogSettings", "Nothing"]
        {
            let path = format!("{INFERENCE}{method}");
            client.raw(&path, &[], framed_bytes(0, b"")).await.refused(12, "method_not_allowed");
        }
        for path in ["/", "/predict/add-one", "/inference.Other/ModelInfer"] {
            client.raw(path, &[], framed_bytes(0, b"")).await.refused(12, "method_not_allowed");
        }
        for method in ["RepositoryModelLoad", "RepositoryModelUnload"] {
            let path = format!("{INFERENCE}{method}");
            client.raw(&path, &[], framed_bytes(0, b"")).await.refused(7, "forbidden");
        }
    });
    shared().adds_up();
}

#[test]
fn broken_framing_and_messages_are_refused_in_our_words() {
    let good = framed_bytes(0, &prost::Message::encode_to_vec(&rows("add-one", &[1.0; 3])));
    with(shared(), async |client| {
        for (body, words) in [
            (Vec::new(), "expected one message, got none"),
            ([good.clone(), good.clone()].concat(), "expected one message, got more"),
            (good[..good.len() - 1].to_vec(), "ends amid"),
            (good[..3].to_vec(), "ends amid"),
            (framed_bytes(2, b""), "expected 0 or 1"),
        ] {
            let ended = client.raw(INFER, &[], body).await;
            ended.refused(INVALID, "invalid_input");
            assert!(ended.message.contains(words), "{}", ended.message);
        }
        // A name, then bytes that are no protobuf.
        let noise = [b"\x0a\x07add-one".as_slice(), &[0xff; 40]].concat();
        let ended = client.raw(INFER, &[], framed_bytes(0, &noise)).await;
        ended.refused(INVALID, "invalid_input");
        assert!(ended.message.contains("protobuf"), "{}", ended.message);
    });
    shared().adds_up();
}

#[test]
fn limits_of_the_callers_own() {
    with(shared(), async |client| {
        for timeout in ["20m", "20000u"] {
            client
                .call(INFER, &[("grpc-timeout", timeout)], &slow(60_000))
                .await
                .refused(4, "deadline_exceeded");
        }
        let mut request = slow(60_000);
        request.parameters.insert("timeout".into(), parameter(ParameterChoice::Int64Param(20_000)));
        client.call(INFER, &[("grpc-timeout", "60S")], &request).await.refused(4, "deadline_exceeded");
        // 0 is late once the request is valid, and OIP's 0 is none.
        let zero = [("grpc-timeout", "0m")];
        client.call(INFER, &zero, &slow(1)).await.refused(4, "deadline_exceeded");
        client.call(INFER, &zero, &rows("add-one", &[1.0])).await.refused(INVALID, "shape_mismatch");
        client.call(INFER, &[("grpc-timeout", "soon")], &slow(1)).await.refused(INVALID, "invalid_input");
        request = slow(1);
        request.parameters.insert("timeout".into(), parameter(ParameterChoice::Uint64Param(0)));
        client.infer(&request).await;
    });
    shared().adds_up();
}

#[test]
fn texts_that_are_no_utf_8() {
    let mut texts = input("x", "BYTES", &[1]);
    let bytes_contents = vec![b"\xff".to_vec().into()];
    texts.contents = Some(InferTensorContents { bytes_contents, ..Default::default() });
    let request =
        ModelInferRequest { model_name: "strings".into(), inputs: vec![texts], ..Default::default() };
    with(shared(), async |client| {
        let place = client.call(INFER, &[], &request).await.refused(INVALID, "invalid_input");
        assert_eq!(place, "/inputs/0/contents");
    });
    shared().adds_up();
}
