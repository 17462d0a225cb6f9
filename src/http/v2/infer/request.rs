//! From a request's bytes to the model's inputs and what the answer shall hold.
//!
//! A body is JSON; or, where `inference-header-content-length` says how long its JSON is, JSON with
//! raw tensors behind it in the order of the inputs (binary tensor data extension); or, where that
//! length is 0, the one input's bytes and nothing else.

use std::time::Duration;

use bytes::Bytes;

use super::envelope::{self, Envelope, InputEntry};
use super::flat::{self, Lifted};
use super::{data, raw};
use crate::model::{Signature, TensorSpec};
use crate::service::{
    AskedOutput, DeclaredInput, ErrorCode, Form, InferInputs, InputRules, InputSlots, Schedule, ServiceError,
    Wanted, raw_tensor,
};
use crate::task::DecodeLimits;
use crate::tensor::{Data, DataType, Tensor};

/// How the body is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// JSON and nothing else.
    Json,
    /// So many bytes of JSON, then raw tensors.
    Binary(usize),
    /// One tensor's bytes.
    Raw,
}

impl Layout {
    /// What the length of the JSON says, where a header tells it.
    pub(super) fn of(json_length: Option<usize>) -> Self {
        match json_length {
            None => Self::Json,
            Some(0) => Self::Raw,
            Some(length) => Self::Binary(length),
        }
    }
}

/// Reads an inference's body: its inputs, and how many outputs it wants. `json_length` is what
/// `inference-header-content-length` says: bytes of JSON, 0 for none, or the header is not there.
///
/// # Errors
/// What is wrong with it, and where.
pub fn decode_inference(
    body: &Bytes,
    json_length: Option<usize>,
    rules: InputRules<'_>,
    limits: &DecodeLimits,
) -> Result<(InferInputs, usize), ServiceError> {
    let (inputs, wanted) = decode(body, Layout::of(json_length), rules, limits)?;
    Ok((inputs, wanted.outputs.len()))
}

/// Reads a request.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn decode(
    body: &Bytes,
    layout: Layout,
    rules: InputRules<'_>,
    limits: &DecodeLimits,
) -> Result<(InferInputs, Wanted), ServiceError> {
    let json_length = match layout {
        Layout::Json => body.len(),
        Layout::Binary(length) if length <= body.len() => length,
        Layout::Binary(length) => {
            let detail = format!(
                "inference-header-content-length: expected at most the body's {} bytes, got {length}",
                body.len()
            );
            return Err(ServiceError::new(ErrorCode::InvalidInput, detail));
        }
        Layout::Raw => {
            return Ok((raw::decode(body, rules, limits)?, Wanted::all(rules.signature, Form::Raw)));
        }
    };
    let json = &body[..json_length];
    let tail = body.slice(json_length..);
    if let Some(lifted) = Lifted::cut(json)
        && let Ok(read) =
            assemble(&lifted.json, Tail::new(tail.clone(), Some(&lifted), limits), rules, limits)
    {
        return Ok(read);
    }
    assemble(json, Tail::new(tail, None, limits), rules, limits)
}

/// Reads the JSON and takes the raw tensors that belong to it.
fn assemble(
    json: &[u8],
    mut tail: Tail<'_>,
    rules: InputRules<'_>,
    limits: &DecodeLimits,
) -> Result<(InferInputs, Wanted), ServiceError> {
    let envelope = envelope::read(json)?;
    tail.is_only = envelope.inputs.len() == 1;
    let inputs = inputs(&envelope, &mut tail, rules, limits)?;
    let wanted = wanted(&envelope, rules.signature)?;
    if tail.lifted.is_some_and(|lifted| lifted.len() != tail.lists) {
        return Err(unusual());
    }
    Ok((inputs, wanted))
}

/// A list that was lifted out is read with the rest after all: nobody sees this.
fn unusual() -> ServiceError {
    ServiceError::new(ErrorCode::Internal, "an internal error")
}

fn inputs(
    envelope: &Envelope<'_>,
    tail: &mut Tail<'_>,
    rules: InputRules<'_>,
    limits: &DecodeLimits,
) -> Result<InferInputs, ServiceError> {
    if envelope.parameters.sequence_id {
        let detail = "models here keep no state: send the request without a sequence";
        return Err(ServiceError::new(ErrorCode::InvalidInput, detail).at("/parameters/sequence_id"));
    }
    let mut slots = InputSlots::new(rules);
    for (position, entry) in envelope.inputs.iter().enumerate() {
        let (slot, spec) = slots.find(&entry.name, position)?;
        let tensor = tensor(entry, position, spec, tail)?;
        slots.put(slot, position, tensor);
    }
    if !tail.bytes.is_empty() {
        let detail = format!(
            "expected the raw tensors to fill the body, got {} bytes that belong to none",
            tail.bytes.len()
        );
        return Err(ServiceError::new(ErrorCode::InvalidInput, detail).at("/inputs"));
    }
    let mut inputs = slots.finish(limits)?;
    // 0 = none of the caller's own.
    let timeout = envelope.parameters.timeout.filter(|&micros| micros > 0);
    let priority = envelope.parameters.priority;
    inputs.schedule = Schedule { timeout: timeout.map(Duration::from_micros), priority };
    Ok(inputs)
}

/// Raw tensors that are still to be taken, and numbers that were lifted out of the JSON.
struct Tail<'a> {
    bytes: Bytes,
    /// There is one input: what is there is its.
    is_only: bool,
    /// What tensors in JSON may still take.
    most_bytes: u64,
    lifted: Option<&'a Lifted<'a>>,
    /// How many of the lifted lists are taken.
    lists: usize,
}

impl<'a> Tail<'a> {
    fn new(bytes: Bytes, lifted: Option<&'a Lifted<'a>>, limits: &DecodeLimits) -> Self {
        Self { bytes, is_only: false, most_bytes: limits.max_bytes, lifted, lists: 0 }
    }

    /// The elements of the tensor at `position` whose data is `json`.
    fn elements(
        &mut self,
        json: &str,
        position: usize,
        data_type: DataType,
        shape: (&[usize], usize),
    ) -> Result<Data, ServiceError> {
        let data = match self.lifted.and_then(|lifted| lifted.content(json)) {
            Some(content) => {
                self.lists += 1;
                flat::elements(content, data_type, shape.1, self.most_bytes).ok_or_else(unusual)?
            }
            None => data::elements(json, data_type, shape, self.most_bytes).map_err(|error| {
                let inner = error.pointer.clone().unwrap_or_default();
                ServiceError::from(error).at(format!("/inputs/{position}/data{inner}"))
            })?,
        };
        self.most_bytes = self.most_bytes.saturating_sub(data.raw_len() as u64);
        Ok(data)
    }
}

fn tensor(
    entry: &InputEntry<'_>,
    position: usize,
    spec: &TensorSpec,
    tail: &mut Tail<'_>,
) -> Result<Tensor, ServiceError> {
    let declared = DeclaredInput {
        position,
        datatype: &entry.datatype,
        shape: &entry.shape,
        shared_memory: entry.parameters.shared_memory_region,
    };
    let refuse = |code, member: &str, detail: String| declared.refused(code, member, detail);
    let misshapen = |detail| refuse(ErrorCode::ShapeMismatch, "/shape", detail);
    let (shape, elements) = declared.fit(spec)?;
    match (entry.data, entry.parameters.binary_data_size) {
        (Some(_), Some(_)) => {
            let detail = "expected either data or binary_data_size, got both".to_owned();
            Err(refuse(ErrorCode::InvalidInput, "", detail))
        }
        (Some(json), None) => {
            let data = tail.elements(json.get(), position, spec.data_type, (&shape, elements))?;
            Tensor::new(shape, data).map_err(|error| misshapen(error.to_string()))
        }
        (None, Some(size)) => {
            let member = "/parameters/binary_data_size";
            if size > tail.bytes.len() {
                let detail = format!("expected {size} bytes of this tensor, got {}", tail.bytes.len());
                return Err(refuse(ErrorCode::InvalidInput, member, detail));
            }
            raw_tensor(spec.data_type, shape, tail.bytes.split_to(size))
                .map_err(|error| error.at(format!("/inputs/{position}{member}")))
        }
        (None, None) if tail.is_only && !tail.bytes.is_empty() => {
            raw_tensor(spec.data_type, shape, std::mem::take(&mut tail.bytes))
                .map_err(|error| error.at(format!("/inputs/{position}")))
        }
        (None, None) => {
            let detail = "expected data, or parameters.binary_data_size and the bytes, got neither";
            Err(refuse(ErrorCode::MissingInput, "", detail.to_owned()))
        }
    }
}

fn wanted(envelope: &Envelope<'_>, signature: &Signature) -> Result<Wanted, ServiceError> {
    let binary = envelope.parameters.binary_data_output.unwrap_or(false);
    let id = envelope.id.as_deref().filter(|id| !id.is_empty()).map(str::to_owned);
    // Triton's clients leave the list out for all outputs; others send an empty one.
    let Some(entries) = envelope.outputs.as_deref().filter(|entries| !entries.is_empty()) else {
        return Ok(Wanted { id, ..Wanted::all(signature, form(binary)) });
    };
    let asked = entries.iter().map(|entry| AskedOutput {
        name: &entry.name,
        form: form(entry.parameters.binary_data.unwrap_or(binary)),
        classes: entry.parameters.classification,
        shared_memory: entry.parameters.shared_memory_region,
    });
    Ok(Wanted { id, ..Wanted::of(signature, asked)? })
}

fn form(binary: bool) -> Form {
    if binary { Form::Raw } else { Form::Typed }
}
