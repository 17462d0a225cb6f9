//! What the files beside a graph say about it: MLflow's, Triton's, Hugging Face's, ours.
//!
//! Each reader tells it in the words of a manifest, as far as there are such words. Ranks, highest
//! first: `model.toml`, `config.pbtxt`, `MLmodel`, Hugging Face's files; what is left out is the
//! graph's, whose signature [`Description::settle`] is given once it is loaded.

mod hugging_face;
mod image_processor;
mod mlflow;
mod place;
mod sentence;
mod settle;
mod text_format;
mod triton;

use super::{FeatureType, Manifest, Pooling};
use crate::tensor::DataType;

pub(super) use place::Place;
pub use triton::{Fill, WarmupSample};

/// All that is said about one version of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Description {
    /// The manifest, filled from the files of lower rank.
    pub manifest: Manifest,
    /// What was recognised, assumed and ignored, for people.
    pub notes: Vec<String>,
    /// Runs that the model must pass before it serves.
    pub warmup: Vec<WarmupSample>,
    /// Nobody named the task: it follows from the graph's inputs and outputs.
    pub task_is_assumed: bool,
    /// An encoder of texts, whose graph may give one vector a text.
    may_embed: bool,
    /// The columns that the model was trained with, in their order.
    columns: Vec<DescribedColumn>,
    /// What follows the encoder of a sentence-transformers model.
    sentence: Option<Sentence>,
    /// Inputs and outputs as `config.pbtxt` declares them.
    declared: Vec<Declared>,
    /// A first dimension is declared to be the batch, and is left out of the declared ones.
    batch_is_left_out: bool,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
struct DescribedColumn {
    name: String,
    kind: Option<FeatureType>,
}

/// What a sentence-transformers model does after its encoder.
#[derive(Clone, Debug, PartialEq)]
struct Sentence {
    /// None where the files name several at once.
    pooling: Option<Pooling>,
    normalize: bool,
    /// Layers that only a graph can hold, such as `Dense`.
    layers: Vec<String>,
}

/// One input or output that a file declares.
#[derive(Clone, Debug, PartialEq)]
struct Declared {
    is_input: bool,
    name: String,
    data_type: Option<DataType>,
    /// None where they are not the graph's.
    dims: Option<Vec<i64>>,
}

impl Description {
    /// Reads all files of a version. `own` is `model.toml`.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub(super) fn read(own: &Manifest, place: &Place<'_>) -> Result<Self, Vec<String>> {
        let mut all = Self { manifest: own.clone(), ..Self::default() };
        let mut problems = Vec::new();
        for part in [triton::read(place), mlflow::read(place), hugging_face::read(place)] {
            match part {
                Ok(part) => all.absorb(part),
                Err(mut found) => problems.append(&mut found),
            }
        }
        if problems.is_empty() { Ok(all) } else { Err(problems) }
    }

    /// Adds what a file of lower rank says.
    fn absorb(&mut self, lower: Self) {
        self.manifest.fill(&lower.manifest);
        self.notes.extend(lower.notes);
        self.warmup.extend(lower.warmup);
        self.declared.extend(lower.declared);
        self.batch_is_left_out |= lower.batch_is_left_out;
        self.may_embed |= lower.may_embed;
        if self.columns.is_empty() {
            self.columns = lower.columns;
        }
        self.sentence = self.sentence.take().or(lower.sentence);
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// Labels of which none stands twice: a later one of a name that was there gets its position added.
fn distinct(labels: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let mut made = Vec::with_capacity(labels.len());
    for (position, label) in labels.into_iter().enumerate() {
        let label = if seen.contains(&label) { format!("{label} ({position})") } else { label };
        seen.insert(label.clone());
        made.push(label);
    }
    made
}
