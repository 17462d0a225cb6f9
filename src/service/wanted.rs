//! Which outputs an inference's answer shall hold, and in which form.

use super::classes::classify;
use super::{ErrorCode, Model, ServiceError};
use crate::model::Signature;
use crate::tensor::{DataType, Tensor};

/// How an output's elements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In the protocol's own words, one by one.
    Typed,
    /// As bytes.
    Raw,
}

/// An output as a request asks for it.
#[derive(Clone, Copy, Debug)]
pub struct AskedOutput<'a> {
    /// Its name.
    pub name: &'a str,
    /// How it shall come.
    pub form: Form,
    /// Only the best so many, as text.
    pub classes: Option<usize>,
    /// It shall lie in shared memory.
    pub shared_memory: bool,
}

/// What the answer shall hold.
#[derive(Debug)]
pub struct Wanted {
    /// The caller's name for the request.
    pub id: Option<String>,
    /// The outputs, in the order asked for.
    pub outputs: Vec<WantedOutput>,
}

/// One output of the answer.
#[derive(Clone, Copy, Debug)]
pub struct WantedOutput {
    /// Its position in the signature.
    pub index: usize,
    /// How its elements are written.
    pub form: Form,
    /// Only the best so many, as text.
    pub classes: Option<usize>,
}

impl Wanted {
    /// Every output.
    pub fn all(signature: &Signature, form: Form) -> Self {
        let outputs = 0..signature.outputs.len();
        Self { id: None, outputs: outputs.map(|index| WantedOutput { index, form, classes: None }).collect() }
    }

    /// The outputs asked for, in that order.
    ///
    /// # Errors
    /// `invalid_input` for a name that the model does not have, or twice, and for what is not served; at
    /// `/outputs/{position}/...`.
    pub fn of<'a>(
        signature: &Signature,
        asked: impl ExactSizeIterator<Item = AskedOutput<'a>>,
    ) -> Result<Self, ServiceError> {
        let mut outputs: Vec<WantedOutput> = Vec::with_capacity(asked.len().min(64));
        for (position, asked) in asked.enumerate() {
            let output = found(&asked, position, signature)?;
            if outputs.iter().any(|other| other.index == output.index) {
                let detail = "this output stands twice in the request";
                let at = format!("/outputs/{position}/name");
                return Err(ServiceError::new(ErrorCode::InvalidInput, detail).at(at));
            }
            outputs.push(output);
        }
        Ok(Self { id: None, outputs })
    }

    /// How many elements of `outputs` are looked at for the answer: raw numbers are sent where they lie.
    pub fn work(&self, outputs: &[Tensor]) -> usize {
        let size = |output: &WantedOutput| {
            let data = outputs.get(output.index).map(Tensor::data)?;
            let is_sent =
                output.form == Form::Raw && output.classes.is_none() && data.data_type() != DataType::Bytes;
            (!is_sent).then(|| data.len())
        };
        self.outputs.iter().filter_map(size).sum()
    }

    /// The model's outputs, in the signature's order, with the best classes in place of what is asked for so.
    ///
    /// # Errors
    /// `inference_failed` when they are not as many as the signature says.
    pub fn settled(&self, model: &Model, mut outputs: Vec<Tensor>) -> Result<Vec<Tensor>, ServiceError> {
        let expected = model.facts.signature.outputs.len();
        if outputs.len() != expected {
            let cause = format!("expected {expected} outputs, got {}", outputs.len());
            let error = ServiceError::new(ErrorCode::InferenceFailed, "the model could not be run");
            return Err(error.because(cause));
        }
        for output in &self.outputs {
            if let Some(most) = output.classes {
                let labels = model.task.labels();
                let tensor = &mut outputs[output.index];
                *tensor =
                    classify(tensor, most, model.facts.batchable, labels).map_err(ServiceError::internal)?;
            }
        }
        Ok(outputs)
    }
}

fn found(
    asked: &AskedOutput<'_>,
    position: usize,
    signature: &Signature,
) -> Result<WantedOutput, ServiceError> {
    let refuse = |member: &str, detail: String| {
        ServiceError::new(ErrorCode::InvalidInput, detail).at(format!("/outputs/{position}/{member}"))
    };
    let Some((index, spec)) = signature.output(asked.name) else {
        let known: Vec<&str> = signature.outputs.iter().map(|spec| &*spec.name).take(16).collect();
        let detail = format!("the model has no output of this name; its outputs are {}", known.join(", "));
        return Err(refuse("name", detail));
    };
    if asked.shared_memory {
        let detail = "shared memory is not served: the data comes with the answer".to_owned();
        return Err(refuse("parameters/shared_memory_region", detail));
    }
    let classes = asked.classes.filter(|&classes| classes > 0);
    if classes.is_some() && spec.data_type == DataType::Bytes {
        let detail = "expected an output of numbers to classify by, got one of texts".to_owned();
        return Err(refuse("parameters/classification", detail));
    }
    Ok(WantedOutput { index, form: asked.form, classes })
}
