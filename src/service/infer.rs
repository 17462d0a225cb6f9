//! One inference on tensors that the caller names: the Open Inference Protocol's way in, whatever
//! wire it comes by. The same queue, deadline and account as a prediction, and no task in between.

use std::sync::Arc;
use std::time::Instant;

use super::accounting::{Accounting, Work};
use super::{ErrorCode, Model, ModelFacts, PredictRequest, Predicted, Schedule, Service, ServiceError};
use crate::model::{Signature, TensorSpec};
use crate::task::DecodeLimits;
use crate::telemetry::Stage;
use crate::tensor::{Data, Tensor};

/// A decoded request: tensors that fit the model's signature ([`InputSlots::finish`]).
#[derive(Debug)]
pub struct InferInputs {
    /// One tensor per input, in the signature's order.
    tensors: Vec<Tensor>,
    /// Optional inputs that are given, by their index in the signature.
    optional: Vec<(usize, Tensor)>,
    /// Rows along the first axis of a batchable model's inputs; else 1.
    rows: usize,
    /// What the body asks of the schedule (`timeout` and `priority` of the protocol).
    pub schedule: Schedule,
}

impl Service {
    /// Runs one inference: `decode` reads the body into inputs and whatever the answer will need,
    /// `encode` writes the answer from that and the outputs, which stand in the signature's order, and
    /// the function before it says how many elements that has to look at.
    pub async fn infer<C, T>(
        &self,
        request: PredictRequest,
        decode: impl FnOnce(&Model, &DecodeLimits) -> Result<(InferInputs, C), ServiceError>,
        encode: (
            impl FnOnce(&C, &[Tensor]) -> usize,
            impl FnOnce(&Model, &C, Vec<Tensor>) -> Result<T, ServiceError>,
        ),
    ) -> Predicted<T> {
        let mut accounting = Accounting::new(request);
        let result = self.infer_stages(&mut accounting, decode, encode).await;
        accounting.ended(result)
    }

    async fn infer_stages<C, T>(
        &self,
        accounting: &mut Accounting,
        decode: impl FnOnce(&Model, &DecodeLimits) -> Result<(InferInputs, C), ServiceError>,
        encode: (
            impl FnOnce(&C, &[Tensor]) -> usize,
            impl FnOnce(&Model, &C, Vec<Tensor>) -> Result<T, ServiceError>,
        ),
    ) -> Result<T, ServiceError> {
        let model = Arc::clone(&accounting.model);
        let begun = Instant::now();
        let decoded = self.beside(accounting.body_bytes, || decode(&model, &self.options.decode)).await;
        accounting.timeline.record(Stage::Preprocess, begun, Instant::now());
        let (inputs, wanted) = decoded?;
        accounting.reschedule(inputs.schedule);
        let work = inputs.into_work();
        accounting.describe(&work, None);
        let outputs = self.run(accounting, work).await?;
        let begun = Instant::now();
        let (work, encode) = encode;
        let work = work(&wanted, &outputs);
        let answer = self.beside(work, || encode(&model, &wanted, outputs)).await;
        accounting.timeline.record(Stage::Postprocess, begun, Instant::now());
        if answer.as_ref().is_err_and(|error| error.code == ErrorCode::NonFiniteOutput) {
            model.metrics.error("non_finite");
        }
        answer
    }
}

impl InferInputs {
    /// Bytes that the elements take in memory, about.
    pub fn bytes(&self) -> u64 {
        self.all().map(|tensor| tensor.data().raw_len() as u64).sum()
    }

    /// One tensor per input, in the signature's order.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The optional inputs that are given, by their index among the signature's.
    pub fn optional(&self) -> &[(usize, Tensor)] {
        &self.optional
    }

    /// Rows along the first axis of a batchable model's inputs; else 1.
    pub fn rows(&self) -> usize {
        self.rows
    }

    fn all(&self) -> impl Iterator<Item = &Tensor> {
        self.tensors.iter().chain(self.optional.iter().map(|(_, tensor)| tensor))
    }

    fn into_work(self) -> Work {
        let input_length = self.all().map(|tensor| tensor.data().len() as u64).sum();
        Work {
            inputs: self.tensors,
            optional: self.optional,
            rows: self.rows,
            row_tokens: None,
            input_length,
        }
    }
}

/// What of a model its inputs are held against: enough to decode a request without a session.
#[derive(Clone, Copy, Debug)]
pub struct InputRules<'m> {
    /// Names, types and shapes of the graph.
    pub signature: &'m Signature,
    /// Whether rows may be run together.
    pub batchable: bool,
    /// Inputs that hold NaN or infinity are refused.
    pub finite: bool,
}

impl ModelFacts {
    /// What its inputs are held against.
    pub fn input_rules(&self) -> InputRules<'_> {
        InputRules { signature: &self.signature, batchable: self.batchable, finite: self.finite }
    }
}

/// Puts named tensors in the places of a model's signature and holds them against it.
///
/// A place is the input's index; those of optional inputs follow the others. Pointers of errors are
/// those of the protocol's request: `/inputs/{position}/...`.
pub struct InputSlots<'m> {
    rules: InputRules<'m>,
    /// Per place: the tensor, and its position in the request.
    taken: Vec<Option<(Tensor, usize)>>,
}

impl<'m> InputSlots<'m> {
    /// Empty places.
    pub fn new(rules: InputRules<'m>) -> Self {
        let places = rules.signature.inputs.len() + rules.signature.optional.len();
        Self { rules, taken: (0..places).map(|_| None).collect() }
    }

    /// The place of the input called `name`, which stands at `position` in the request, and what it takes.
    ///
    /// # Errors
    /// `unknown_input`; `invalid_input` where it stands twice.
    pub fn find(&self, name: &str, position: usize) -> Result<(usize, &'m TensorSpec), ServiceError> {
        let at = format!("/inputs/{position}/name");
        let signature = self.rules.signature;
        let mut specs = signature.inputs.iter().chain(&signature.optional);
        let Some((slot, spec)) = specs.clone().enumerate().find(|(_, spec)| &*spec.name == name) else {
            let known = specs.by_ref().map(|spec| &*spec.name).take(16).collect::<Vec<_>>().join(", ");
            let detail = if self.taken.is_empty() {
                "the model has no inputs".to_owned()
            } else {
                format!("the model has no input of this name; its inputs are {known}")
            };
            return Err(ServiceError::new(ErrorCode::UnknownInput, detail).at(at));
        };
        if self.taken[slot].is_some() {
            let detail = "this input stands twice in the request";
            return Err(ServiceError::new(ErrorCode::InvalidInput, detail).at(at));
        }
        Ok((slot, spec))
    }

    /// Puts a tensor in its place.
    pub fn put(&mut self, slot: usize, position: usize, tensor: Tensor) {
        self.taken[slot] = Some((tensor, position));
    }

    /// The inputs, once all that must be there are, and fit.
    ///
    /// # Errors
    /// `missing_input`, `shape_mismatch`, `batch_too_large`; `invalid_input` for text that the
    /// runtime can't take; `number_out_of_range` for NaN and infinity where the manifest refuses them.
    pub fn finish(mut self, limits: &DecodeLimits) -> Result<InferInputs, ServiceError> {
        let InputRules { signature, batchable, finite } = self.rules;
        for (tensor, position) in self.taken.iter().flatten() {
            check_values(tensor, finite).map_err(|error| error.at(format!("/inputs/{position}")))?;
        }
        let given = self.taken.split_off(signature.inputs.len());
        let mut positions = Vec::with_capacity(self.taken.len());
        let mut tensors = Vec::with_capacity(self.taken.len());
        for (spec, taken) in signature.inputs.iter().zip(self.taken) {
            let (tensor, position) = taken.ok_or_else(|| missing(spec))?;
            tensors.push(tensor);
            positions.push(position);
        }
        signature.check(&tensors).map_err(|error| {
            let slot = signature.inputs.iter().position(|spec| spec.name == error.input);
            misshapen(slot.map_or(0, |slot| positions[slot]), error.detail)
        })?;
        let mut optional = Vec::new();
        for (index, (tensor, position)) in
            given.into_iter().enumerate().filter_map(|(index, taken)| Some((index, taken?)))
        {
            optional.push((index, tensor));
            let check = signature.check_optional(&optional);
            check.map_err(|error| misshapen(position, error.detail))?;
        }
        let rows = if batchable { common_rows(&tensors, &positions)? } else { 1 };
        if rows > limits.max_instances {
            let detail = format!("expected at most {} rows, got {rows}", limits.max_instances);
            let at = format!("/inputs/{}/shape", positions.first().copied().unwrap_or_default());
            return Err(ServiceError::new(ErrorCode::BatchTooLarge, detail).at(at));
        }
        // A batch of no rows is still one run.
        Ok(InferInputs { tensors, optional, rows: rows.max(1), schedule: Schedule::default() })
    }
}

fn missing(spec: &TensorSpec) -> ServiceError {
    let (name, data_type, shape) = (&spec.name, spec.data_type, spec.shape_text());
    let detail = format!("expected the input {name} ({data_type} {shape}), which is missing");
    ServiceError::new(ErrorCode::MissingInput, detail).at("/inputs")
}

fn misshapen(position: usize, detail: String) -> ServiceError {
    ServiceError::new(ErrorCode::ShapeMismatch, detail).at(format!("/inputs/{position}/shape"))
}

fn check_values(tensor: &Tensor, finite: bool) -> Result<(), ServiceError> {
    if let Data::Bytes(texts) = tensor.data()
        && let Some(index) = texts.iter().position(|text| text.contains('\0'))
    {
        let detail =
            format!("element {index} holds a NUL character, where the runtime's texts end; send it without");
        return Err(ServiceError::new(ErrorCode::InvalidInput, detail));
    }
    if finite && let Some(index) = tensor.data().first_non_finite() {
        let detail = format!("element {index} is NaN or infinite, and this model takes finite numbers only");
        return Err(ServiceError::new(ErrorCode::NumberOutOfRange, detail));
    }
    Ok(())
}

/// The rows that all inputs of a batch have.
fn common_rows(tensors: &[Tensor], positions: &[usize]) -> Result<usize, ServiceError> {
    let rows = tensors.first().map_or(1, Tensor::rows);
    let odd = tensors.iter().zip(positions).find(|(tensor, _)| tensor.rows() != rows);
    match odd {
        None => Ok(rows),
        Some((tensor, position)) => {
            let detail = format!(
                "the first dimension is the batch, equal for all inputs: expected {rows}, got {}",
                tensor.rows()
            );
            Err(misshapen(*position, detail))
        }
    }
}
