//! Predictions, ready to be written: everything that can fail has failed before this exists.

use std::borrow::Cow;
use std::fmt;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::nested::{ElementAt, Nested};
use super::outcome::{Answers, Scores};
use crate::model::TensorSpec;
use crate::tensor::Tensor;

/// The predictions of one request, in the order of its instances.
///
/// As a whole they are written as a sequence. Each is a map; the only one of a bare request can be
/// written into a map of the caller's, beside other members.
pub struct Predictions<'a> {
    pub(super) list: bool,
    pub(super) columnar: bool,
    pub(super) count: usize,
    pub(super) top_k: Option<usize>,
    pub(super) content: Content<'a>,
}

/// What the predictions say.
pub(super) enum Content<'a> {
    Tensors { specs: &'a [TensorSpec], outputs: &'a [Tensor], batchable: bool },
    Answers(Answers<'a>),
    Embeddings { vectors: Vec<f32>, width: usize, tokens: Vec<u32> },
}

impl Predictions<'_> {
    /// True when the request was one bare instance.
    pub fn is_bare(&self) -> bool {
        !self.list
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True without predictions, which no request gets.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first prediction, which is the only one of a bare request, as a map.
    pub fn bare(&self) -> impl Serialize {
        self.at(0)
    }

    /// Prediction `index`, as a map.
    pub(super) fn at(&self, index: usize) -> impl Serialize {
        Prediction { all: self, index }
    }

    /// Writes the members of the first prediction into a map.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize_bare_into<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.write(0, map)
    }

    /// The lowest confidence of all predictions; none for tasks without one.
    pub fn lowest_confidence(&self) -> Option<f64> {
        (0..self.count).filter_map(|row| self.confidence(row)).min_by(f64::total_cmp)
    }

    /// Label and confidence of every prediction, as far as the task gives them.
    pub fn labels(&self) -> impl Iterator<Item = (Option<&str>, Option<f64>)> {
        (0..self.count).map(|row| (self.label(row), self.confidence(row)))
    }

    fn label(&self, row: usize) -> Option<&str> {
        match &self.content {
            Content::Answers(Answers::Scores(scores)) => Some(scores.names[scores.winners[row]].as_str()),
            Content::Answers(Answers::Labels(labels)) => Some(&labels[row]),
            _ => None,
        }
    }

    fn confidence(&self, row: usize) -> Option<f64> {
        match &self.content {
            Content::Answers(Answers::Scores(scores)) => Some(scores.row(row)[scores.winners[row]]),
            _ => None,
        }
    }

    fn write<M: SerializeMap>(&self, row: usize, map: &mut M) -> Result<(), M::Error> {
        match &self.content {
            Content::Tensors { specs, outputs, batchable } => {
                for (spec, output) in specs.iter().zip(*outputs) {
                    let (shape, start) = if *batchable {
                        (&output.shape()[1..], row * output.row_len())
                    } else {
                        (output.shape(), 0)
                    };
                    map.serialize_entry(&*spec.name, &Nested { data: output.data(), shape, start })?;
                }
                Ok(())
            }
            Content::Answers(Answers::Scores(scores)) => {
                map.serialize_entry("label", &scores.names[scores.winners[row]])?;
                let confidence = scores.row(row)[scores.winners[row]];
                map.serialize_entry("confidence", &Score { value: confidence, single: scores.single })?;
                map.serialize_entry("scores", &Ranking { scores, row, top_k: self.top_k })
            }
            Content::Answers(Answers::Labels(labels)) => {
                map.serialize_entry("label", &Cow::as_ref(&labels[row]))
            }
            Content::Answers(Answers::Values(data)) => {
                map.serialize_entry("value", &ElementAt { data, index: row })
            }
            Content::Embeddings { vectors, width, tokens } => {
                map.serialize_entry("embedding", &vectors[row * width..(row + 1) * width])?;
                map.serialize_entry("tokens", &tokens[row])
            }
        }
    }
}

impl Serialize for Predictions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.count))?;
        for index in 0..self.count {
            sequence.serialize_element(&Prediction { all: self, index })?;
        }
        sequence.end()
    }
}

struct Prediction<'a> {
    all: &'a Predictions<'a>,
    index: usize,
}

impl Serialize for Prediction<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.all.write(self.index, &mut map)?;
        map.end()
    }
}

/// A score, no more precise than the output it comes from.
pub(super) struct Score {
    pub(super) value: f64,
    pub(super) single: bool,
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.single {
            #[expect(clippy::cast_possible_truncation, reason = "back to the type of the output")]
            (self.value as f32).fmt(f)
        } else {
            self.value.fmt(f)
        }
    }
}

impl Serialize for Score {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.single {
            #[expect(clippy::cast_possible_truncation, reason = "back to the type of the output")]
            serializer.serialize_f32(self.value as f32)
        } else {
            serializer.serialize_f64(self.value)
        }
    }
}

/// The scores of one row, highest first.
pub(super) struct Ranking<'a> {
    pub(super) scores: &'a Scores<'a>,
    pub(super) row: usize,
    pub(super) top_k: Option<usize>,
}

impl Serialize for Ranking<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = self.scores.row(self.row);
        let mut order: Vec<usize> = (0..values.len()).collect();
        // Stable, so that equal scores stay in the order of the classes.
        order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
        order.truncate(self.top_k.unwrap_or(usize::MAX));
        let mut map = serializer.serialize_map(Some(order.len()))?;
        for index in order {
            let score = Score { value: values[index], single: self.scores.single };
            map.serialize_entry(&self.scores.names[index], &score)?;
        }
        map.end()
    }
}
