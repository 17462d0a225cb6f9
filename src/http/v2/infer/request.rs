//! From a request's bytes to the model's inputs and what the answer shall hold.
//!
//! A body is JSON; or, where `inference-header-content-length` says how long its JSON is, JSON with
//! raw tensors behind it in the order of the inputs (binary tensor data extension); or, where that
//! length is 0, the one input's bytes and nothing else.

use std::time::Duration;

use bytes::Bytes;

use super::envelope::{self, Envelope, InputEntry, OutputEntry};
use super::flat::{self, Lifted};
use super::{data, raw};
use crate::model::{Signature, TensorSpec};
use crate::service::{ErrorCode, InferInputs, InputRules, InputSlots, Schedule, ServiceError};
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

/// What the answer shall hold.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The caller's name for the request.
    pub(super) id: Option<String>,
    /// The outputs, in the order asked for.
    pub(super) outputs: Vec<WantedOutput>,
}

/// One output of the answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct WantedOutput {
    /// Its position in the signature.
    pub(super) index: usize,
    /// As raw bytes.
    pub(super) binary: bool,
    /// Only the best so many, as text.
    pub(super) classes: Option<usize>,
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
        Layout::Raw => return Ok((raw::decode(body, rules, limits)?, Wanted::all(rules.signature, true))),
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
    let refuse = |code, member: &str, detail: String| {
        ServiceError::new(code, detail).at(format!("/inputs/{position}{member}"))
    };
    let misshapen = |detail| refuse(ErrorCode::ShapeMismatch, "/shape", detail);
    check_type(entry, spec).map_err(|(code, member, detail)| refuse(code, member, detail))?;
    let (shape, elements) = shape(entry).map_err(misshapen)?;
    spec.check_shape(&shape).map_err(misshapen)?;
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
            raw::tensor(spec.data_type, shape, tail.bytes.split_to(size))
                .map_err(|error| error.at(format!("/inputs/{position}{member}")))
        }
        (None, None) if tail.is_only && !tail.bytes.is_empty() => {
            raw::tensor(spec.data_type, shape, std::mem::take(&mut tail.bytes))
                .map_err(|error| error.at(format!("/inputs/{position}")))
        }
        (None, None) => {
            let detail = "expected data, or parameters.binary_data_size and the bytes, got neither";
            Err(refuse(ErrorCode::MissingInput, "", detail.to_owned()))
        }
    }
}

/// Holds an input's datatype against the signature, and refuses what is not in the request.
fn check_type(entry: &InputEntry<'_>, spec: &TensorSpec) -> Result<(), (ErrorCode, &'static str, String)> {
    let Some(data_type) = DataType::from_name(&entry.datatype) else {
        let detail = "expected a datatype of the protocol, such as FP32, INT64 or BYTES, got another word";
        return Err((ErrorCode::InvalidInput, "/datatype", detail.to_owned()));
    };
    if data_type != spec.data_type {
        let detail = format!("expected {}, got {data_type}", spec.data_type);
        return Err((ErrorCode::ShapeMismatch, "/datatype", detail));
    }
    if entry.parameters.shared_memory_region {
        let detail = "shared memory is not served: send the data with the request".to_owned();
        return Err((ErrorCode::InvalidInput, "/parameters/shared_memory_region", detail));
    }
    Ok(())
}

/// The shape and how many elements it holds.
fn shape(entry: &InputEntry<'_>) -> Result<(Vec<usize>, usize), String> {
    let mut elements = Some(1_usize);
    let mut shape = Vec::with_capacity(entry.shape.len().min(64));
    for &size in &entry.shape {
        let Ok(size) = usize::try_from(size) else {
            return Err("expected sizes of 0 or more, got a negative one".to_owned());
        };
        elements = elements.and_then(|elements| elements.checked_mul(size));
        shape.push(size);
    }
    // A zero behind sizes that overflow is no way around them.
    let elements = elements.ok_or("expected a shape that fits into memory, got one beyond it")?;
    Ok((shape, elements))
}

impl Wanted {
    /// Every output.
    fn all(signature: &Signature, binary: bool) -> Self {
        let outputs = 0..signature.outputs.len();
        Self {
            id: None,
            outputs: outputs.map(|index| WantedOutput { index, binary, classes: None }).collect(),
        }
    }
}

fn wanted(envelope: &Envelope<'_>, signature: &Signature) -> Result<Wanted, ServiceError> {
    let binary = envelope.parameters.binary_data_output.unwrap_or(false);
    let id = envelope.id.as_deref().filter(|id| !id.is_empty()).map(str::to_owned);
    // Triton's clients leave the list out for all outputs; others send an empty one.
    let Some(entries) = envelope.outputs.as_deref().filter(|entries| !entries.is_empty()) else {
        return Ok(Wanted { id, ..Wanted::all(signature, binary) });
    };
    let mut outputs: Vec<WantedOutput> = Vec::with_capacity(entries.len());
    for (position, entry) in entries.iter().enumerate() {
        let output = wanted_output(entry, position, binary, signature)?;
        if outputs.iter().any(|other| other.index == output.index) {
            let detail = "this output stands twice in the request";
            let at = format!("/outputs/{position}/name");
            return Err(ServiceError::new(ErrorCode::InvalidInput, detail).at(at));
        }
        outputs.push(output);
    }
    Ok(Wanted { id, outputs })
}

fn wanted_output(
    entry: &OutputEntry<'_>,
    position: usize,
    binary: bool,
    signature: &Signature,
) -> Result<WantedOutput, ServiceError> {
    let refuse = |member: &str, detail: String| {
        ServiceError::new(ErrorCode::InvalidInput, detail).at(format!("/outputs/{position}/{member}"))
    };
    let Some((index, spec)) = signature.output(&entry.name) else {
        let known: Vec<&str> = signature.outputs.iter().map(|spec| &*spec.name).take(16).collect();
        let detail = format!("the model has no output of this name; its outputs are {}", known.join(", "));
        return Err(refuse("name", detail));
    };
    if entry.parameters.shared_memory_region {
        let detail = "shared memory is not served: the data comes with the answer".to_owned();
        return Err(refuse("parameters/shared_memory_region", detail));
    }
    let classes = entry.parameters.classification.filter(|&classes| classes > 0);
    if classes.is_some() && spec.data_type == DataType::Bytes {
        let detail = "expected an output of numbers to classify by, got one of texts".to_owned();
        return Err(refuse("parameters/classification", detail));
    }
    Ok(WantedOutput { index, binary: entry.parameters.binary_data.unwrap_or(binary), classes })
}
