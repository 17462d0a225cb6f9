//! What a graph's outputs mean: scores per class, a label, or one number.
//!
//! Scores: `outputs.scores`, else an output with one of the usual names, else the only float output
//! of rank 2. The label is the argmax, lowest index on a tie; the label output counts only where
//! there are no scores. One column is the probability of the positive class, the second label.

use std::borrow::Cow;

use super::activation::{activate, sigmoid};
use super::{OutputError, TaskError, TaskSpec};
use crate::model::{Activation, Dim, Signature, TensorSpec};
use crate::tensor::{Data, DataType, Tensor};

const SCORE_NAMES: [&str; 4] = ["probabilities", "output_probability", "logits", "scores"];
const LABEL_NAMES: [&str; 2] = ["label", "output_label"];

/// Where the answer is, and how it is read.
#[derive(Debug)]
pub(super) struct Outcome {
    form: Form,
    output: usize,
    /// The output with the graph's own label.
    label: Option<usize>,
    name: String,
    labels: Option<Vec<String>>,
    class_labels: Vec<String>,
    activation: Activation,
    /// What was assumed, for people.
    notes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Scores,
    Label,
    Value,
}

/// An answer per row, borrowed from the outputs where it can be.
pub(super) enum Answers<'a> {
    Scores(Scores<'a>),
    Labels(Vec<Cow<'a, str>>),
    Values(&'a Data),
}

/// The scores of every row.
pub(super) struct Scores<'a> {
    pub(super) names: Cow<'a, [String]>,
    pub(super) values: Vec<f64>,
    pub(super) winners: Vec<usize>,
    /// The output is no wider than a single, and is written as one.
    pub(super) single: bool,
}

impl Scores<'_> {
    pub(super) fn row(&self, row: usize) -> &[f64] {
        let classes = self.names.len();
        &self.values[row * classes..(row + 1) * classes]
    }
}

impl Outcome {
    /// Scores or a label, whose `usual` activation counts where the manifest names none.
    pub(super) fn classification(spec: &TaskSpec<'_>, usual: Activation) -> Result<Self, TaskError> {
        let mut problems = Vec::new();
        let (manifest, signature) = (spec.manifest, spec.signature);
        for name in [&manifest.outputs.scores, &manifest.outputs.label].into_iter().flatten() {
            if signature.output(name).is_none() {
                problems.push(no_output("outputs", name, signature));
            }
        }
        let named = manifest.outputs.scores.as_deref().and_then(|name| signature.output(name));
        if let Some((_, output)) = named
            && !is_scores(output)
        {
            problems.push(format!("outputs.scores: {} is no float tensor [N] or [N,classes]", told(output)));
        }
        let label = find_label(spec);
        let found = named.or_else(|| find_scores(signature)).map(|(index, _)| (Form::Scores, index));
        let Some((form, output)) = found.or_else(|| label.map(|index| (Form::Label, index))) else {
            problems.push(
                "no output holds scores or a label: name one in outputs.scores or outputs.label".into(),
            );
            return Err(TaskError { problems });
        };
        let described = &signature.outputs[output];
        let labels = manifest.labels.clone().or_else(|| {
            let stored = spec.class_labels;
            (form == Form::Scores && !stored.is_empty()).then(|| stored.to_vec())
        });
        if form == Form::Scores {
            check_labels(labels.as_deref(), described, &mut problems);
        }
        TaskError::unless_empty(problems)?;
        let activation = manifest.activation.unwrap_or(usual);
        let mut notes = Vec::new();
        if form == Form::Scores {
            if manifest.outputs.scores.is_none() {
                notes.push(format!("assumed: scores are output {}", told(described)));
            }
            if manifest.activation.is_none() {
                notes.push(format!("assumed: activation {}", activation.name()));
            }
            notes.extend(manifest.labels.is_none().then(|| told_labels(labels.as_deref())));
        } else {
            notes.push(format!("assumed: the label is output {}; there are no scores", told(described)));
        }
        Ok(Self {
            form,
            output,
            label,
            name: described.name.to_string(),
            labels: labels.or_else(|| index_labels(form, described)),
            class_labels: spec.class_labels.to_vec(),
            activation,
            notes,
        })
    }

    /// What was recognised and assumed, for people.
    pub(super) fn told(&self) -> impl Iterator<Item = String> {
        self.notes.iter().cloned()
    }

    pub(super) fn regression(spec: &TaskSpec<'_>) -> Result<Self, TaskError> {
        let signature = spec.signature;
        let found = match (&spec.manifest.outputs.scores, signature.outputs.as_slice()) {
            (Some(name), _) => {
                let found = signature.output(name).map(|(index, _)| index);
                found.ok_or_else(|| TaskError::one(no_output("outputs.scores", name, signature)))?
            }
            (None, [_]) => 0,
            (None, outputs) => {
                let mut values = (0..outputs.len()).filter(|&index| is_value(&outputs[index]));
                match (values.next(), values.next()) {
                    (Some(only), None) => only,
                    _ => {
                        return Err(TaskError::one(
                            "several outputs could be the value: name it in outputs.scores",
                        ));
                    }
                }
            }
        };
        let output = &signature.outputs[found];
        if !is_value(output) {
            let problem = format!("expected one number per row from output {}", told(output));
            return Err(TaskError::one(problem));
        }
        Ok(Self {
            form: Form::Value,
            output: found,
            label: None,
            name: output.name.to_string(),
            labels: None,
            class_labels: Vec::new(),
            activation: Activation::None,
            notes: Vec::new(),
        })
    }

    pub(super) fn is_classification(&self) -> bool {
        self.form != Form::Value
    }

    /// True when an answer has scores, not only a label.
    pub(super) fn has_scores(&self) -> bool {
        self.form == Form::Scores
    }

    pub(super) fn labels(&self) -> Option<&[String]> {
        self.labels.as_deref()
    }

    /// Reads the answers of `rows` rows.
    pub(super) fn answers<'a>(
        &'a self,
        outputs: &'a [Tensor],
        rows: usize,
    ) -> Result<Answers<'a>, OutputError> {
        let tensor =
            outputs.get(self.output).ok_or_else(|| OutputError::Shape("an output is missing".into()))?;
        let fits = match tensor.shape() {
            [n] => *n == rows,
            [n, columns] => *n == rows && (*columns == 1 || (self.form == Form::Scores && *columns > 0)),
            [n, columns, ones @ ..] => {
                *n == rows && *columns > 0 && self.form == Form::Scores && ones.iter().all(|size| *size == 1)
            }
            _ => false,
        };
        if !fits {
            return Err(self.misshapen(tensor, rows));
        }
        if tensor.data().first_non_finite().is_some() {
            return Err(OutputError::NonFinite { output: self.name.clone() });
        }
        match self.form {
            Form::Value => Ok(Answers::Values(tensor.data())),
            Form::Label => Ok(Answers::Labels(self.read_labels(tensor.data()))),
            Form::Scores => self.scores(tensor, rows).map(Answers::Scores),
        }
    }

    fn misshapen(&self, tensor: &Tensor, rows: usize) -> OutputError {
        let shape = tensor.shape();
        OutputError::Shape(format!("output {} has the shape {shape:?} for {rows} rows", self.name))
    }

    fn scores<'a>(&'a self, tensor: &'a Tensor, rows: usize) -> Result<Scores<'a>, OutputError> {
        let columns = if tensor.shape().len() == 1 { 1 } else { tensor.row_len() };
        // A single score is the positive class of two, unless it has the only label there is.
        let is_lone = columns == 1 && self.labels.as_ref().is_some_and(|labels| labels.len() == 1);
        let classes = if is_lone { 1 } else { columns.max(2) };
        let mut values = Vec::with_capacity(rows * classes);
        for row in 0..rows {
            let start = values.len();
            let column = |index| tensor.data().float_at(row * columns + index).unwrap_or(f64::NAN);
            if columns == 1 {
                let raw = column(0);
                let positive = if self.activation == Activation::None { raw } else { sigmoid(raw) };
                values.extend((!is_lone).then_some(1.0 - positive).into_iter().chain([positive]));
            } else {
                values.extend((0..columns).map(column));
                activate(&mut values[start..], self.activation);
            }
        }
        let names = match &self.labels {
            Some(labels) if labels.len() == classes => Cow::Borrowed(labels.as_slice()),
            Some(_) => return Err(self.misshapen(tensor, rows)),
            None => Cow::Owned((0..classes).map(|index| index.to_string()).collect()),
        };
        let winners = values.chunks_exact(classes).map(argmax).collect();
        Ok(Scores { names, values, winners, single: tensor.data_type() != DataType::Fp64 })
    }

    /// Whether the graph's own label of the first row is one whose score is not the highest; none
    /// where that can't be told.
    pub(super) fn contradicts(&self, outputs: &[Tensor]) -> Option<bool> {
        let Answers::Scores(scores) = self.answers(outputs, 1).ok()? else { return None };
        let own = self.read_labels(outputs.get(self.label?)?.data());
        let own = scores.names.iter().position(|name| Some(name.as_str()) == own.first().map(Cow::as_ref))?;
        let row = scores.row(0);
        Some(row[own] < row[scores.winners[0]])
    }

    /// Whether the only score of the first row is no probability.
    pub(super) fn exceeds_probability(&self, outputs: &[Tensor]) -> bool {
        let score = |tensor: &Tensor| (tensor.data().len() == 1).then(|| tensor.data().float_at(0)).flatten();
        let score = outputs.get(self.output).filter(|_| self.form == Form::Scores).and_then(score);
        score.is_some_and(|score| !(0.0..=1.0).contains(&score))
    }

    /// Labels from the label output: strings as they are, integers by class label or position.
    fn read_labels<'a>(&'a self, data: &'a Data) -> Vec<Cow<'a, str>> {
        if let Data::Bytes(labels) = data {
            return labels.iter().map(|label| self.renamed(label)).collect();
        }
        let name = |index: usize| -> Cow<'a, str> {
            // Written by the integer's own digits: a 64-bit label never passes through a double.
            let written = super::nested::ElementAt { data, index }.to_string();
            if let Some(position) = self.class_labels.iter().position(|label| *label == written) {
                return self.label_at(position).unwrap_or(written.into());
            }
            let position = written.parse::<usize>().ok();
            position.and_then(|position| self.label_at(position)).unwrap_or(written.into())
        };
        (0..data.len()).map(name).collect()
    }

    fn label_at(&self, position: usize) -> Option<Cow<'_, str>> {
        self.labels.as_ref()?.get(position).map(|label| label.as_str().into())
    }

    /// A label that the graph knows under its own name, under the manifest's.
    fn renamed<'a>(&'a self, label: &'a str) -> Cow<'a, str> {
        let position = self.class_labels.iter().position(|own| own == label);
        position.and_then(|position| self.label_at(position)).unwrap_or(label.into())
    }
}

/// The scores output by name, else the only float output of rank 2.
pub(super) fn find_scores(signature: &Signature) -> Option<(usize, &TensorSpec)> {
    let named =
        SCORE_NAMES.iter().find_map(|name| signature.output(name).filter(|(_, output)| is_scores(output)));
    named.or_else(|| {
        let mut tables = signature.outputs.iter().enumerate();
        let mut tables =
            tables.by_ref().filter(|(_, output)| output.data_type.is_float() && is_table(output));
        let first = tables.next();
        if tables.next().is_some() { None } else { first }
    })
}

/// The label output, by manifest, name or type.
pub(super) fn find_label(spec: &TaskSpec<'_>) -> Option<usize> {
    let signature = spec.signature;
    if let Some(name) = &spec.manifest.outputs.label {
        return signature.output(name).map(|(index, _)| index);
    }
    let is_label = |output: &TensorSpec| {
        (output.data_type.is_integer() || output.data_type == DataType::Bytes) && is_column(output)
    };
    LABEL_NAMES
        .iter()
        .find_map(|name| signature.output(name).filter(|(_, output)| is_label(output)))
        .map(|(index, _)| index)
        .or_else(|| signature.outputs.iter().position(is_label))
}

fn is_scores(output: &TensorSpec) -> bool {
    output.data_type.is_float() && (output.dims.len() == 1 || is_table(output))
}

/// One score per class, perhaps with dimensions of one behind, as convolutions leave them.
fn is_table(output: &TensorSpec) -> bool {
    matches!(output.dims.as_slice(), [_, _, ones @ ..] if ones.iter().all(|dim| *dim == Dim::Fixed(1)))
}

fn is_column(output: &TensorSpec) -> bool {
    matches!(output.dims.as_slice(), [_] | [_, Dim::Fixed(1) | Dim::Free(_)])
}

fn is_value(output: &TensorSpec) -> bool {
    (output.data_type.is_float() || output.data_type.is_integer()) && is_column(output)
}

fn told(output: &TensorSpec) -> String {
    format!("{} ({} {})", output.name, output.data_type, output.shape_text())
}

fn no_output(key: &str, name: &str, signature: &Signature) -> String {
    let known: Vec<&str> = signature.outputs.iter().take(8).map(|output| &*output.name).collect();
    format!("{key}: the graph has no output {name:?}, only {}", known.join(", "))
}

/// Columns of a scores output, where the signature fixes them.
fn fixed_columns(output: &TensorSpec) -> Option<usize> {
    match output.dims.as_slice() {
        [_] => Some(1),
        [_, Dim::Fixed(columns), ..] => Some(*columns),
        _ => None,
    }
}

fn check_labels(labels: Option<&[String]>, output: &TensorSpec, problems: &mut Vec<String>) {
    let Some(labels) = labels else { return };
    let mut sorted: Vec<&String> = labels.iter().collect();
    sorted.sort_unstable();
    if let Some([twice, _]) = sorted.array_windows().find(|[one, other]| one == other) {
        problems.push(format!("labels: {twice:?} stands twice"));
    }
    match fixed_columns(output) {
        // One label for one score: regressions and rerankers have it.
        Some(1) if !matches!(labels.len(), 1 | 2) => problems.push(format!(
            "labels: one score column is the positive class: expected two labels, the negative one first, got {}",
            labels.len()
        )),
        Some(columns) if columns > 1 && labels.len() != columns => problems
            .push(format!("labels: expected {columns}, as output {} has columns, got {}", output.name, labels.len())),
        _ => {}
    }
}

fn told_labels(labels: Option<&[String]>) -> String {
    match labels {
        Some(labels) => {
            let first = labels.iter().take(4).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if labels.len() > 4 { ", ..." } else { "" };
            format!("recognised: {} class labels in the graph: {first}{more}", labels.len())
        }
        None => "assumed: labels are the numbers of the classes".to_owned(),
    }
}

fn index_labels(form: Form, output: &TensorSpec) -> Option<Vec<String>> {
    let classes = fixed_columns(output).filter(|_| form == Form::Scores)?.max(2);
    Some((0..classes).map(|index| index.to_string()).collect())
}

/// The position of the highest value, the lowest one on a tie.
fn argmax(row: &[f64]) -> usize {
    let mut winner = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[winner] {
            winner = index;
        }
    }
    winner
}
