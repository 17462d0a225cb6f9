//! The `text-classification` task: a text or a pair of texts in, label and scores out.

use super::outcome::Outcome;
use super::parameters::Accepted;
use super::text::{Surroundings, TextBuilder, TextInput};
use super::{TaskError, TaskSpec};
use crate::model::Activation;

/// Text in, label and scores out.
#[derive(Debug)]
pub struct TextClassification {
    input: TextInput,
    outcome: Outcome,
}

impl TextClassification {
    pub(super) fn build(spec: &TaskSpec<'_>) -> Result<Self, TaskError> {
        let outcome = Outcome::classification(spec, Activation::Softmax);
        match (TextInput::build(spec, Surroundings::Kept), outcome) {
            (Ok(input), Ok(outcome)) => Ok(Self { input, outcome }),
            (input, outcome) => Err(TaskError::all(input.err().into_iter().chain(outcome.err()))),
        }
    }

    pub(super) fn input(&self) -> &TextInput {
        &self.input
    }

    pub(super) fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    pub(super) fn builder(&self) -> TextBuilder<'_> {
        self.input.builder(Accepted { truncate: true, top_k: true })
    }
}
