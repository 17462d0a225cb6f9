//! Predictions in the forms of other protocols: without the name of an only member, by columns, as a table.
//!
//! What a prediction says is `answer.rs`'; here it is only laid out. Nothing can fail but the serializer.

use std::fmt::{self, Write};

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::answer::{Content, Predictions, Ranking, Score};
use super::nested::{ElementAt, Nested};
use super::outcome::Answers;

/// The vectors of an embedding task.
#[derive(Clone, Copy, Debug)]
pub struct Vectors<'a> {
    components: &'a [f32],
    width: usize,
    tokens: &'a [u32],
}

impl<'a> Vectors<'a> {
    /// One vector a text, in order; all of one length.
    pub fn each(&self) -> impl Iterator<Item = &'a [f32]> {
        self.components.chunks_exact(self.width.max(1))
    }

    /// Tokens of all texts, special ones included.
    pub fn tokens(&self) -> u64 {
        self.tokens.iter().map(|&count| u64::from(count)).sum()
    }
}

impl Predictions<'_> {
    /// True when the instances came as `inputs`: whole tensors or columns.
    pub fn is_columnar(&self) -> bool {
        self.columnar
    }

    /// True of tensors, which have no form but that of the graph.
    pub fn is_tensors(&self) -> bool {
        matches!(self.content, Content::Tensors { .. })
    }

    /// Each prediction as the map that [`Self::bare`] gives.
    pub fn each(&self) -> impl Iterator<Item = impl Serialize> {
        (0..self.count).map(|row| self.at(row))
    }

    /// A sequence in which a prediction of one member is that member's value, as TensorFlow Serving
    /// writes a model with one output.
    pub fn unnamed(&self) -> impl Serialize {
        Unnamed(self)
    }

    /// The predictions by columns: for each member a list with its value in each, or the whole tensor.
    /// With `Naming::Shortest` an only column is written without its name.
    pub fn columns(&self, naming: Naming) -> impl Serialize {
        Columns { all: self, naming }
    }

    /// The vectors, where the task gives some.
    pub fn vectors(&self) -> Option<Vectors<'_>> {
        match &self.content {
            Content::Embeddings { vectors, width, tokens } => {
                Some(Vectors { components: vectors, width: *width, tokens })
            }
            _ => None,
        }
    }

    /// A table without a header, a row for each prediction: label and confidence, the value, the
    /// components of a vector, or the elements of all outputs in row-major order.
    ///
    /// # Errors
    /// Never: writing to a string cannot fail.
    pub fn write_csv(&self, table: &mut String) -> fmt::Result {
        for row in 0..self.count {
            match &self.content {
                Content::Answers(Answers::Scores(scores)) => {
                    push_cell(table, &scores.names[scores.winners[row]]);
                    let confidence = scores.row(row)[scores.winners[row]];
                    write!(table, ",{}", Score { value: confidence, single: scores.single })?;
                }
                Content::Answers(Answers::Labels(labels)) => push_cell(table, &labels[row]),
                Content::Answers(Answers::Values(data)) => {
                    write!(table, "{}", ElementAt { data, index: row })?;
                }
                Content::Embeddings { vectors, width, .. } => {
                    let components = vectors[row * width..(row + 1) * width].iter();
                    separated(table, components, |table, value| write!(table, "{value}"))?;
                }
                Content::Tensors { outputs, batchable, .. } => {
                    let elements = outputs.iter().flat_map(|output| {
                        let length = if *batchable { output.row_len() } else { output.data().len() };
                        let start = row * length;
                        (start..start + length).map(|index| ElementAt { data: output.data(), index })
                    });
                    separated(table, elements, |table, element| {
                        push_cell(table, &element.to_string());
                        Ok(())
                    })?;
                }
            }
            table.push('\n');
        }
        Ok(())
    }

    /// How many members a prediction has.
    fn members(&self) -> usize {
        match &self.content {
            Content::Tensors { specs, .. } => specs.len(),
            Content::Answers(Answers::Scores(_)) => 3,
            Content::Answers(Answers::Labels(_) | Answers::Values(_)) => 1,
            Content::Embeddings { .. } => 2,
        }
    }
}

fn separated<T>(
    table: &mut String,
    values: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut String, T) -> fmt::Result,
) -> fmt::Result {
    for (index, value) in values.enumerate() {
        if index > 0 {
            table.push(',');
        }
        write(table, value)?;
    }
    Ok(())
}

/// A cell of a table, in quotes where it needs them (RFC 4180).
fn push_cell(table: &mut String, text: &str) {
    if !text.contains(['"', ',', '\r', '\n']) {
        return table.push_str(text);
    }
    table.push('"');
    table.push_str(&text.replace('"', "\"\""));
    table.push('"');
}

/// Whether columns keep their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// Each has its name.
    Full,
    /// An only one goes without.
    Shortest,
}

struct Unnamed<'a>(&'a Predictions<'a>);

impl Serialize for Unnamed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(all) = self;
        let mut sequence = serializer.serialize_seq(Some(all.count))?;
        for row in 0..all.count {
            match &all.content {
                Content::Tensors { specs: [_], outputs: [output], batchable } => {
                    let (shape, start) = if *batchable {
                        (&output.shape()[1..], row * output.row_len())
                    } else {
                        (output.shape(), 0)
                    };
                    sequence.serialize_element(&Nested { data: output.data(), shape, start })?;
                }
                Content::Answers(Answers::Labels(labels)) => {
                    sequence.serialize_element(labels[row].as_ref())?;
                }
                Content::Answers(Answers::Values(data)) => {
                    sequence.serialize_element(&ElementAt { data, index: row })?;
                }
                _ => sequence.serialize_element(&all.at(row))?,
            }
        }
        sequence.end()
    }
}

struct Columns<'a> {
    all: &'a Predictions<'a>,
    naming: Naming,
}

impl Serialize for Columns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { all, naming } = self;
        if *naming == Naming::Shortest && all.members() == 1 {
            return match &all.content {
                Content::Tensors { outputs: [output], .. } => whole(output).serialize(serializer),
                _ => Unnamed(all).serialize(serializer),
            };
        }
        let rows = 0..all.count;
        let mut map = serializer.serialize_map(Some(all.members()))?;
        match &all.content {
            Content::Tensors { specs, outputs, .. } => {
                for (spec, output) in specs.iter().zip(*outputs) {
                    map.serialize_entry(&*spec.name, &whole(output))?;
                }
            }
            Content::Answers(Answers::Scores(scores)) => {
                let label = |row: usize| &scores.names[scores.winners[row]];
                let confidence =
                    |row: usize| Score { value: scores.row(row)[scores.winners[row]], single: scores.single };
                map.serialize_entry("label", &Column(label, rows.clone()))?;
                map.serialize_entry("confidence", &Column(confidence, rows.clone()))?;
                map.serialize_entry(
                    "scores",
                    &Column(|row| Ranking { scores, row, top_k: all.top_k }, rows),
                )?;
            }
            Content::Answers(Answers::Labels(labels)) => {
                map.serialize_entry("label", &Column(|row: usize| labels[row].as_ref(), rows))?;
            }
            Content::Answers(Answers::Values(data)) => {
                map.serialize_entry("value", &Column(|index| ElementAt { data, index }, rows))?;
            }
            Content::Embeddings { vectors, width, tokens } => {
                let vector = |row: usize| &vectors[row * width..(row + 1) * width];
                map.serialize_entry("embedding", &Column(vector, rows))?;
                map.serialize_entry("tokens", tokens)?;
            }
        }
        map.end()
    }
}

fn whole(output: &crate::tensor::Tensor) -> Nested<'_> {
    Nested { data: output.data(), shape: output.shape(), start: 0 }
}

/// The values of one member, of the rows given.
struct Column<F>(F, std::ops::Range<usize>);

impl<T: Serialize, F: Fn(usize) -> T> Serialize for Column<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(value, rows) = self;
        serializer.collect_seq(rows.clone().map(value))
    }
}
