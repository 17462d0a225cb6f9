//! What is wrong with a model, told so that its owner can mend it.

use std::fmt;

/// One problem of one model. `check` and start-up list all of them, never only the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelProblem {
    /// The model, or the path that was given for it.
    pub model: String,
    /// What is wrong and what to do, in one or two sentences.
    pub message: String,
}

impl ModelProblem {
    /// A problem of `model`.
    pub fn new(model: impl Into<String>, message: impl Into<String>) -> Self {
        Self { model: model.into(), message: message.into() }
    }
}

impl fmt::Display for ModelProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.model, self.message)
    }
}
