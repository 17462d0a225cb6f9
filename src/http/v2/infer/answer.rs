//! The answer of an inference: JSON, with raw tensors behind it where they are asked for.

use bytes::Bytes;
use serde::Serialize;

use super::numbers;
use crate::service::{ErrorCode, Form, Model, ServiceError, Wanted};
use crate::tensor::Tensor;

/// An answer's body.
#[derive(Debug)]
pub(super) struct Encoded {
    /// Length of the JSON, where raw tensors come behind it.
    pub(super) json_length: Option<usize>,
    /// The JSON, then the raw tensors, of which small ones are in one piece with it.
    pub(super) parts: Vec<Bytes>,
}

/// Raw tensors of together so many bytes at most are copied behind the JSON: that costs less than to
/// send more than one piece.
const COPIED: usize = 4 << 10;

#[derive(Serialize)]
struct Head<'a> {
    model_name: &'a str,
    model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

#[derive(Serialize)]
struct Output<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: &'a [usize],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Parameters>,
}

#[derive(Serialize)]
struct Parameters {
    binary_data_size: usize,
}

/// Writes the outputs that are wanted, out of all in the signature's order.
///
/// # Errors
/// `non_finite_output` where JSON is asked to carry NaN or infinity; `internal` for a bug.
pub(super) fn encode(model: &Model, wanted: &Wanted, outputs: Vec<Tensor>) -> Result<Encoded, ServiceError> {
    let specs = &model.facts.signature.outputs;
    let outputs = wanted.settled(model, outputs)?;
    let raw: Vec<Option<Bytes>> = wanted
        .outputs
        .iter()
        .map(|output| (output.form == Form::Raw).then(|| outputs[output.index].data().to_raw()))
        .collect();
    for output in wanted.outputs.iter().filter(|output| output.form == Form::Typed) {
        check_finite(&specs[output.index].name, &outputs[output.index])?;
    }
    let id = wanted.id.as_deref();
    let head = Head { model_name: model.name(), model_version: model.facts.version.to_string(), id };
    let mut json = Vec::with_capacity(256 + expected_json(&outputs, wanted));
    serde_json::to_writer(&mut json, &head).map_err(ServiceError::internal)?;
    reopen(&mut json, b",\"outputs\":[");
    for (position, (output, raw)) in wanted.outputs.iter().zip(&raw).enumerate() {
        if position > 0 {
            json.push(b',');
        }
        let name = &*specs[output.index].name;
        write_output(&mut json, name, &outputs[output.index], raw.as_ref())
            .map_err(ServiceError::internal)?;
    }
    json.extend_from_slice(b"]}");
    let json_length = raw.iter().any(Option::is_some).then_some(json.len());
    Ok(Encoded { json_length, parts: pieces(json, raw.into_iter().flatten().collect()) })
}

/// The body's pieces, as few as are worth it.
fn pieces(mut json: Vec<u8>, mut raw: Vec<Bytes>) -> Vec<Bytes> {
    if raw.iter().map(Bytes::len).sum::<usize>() <= COPIED {
        raw.drain(..).for_each(|bytes| json.extend_from_slice(&bytes));
    }
    raw.insert(0, Bytes::from(json));
    raw
}

/// Takes the last brace back, for members that follow.
fn reopen(json: &mut Vec<u8>, more: &[u8]) {
    json.pop();
    json.extend_from_slice(more);
}

fn write_output(
    json: &mut Vec<u8>,
    name: &str,
    tensor: &Tensor,
    raw: Option<&Bytes>,
) -> Result<(), serde_json::Error> {
    let parameters = raw.map(|bytes| Parameters { binary_data_size: bytes.len() });
    let output = Output { name, datatype: tensor.data_type().name(), shape: tensor.shape(), parameters };
    serde_json::to_writer(&mut *json, &output)?;
    if raw.is_none() {
        reopen(json, b",\"data\":");
        numbers::write(json, tensor.data())?;
        json.push(b'}');
    }
    Ok(())
}

fn check_finite(name: &str, tensor: &Tensor) -> Result<(), ServiceError> {
    let Some(index) = tensor.data().first_non_finite() else { return Ok(()) };
    let detail =
        format!("output {name} holds NaN or infinity, which JSON cannot carry: ask for it with binary_data");
    let cause = format!("element {index} of output {name} is not finite");
    Err(ServiceError::new(ErrorCode::NonFiniteOutput, detail).because(cause))
}

/// About how many bytes the JSON of the outputs takes, so that it is not moved as it grows.
fn expected_json(outputs: &[Tensor], wanted: &Wanted) -> usize {
    let in_json = wanted.outputs.iter().filter(|output| output.form == Form::Typed);
    in_json.map(|output| numbers::expected(outputs[output.index].data())).sum()
}
