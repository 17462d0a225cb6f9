//! Instances become rows, and rows become predictions.
//!
//! `http/` and the golden checks bring a deserializer, a body streams straight into typed buffers;
//! `service/` runs the rows and hands the outputs back. This room knows no wire format, no queue
//! and no session. Numbers are exact or refused, and every refusal says where.

mod activation;
mod answer;
mod body;
mod builder;
mod column;
mod decimal;
mod decode;
mod describe;
mod element;
mod embedding;
mod forms;
mod halves;
mod image;
mod key;
mod lengths;
mod misfit;
mod names;
mod nested;
mod outcome;
mod parameters;
mod problem;
mod report;
mod request;
mod tabular;
mod tensors;
#[cfg(test)]
mod tests;
mod text;
mod text_classification;
mod written;

use std::path::Path;

use crate::model::{self, Manifest, Signature, TaskKind};
use crate::tensor::Tensor;
use answer::Content;
use outcome::Outcome;

pub use answer::Predictions;
pub use decimal::Decimal;
pub use decode::EmbeddingChoice;
pub use describe::{Example, TaskDescription};
pub use element::Element;
pub use embedding::Embedding;
pub use forms::Dialect;
pub use image::ImageClassification;
pub use misfit::Misfit;
pub use nested::Elements;
pub use problem::{InputError, InputErrorCode, OutputError, TaskError};
pub use report::DecodeReport;
use request::Payload;
pub use request::{DecodeLimits, Decoded, Reply, Rows};
pub use tabular::{Filled, HeaderRow, Tabular};
pub use tensors::Tensors;
pub use text_classification::TextClassification;
pub use written::{Naming, Vectors};

/// What a task is built from.
#[derive(Clone, Copy, Debug)]
pub struct TaskSpec<'a> {
    /// What the model's owner says of it.
    pub manifest: &'a Manifest,
    /// Inputs and outputs of the graph.
    pub signature: &'a Signature,
    /// Rows may be run together.
    pub batchable: bool,
    /// Every file of the model must resolve inside this folder.
    pub root: &'a Path,
    /// Where the manifest's relative paths start.
    pub folder: &'a Path,
    /// Class labels that stand in the graph; may be empty.
    pub class_labels: &'a [String],
}

/// What one model does with an instance.
#[derive(Debug)]
pub enum Task {
    /// Named tensors in, named tensors out.
    Tensors(Tensors),
    /// Features in, label and scores or one number out.
    Tabular(Tabular),
    /// Text in, label and scores out.
    TextClassification(Box<TextClassification>),
    /// Text in, one vector out.
    Embedding(Box<Embedding>),
    /// Image in, label and scores out.
    Image(Box<ImageClassification>),
}

impl Task {
    /// The task that manifest and signature describe.
    ///
    /// # Errors
    /// Every mistake found, not only the first.
    pub fn build(spec: &TaskSpec<'_>) -> Result<Self, TaskError> {
        match model::task_kind(spec.manifest, spec.signature) {
            TaskKind::Tensors => Tensors::build(spec).map(Self::Tensors),
            kind @ (TaskKind::TabularClassification | TaskKind::TabularRegression) => {
                Tabular::build(spec, kind).map(Self::Tabular)
            }
            TaskKind::TextClassification => {
                TextClassification::build(spec).map(Box::new).map(Self::TextClassification)
            }
            TaskKind::TextEmbedding => Embedding::build(spec).map(Box::new).map(Self::Embedding),
            TaskKind::ImageClassification => ImageClassification::build(spec).map(Box::new).map(Self::Image),
        }
    }

    /// What kind of task it is.
    pub fn kind(&self) -> TaskKind {
        match self {
            Self::Tensors(_) => TaskKind::Tensors,
            Self::Tabular(tabular) if tabular.outcome().is_classification() => {
                TaskKind::TabularClassification
            }
            Self::Tabular(_) => TaskKind::TabularRegression,
            Self::TextClassification(_) => TaskKind::TextClassification,
            Self::Embedding(_) => TaskKind::TextEmbedding,
            Self::Image(_) => TaskKind::ImageClassification,
        }
    }

    /// The names of the classes, in the order of the scores, where they are known.
    pub fn labels(&self) -> Option<&[String]> {
        match self {
            Self::Tensors(tensors) => tensors.labels(),
            _ => self.outcome()?.labels(),
        }
    }

    /// The features of a table, in the model's order; none where the task takes something else.
    pub fn features(&self) -> Option<impl Iterator<Item = &str>> {
        if let Self::Tabular(tabular) = self { Some(tabular.feature_names()) } else { None }
    }

    /// What was recognised and assumed when the task was built, for people.
    pub fn notes(&self) -> Vec<String> {
        match self {
            Self::Tensors(_) => Vec::new(),
            Self::Tabular(tabular) => tabular.notes(),
            Self::TextClassification(task) => task.input().notes().chain(task.outcome().told()).collect(),
            Self::Embedding(task) => task.input().notes().chain([task.pooling_note()]).collect(),
            Self::Image(task) => task.notes(),
        }
    }

    /// Whether the graph's own label of a row is one whose score is not the highest; none where that
    /// can't be told.
    pub fn label_contradicts_scores(&self, outputs: &[Tensor]) -> Option<bool> {
        self.outcome()?.contradicts(outputs)
    }

    /// Whether a row's only score lies outside 0 to 1, so that it is no probability.
    pub fn score_is_no_probability(&self, outputs: &[Tensor]) -> bool {
        self.outcome().is_some_and(|outcome| outcome.exceeds_probability(outputs))
    }

    fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Tabular(tabular) => Some(tabular.outcome()),
            Self::TextClassification(task) => Some(task.outcome()),
            Self::Image(task) => Some(task.outcome()),
            Self::Tensors(_) | Self::Embedding(_) => None,
        }
    }

    /// Makes rows that are ready to run. Cheap for numbers; texts are tokenised and images unpacked
    /// here ([`Decoded::is_heavy`]).
    ///
    /// # Errors
    /// Texts that are too long, tensors whose dimensions disagree with each other.
    pub fn encode(&self, decoded: Decoded) -> Result<Rows, InputError> {
        let Decoded { payload, reply, input_length, max_bytes, filled } = decoded;
        let inputs = match (self, payload) {
            (Self::Embedding(_) | Self::TextClassification(_), Payload::Texts(texts)) => {
                let input =
                    self.text_input().ok_or_else(|| InputError::whole("this model takes no texts"))?;
                return input.encode(&texts, reply, (input_length, max_bytes));
            }
            (Self::Image(task), Payload::Pictures(pictures)) => {
                return task.encode(&pictures, reply, input_length);
            }
            (Self::Tensors(tensors), Payload::Tensors(inputs)) => {
                tensors.check(&inputs, reply.place)?;
                inputs
            }
            (_, Payload::Tensors(inputs)) => inputs,
            (_, Payload::Texts(_) | Payload::Pictures(_)) => {
                return Err(InputError::whole("expected an instance of this model, got one of another"));
            }
        };
        let rows = reply.count;
        Ok(Rows { filled, ..Rows::without_tokens((inputs, rows), reply, input_length) })
    }

    /// Reads predictions out of `outputs`, which stand in the signature's order.
    ///
    /// # Errors
    /// An output that is not finite, or of another shape than promised.
    pub fn predictions<'a>(
        &'a self,
        outputs: &'a [Tensor],
        reply: &Reply,
    ) -> Result<Predictions<'a>, OutputError> {
        let content = match self {
            Self::Tensors(tensors) => {
                tensors.check_outputs(outputs, reply.count)?;
                let batchable = tensors.is_batchable();
                Content::Tensors { specs: tensors.outputs(), outputs, batchable }
            }
            Self::Embedding(embedding) => embedding.content(outputs, reply)?,
            Self::Tabular(task) => Content::Answers(task.outcome().answers(outputs, reply.count)?),
            Self::TextClassification(task) => Content::Answers(task.outcome().answers(outputs, reply.count)?),
            Self::Image(task) => Content::Answers(task.outcome().answers(outputs, reply.count)?),
        };
        let (list, columnar) = (reply.is_list(), reply.is_columnar());
        Ok(Predictions { list, columnar, count: reply.count, top_k: reply.top_k, content })
    }

    /// A bare instance that works when it is posted.
    pub fn example(&self) -> Example<'_> {
        Example(self)
    }

    /// What the task takes and gives.
    pub fn describe(&self) -> TaskDescription<'_> {
        describe::describe(self)
    }

    /// Short real examples for the warm-up, where they can't be made from the signature: one row,
    /// and two different ones.
    pub fn example_rows(&self) -> Option<Vec<Rows>> {
        match self {
            Self::TextClassification(task) => Some(task.input().example_rows()),
            Self::Embedding(task) => Some(task.input().example_rows()),
            Self::Image(task) => Some(task.example_rows()),
            Self::Tensors(_) | Self::Tabular(_) => None,
        }
    }
}
