//! Instances become rows, and rows become predictions.
//!
//! `http/` and the golden checks bring a deserializer, a body streams straight into typed buffers;
//! `service/` runs the rows and hands the outputs back. This room knows no wire format, no queue
//! and no session. Numbers are exact or refused, and every refusal says where.

mod activation;
mod answer;
mod body;
mod column;
mod decimal;
mod describe;
mod element;
mod embedding;
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

use std::path::Path;

use serde::Deserializer;

use crate::model::{self, Manifest, Signature, TaskKind};
use crate::tensor::Tensor;
use answer::Content;
use body::{Layout, decode_body, decode_one};
use outcome::Outcome;

pub use answer::Predictions;
pub use decimal::Decimal;
pub use describe::{Example, TaskDescription};
pub use element::Element;
pub use embedding::Embedding;
pub use image::ImageClassification;
pub use misfit::Misfit;
pub use nested::Elements;
pub use problem::{InputError, InputErrorCode, OutputError, TaskError};
pub use report::DecodeReport;
use request::Payload;
pub use request::{DecodeLimits, Decoded, Reply, Rows};
pub use tabular::Tabular;
pub use tensors::Tensors;
use text::TextBuilder;
pub use text_classification::TextClassification;

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

    /// Decodes a `/predict` body in any form of the contract.
    ///
    /// # Errors
    /// The deserializer's. When `report` has a failure, that one counts and the error is empty;
    /// else the deserializer itself refused, at the report's pointer.
    pub fn decode<'de, D: Deserializer<'de>>(
        &self,
        body: D,
        limits: &DecodeLimits,
        report: &mut DecodeReport,
    ) -> Result<Decoded, D::Error> {
        self.decode_by(Form::Body, body, limits, report)
    }

    /// Decodes exactly one instance, as it would stand in `instances`.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_instance<'de, D: Deserializer<'de>>(
        &self,
        instance: D,
        limits: &DecodeLimits,
        report: &mut DecodeReport,
    ) -> Result<Decoded, D::Error> {
        self.decode_by(Form::Instance, instance, limits, report)
    }

    /// Decodes JSON that is nothing but one row of singles with its features in order, as most callers
    /// of a table send it, several times faster than [`Self::decode`], which has to read all else.
    pub fn decode_plain(&self, json: &[u8]) -> Option<Decoded> {
        let Self::Tabular(tabular) = self else { return None };
        Some(Decoded::bare(Payload::Tensors(vec![tabular.decode_plain(json)?])))
    }

    /// The rows of one instance, as it would stand in `instances`.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn rows_of<'de, D: Deserializer<'de>>(
        &self,
        instance: D,
        limits: &DecodeLimits,
    ) -> Result<Rows, String> {
        let mut report = DecodeReport::default();
        let decoded = self.decode_instance(instance, limits, &mut report);
        let decoded = decoded.map_err(|error| match report.failure() {
            Some(failure) => failure.to_string(),
            None => error.to_string(),
        })?;
        self.encode(decoded).map_err(|failure| failure.to_string())
    }

    /// Decodes a table with a header row; only tabular tasks take one.
    ///
    /// # Errors
    /// What is wrong with the table, and where.
    pub fn decode_csv(&self, body: &[u8], limits: &DecodeLimits) -> Result<Decoded, InputError> {
        match self {
            Self::Tabular(tabular) => {
                let (builder, rows) = tabular.decode_csv(body, limits)?;
                Ok(Decoded::list(Payload::Tensors(builder.into_tensors()), rows))
            }
            _ => Err(InputError::whole("this model takes no tables; send JSON")),
        }
    }

    /// Takes a picture that is a whole body; only image tasks take one.
    ///
    /// # Errors
    /// What is wrong with the picture.
    pub fn decode_image(&self, body: &[u8], limits: &DecodeLimits) -> Result<Decoded, InputError> {
        match self {
            Self::Image(task) => task.decode(body, limits),
            _ => Err(InputError::whole("this model takes no images; send JSON")),
        }
    }

    /// Makes rows that are ready to run. Cheap for numbers; texts are tokenised and images unpacked
    /// here ([`Decoded::is_heavy`]).
    ///
    /// # Errors
    /// Texts that are too long, tensors whose dimensions disagree with each other.
    pub fn encode(&self, decoded: Decoded) -> Result<Rows, InputError> {
        let Decoded { payload, reply, input_length, max_bytes } = decoded;
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
                tensors.check(&inputs, reply.is_list())?;
                inputs
            }
            (_, Payload::Tensors(inputs)) => inputs,
            (_, Payload::Texts(_) | Payload::Pictures(_)) => {
                return Err(InputError::whole("expected an instance of this model, got one of another"));
            }
        };
        let rows = reply.count;
        Ok(Rows { inputs, rows, reply, input_length, tokens: None, row_tokens: None, truncated: false })
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
        Ok(Predictions { list: reply.is_list(), count: reply.count, top_k: reply.top_k, content })
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

    fn decode_by<'de, D: Deserializer<'de>>(
        &self,
        form: Form,
        source: D,
        limits: &DecodeLimits,
        report: &mut DecodeReport,
    ) -> Result<Decoded, D::Error> {
        report.limits = *limits;
        match self {
            Self::Tensors(tensors) => {
                report.arrays_are_shapes = true;
                let mut builder = tensors.builder();
                let layout = walk(form, source, &mut builder, report)?;
                Ok(Decoded::new(Payload::Tensors(builder.into_tensors(layout.count)), &layout))
            }
            Self::Tabular(tabular) => {
                let mut builder = tabular.builder();
                let layout = walk(form, source, &mut builder, report)?;
                Ok(Decoded::new(Payload::Tensors(builder.into_tensors()), &layout))
            }
            Self::TextClassification(task) => decode_texts(form, source, task.builder(), report),
            Self::Embedding(task) => decode_texts(form, source, task.builder(), report),
            Self::Image(task) => {
                let mut builder = task.builder();
                let layout = walk(form, source, &mut builder, report)?;
                Ok(Decoded::new(Payload::Pictures(builder.into_pictures()), &layout))
            }
        }
    }
}

fn decode_texts<'de, D: Deserializer<'de>>(
    form: Form,
    source: D,
    mut builder: TextBuilder<'_>,
    report: &mut DecodeReport,
) -> Result<Decoded, D::Error> {
    let layout = walk(form, source, &mut builder, report)?;
    let limits = report.limits;
    Ok(Decoded::new(Payload::Texts(builder.into_texts()), &layout).within(&limits))
}

/// Which of the two things a deserializer holds.
#[derive(Clone, Copy)]
enum Form {
    Body,
    Instance,
}

fn walk<'de, B: body::Builder, D: Deserializer<'de>>(
    form: Form,
    source: D,
    builder: &mut B,
    report: &mut DecodeReport,
) -> Result<Layout, D::Error> {
    let result = match form {
        Form::Body => decode_body(source, builder, report),
        Form::Instance => decode_one(source, builder, report),
    };
    if result.is_err() {
        report.close(builder.names());
    }
    result
}
