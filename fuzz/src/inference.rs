//! An inference request against every model, and what must hold for each.

use bytes::Bytes;
use ml_inference_api::service::{InferInputs, InputRules, ServiceError};
use ml_inference_api::{grpc, http};

use crate::models::Inference;
use crate::{LIMITS, checks};

/// Decodes `body` for each model; `json_length` is what the request's header says.
pub fn run(models: &[Inference], body: &Bytes, json_length: Option<usize>) {
    let decode = |rules: InputRules<'_>| http::decode_inference(body, json_length, rules, &LIMITS);
    decoded(models, body.len(), json_length.is_none(), decode);
}

/// Decodes a `ModelInferRequest` for each model.
pub fn run_message(models: &[Inference], message: &Bytes) {
    let decode = |rules: InputRules<'_>| grpc::decode_inference(message, rules, &LIMITS);
    decoded(models, message.len(), false, decode);
}

fn decoded(
    models: &[Inference],
    length: usize,
    in_json: bool,
    decode: impl Fn(InputRules<'_>) -> Result<(InferInputs, usize), ServiceError>,
) {
    for model in models {
        let Inference { signature, batchable, finite } = model;
        let rules = InputRules { signature, batchable: *batchable, finite: *finite };
        match checks::in_bounded_memory(length, || decode(rules)) {
            Ok((inputs, outputs)) => {
                assert!((1..=signature.outputs.len()).contains(&outputs), "{outputs} outputs are wanted");
                accepted(model, &inputs, in_json);
            }
            // Names that the model does not have are not repeated here.
            Err(error) => checks::refusal(&error.detail, error.pointer.as_deref(), false),
        }
    }
}

fn accepted(model: &Inference, inputs: &InferInputs, in_json: bool) {
    let (tensors, optional) = (inputs.tensors(), inputs.optional());
    assert_eq!(tensors.len(), model.signature.inputs.len());
    model.signature.check(tensors).expect("the tensors fit the signature");
    model.signature.check_optional(optional).expect("the optional tensors fit the signature");
    let all = || tensors.iter().chain(optional.iter().map(|(_, tensor)| tensor));
    for tensor in all() {
        checks::tensor(tensor);
        assert!(checks::is_free_of_nul(tensor), "a text with NUL is taken");
        assert!(!model.finite || tensor.data().first_non_finite().is_none(), "NaN or infinity is taken");
        assert!(!in_json || tensor.data().first_non_finite().is_none(), "JSON became NaN or infinity");
    }
    if in_json {
        assert!(checks::bytes_of_numbers(all()) <= LIMITS.max_bytes, "more numbers than a body may hold");
    }
    let rows = inputs.rows();
    assert!((1..=LIMITS.max_instances).contains(&rows), "{rows} rows");
    if model.batchable {
        assert!(tensors.iter().all(|tensor| tensor.rows().max(1) == rows), "not {rows} rows");
    }
}
