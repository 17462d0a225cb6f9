//! From a message to the model's inputs and what the answer shall hold.

use bytes::Bytes;

use super::{parameters, typed};
use crate::grpc::call::decoded;
use crate::grpc::proto::inference::ModelInferRequest;
use crate::grpc::proto::inference::model_infer_request::InferInputTensor;
use crate::model::{Signature, TensorSpec};
use crate::service::{
    AskedOutput, DeclaredInput, ErrorCode, Form, InferInputs, InputRules, InputSlots, ServiceError, Wanted,
    raw_tensor,
};
use crate::task::DecodeLimits;
use crate::tensor::{DataType, Tensor};

/// Reads a `ModelInferRequest`: its inputs, and how many outputs it wants.
///
/// # Errors
/// What is wrong with it, and where.
pub fn decode_inference(
    message: &Bytes,
    rules: InputRules<'_>,
    limits: &DecodeLimits,
) -> Result<(InferInputs, usize), ServiceError> {
    let weight = crate::grpc::wire::weight(message);
    if weight > limits.max_bytes {
        return Err(crate::exchange::too_large(limits.max_bytes));
    }
    let (inputs, wanted) = decode(message, rules, limits)?;
    Ok((inputs, wanted.outputs.len()))
}

/// Reads a request whose weight is known to be in bounds.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn decode(
    message: &Bytes,
    rules: InputRules<'_>,
    limits: &DecodeLimits,
) -> Result<(InferInputs, Wanted), ServiceError> {
    let mut request: ModelInferRequest = decoded(message.clone())?;
    let schedule = parameters::schedule(&request.parameters)?;
    let raw = std::mem::take(&mut request.raw_input_contents);
    let is_raw = !raw.is_empty();
    if is_raw && raw.len() != request.inputs.len() {
        let detail = format!(
            "expected one raw tensor for each of the {} inputs, got {}",
            request.inputs.len(),
            raw.len()
        );
        return Err(ServiceError::new(ErrorCode::InvalidInput, detail).at("/raw_input_contents"));
    }
    let mut raw = raw.into_iter();
    let mut slots = InputSlots::new(rules);
    for (position, entry) in request.inputs.iter_mut().enumerate() {
        let (slot, spec) = slots.find(&entry.name, position)?;
        slots.put(slot, position, tensor(entry, position, spec, raw.next())?);
    }
    let mut inputs = slots.finish(limits)?;
    inputs.schedule = schedule;
    Ok((inputs, wanted(request, rules.signature, is_raw)?))
}

fn tensor(
    entry: &mut InferInputTensor,
    position: usize,
    spec: &TensorSpec,
    raw: Option<Bytes>,
) -> Result<Tensor, ServiceError> {
    let contents = entry.contents.take();
    let declared = DeclaredInput {
        position,
        datatype: &entry.datatype,
        shape: &entry.shape,
        shared_memory: parameters::is_shared_memory(&entry.parameters),
    };
    let (shape, elements) = declared.fit(spec)?;
    if let Some(bytes) = raw {
        if contents.is_some_and(|contents| !typed::is_empty(&contents)) {
            let detail = "expected either contents or raw_input_contents, got both";
            return Err(declared.refused(ErrorCode::InvalidInput, "/contents", detail));
        }
        return raw_tensor(spec.data_type, shape, bytes)
            .map_err(|error| error.at(format!("/raw_input_contents/{position}")));
    }
    let refused = |(code, detail): (ErrorCode, String)| declared.refused(code, "/contents", detail);
    let data = typed::elements(contents.unwrap_or_default(), spec.data_type, elements).map_err(refused)?;
    Tensor::new(shape, data)
        .map_err(|error| declared.refused(ErrorCode::ShapeMismatch, "/shape", error.to_string()))
}

/// The outputs asked for. They come raw where the inputs did, and where one of them has no other form.
fn wanted(request: ModelInferRequest, signature: &Signature, is_raw: bool) -> Result<Wanted, ServiceError> {
    let only_raw = |name: &str| {
        let spec = signature.output(name);
        spec.is_some_and(|(_, spec)| matches!(spec.data_type, DataType::Fp16 | DataType::Bf16))
    };
    let id = Some(request.id).filter(|id| !id.is_empty());
    if request.outputs.is_empty() {
        let is_raw = is_raw || signature.outputs.iter().any(|spec| only_raw(&spec.name));
        let form = if is_raw { Form::Raw } else { Form::Typed };
        return Ok(Wanted { id, ..Wanted::all(signature, form) });
    }
    let is_raw = is_raw || request.outputs.iter().any(|output| only_raw(&output.name));
    let form = if is_raw { Form::Raw } else { Form::Typed };
    let mut asked = Vec::with_capacity(request.outputs.len());
    for (position, output) in request.outputs.iter().enumerate() {
        asked.push(AskedOutput {
            name: &output.name,
            form,
            classes: parameters::classes(&output.parameters, position)?,
            shared_memory: parameters::is_shared_memory(&output.parameters),
        });
    }
    Ok(Wanted { id, ..Wanted::of(signature, asked.into_iter())? })
}
