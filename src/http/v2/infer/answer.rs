//! The answer of an inference: JSON, with raw tensors behind it where they are asked for.

use bytes::Bytes;
use serde::Serialize;

use super::classes::classify;
use super::request::{Wanted, WantedOutput};
use crate::service::{ErrorCode, Model, ServiceError};
use crate::task::Elements;
use crate::tensor::Tensor;

/// An answer's body.
#[derive(Debug)]
pub(super) struct Encoded {
    /// Length of the JSON, where raw tensors come behind it.
    pub(super) json_length: Option<usize>,
    /// The JSON, then each raw tensor.
    pub(super) parts: Vec<Bytes>,
}

#[derive(Serialize)]
struct Answer<'a> {
    model_name: &'a str,
    model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    outputs: Vec<Output<'a>>,
}

#[derive(Serialize)]
struct Output<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: &'a [usize],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Parameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Elements<'a>>,
}

#[derive(Serialize)]
struct Parameters {
    binary_data_size: usize,
}

/// Writes the outputs that are wanted, out of all in the signature's order.
///
/// # Errors
/// `non_finite_output` where JSON is asked to carry NaN or infinity; `internal` for a bug.
pub(super) fn encode(
    model: &Model,
    wanted: &Wanted,
    mut outputs: Vec<Tensor>,
) -> Result<Encoded, ServiceError> {
    let specs = &model.facts.signature.outputs;
    if outputs.len() != specs.len() {
        let cause = format!("expected {} outputs, got {}", specs.len(), outputs.len());
        return Err(
            ServiceError::new(ErrorCode::InferenceFailed, "the model could not be run").because(cause)
        );
    }
    for output in &wanted.outputs {
        if let Some(most) = output.classes {
            let labels = model.task.labels();
            outputs[output.index] =
                classify(&outputs[output.index], most, model.facts.batchable, labels).map_err(internal)?;
        }
    }
    let raw: Vec<Option<Bytes>> = wanted
        .outputs
        .iter()
        .map(|output| output.binary.then(|| outputs[output.index].data().to_raw()))
        .collect();
    let mut written = Vec::with_capacity(wanted.outputs.len());
    for (output, raw) in wanted.outputs.iter().zip(&raw) {
        let name = &*specs[output.index].name;
        written.push(described(name, &outputs[output.index], output, raw.as_ref())?);
    }
    let answer = Answer {
        model_name: model.name(),
        model_version: model.facts.version.to_string(),
        id: wanted.id.as_deref(),
        outputs: written,
    };
    let mut json = Vec::with_capacity(256 + expected_json(&outputs, wanted));
    serde_json::to_writer(&mut json, &answer).map_err(internal)?;
    let json_length = raw.iter().any(Option::is_some).then_some(json.len());
    let parts = std::iter::once(Bytes::from(json)).chain(raw.into_iter().flatten()).collect();
    Ok(Encoded { json_length, parts })
}

fn described<'a>(
    name: &'a str,
    tensor: &'a Tensor,
    wanted: &WantedOutput,
    raw: Option<&Bytes>,
) -> Result<Output<'a>, ServiceError> {
    if !wanted.binary
        && let Some(index) = tensor.data().first_non_finite()
    {
        let detail = format!(
            "output {name} holds NaN or infinity, which JSON cannot carry: ask for it with binary_data"
        );
        let cause = format!("element {index} of output {name} is not finite");
        return Err(ServiceError::new(ErrorCode::NonFiniteOutput, detail).because(cause));
    }
    Ok(Output {
        name,
        datatype: tensor.data_type().name(),
        shape: tensor.shape(),
        parameters: raw.map(|bytes| Parameters { binary_data_size: bytes.len() }),
        data: raw.is_none().then(|| Elements(tensor.data())),
    })
}

/// About how many bytes the JSON of the outputs takes, so that it is not moved as it grows.
fn expected_json(outputs: &[Tensor], wanted: &Wanted) -> usize {
    let in_json = wanted.outputs.iter().filter(|output| !output.binary);
    in_json.map(|output| outputs[output.index].data().len().saturating_mul(12)).sum()
}

#[expect(clippy::needless_pass_by_value, reason = "handed to map_err")]
fn internal(error: impl ToString) -> ServiceError {
    ServiceError::new(ErrorCode::Internal, "an internal error").because(error.to_string())
}
