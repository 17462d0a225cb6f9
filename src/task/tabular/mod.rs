//! The tabular tasks: features in, label and scores or one number out.
//!
//! Two layouts of the graph's inputs: one `[N,F]` input that holds all features, or one `[N,1]` or
//! `[N]` input per feature. Either way a row goes straight into flat typed columns.

mod csv;
mod described;
mod features;
mod filled;
mod plain;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Deserializer;
use serde::de::{DeserializeSeed, SeqAccess};

use super::builder::Builder;
use super::column::Column;
use super::element::optional_element;
use super::names::{Names, Seen};
use super::outcome::Outcome;
use super::parameters::Accepted;
use super::problem::InputErrorCode::{InvalidInput, MissingInput, ShapeMismatch};
use super::report::{DecodeReport, Refused, Step};
use super::{TaskError, TaskSpec};
use crate::model::{Activation, Dim, Feature, TaskKind, TensorSpec};
use crate::tensor::{DataType, Tensor};
pub use csv::HeaderRow;
pub(super) use described::{Described, Shown};
use features::{Accepts, FeatureSpec, Value};
pub use filled::Filled;

/// Features in, label and scores or one number out.
#[derive(Debug)]
pub struct Tabular {
    names: Names,
    features: Vec<FeatureSpec>,
    layout: Layout,
    outcome: Outcome,
    /// Said where the manifest names no features.
    assumed_names: Option<String>,
    /// Rows are singles, under names that stand in JSON as they are.
    is_plain: bool,
}

/// How features lie in the graph's inputs.
#[derive(Debug)]
enum Layout {
    /// One input of this type holds them all.
    Wide(DataType),
    /// One input each; true where it has a second dimension, of size one.
    Columns(Vec<bool>),
}

impl Tabular {
    pub(super) fn build(spec: &TaskSpec<'_>, kind: TaskKind) -> Result<Self, TaskError> {
        let mut problems = Vec::new();
        let described = spec.manifest.features.as_deref();
        let laid_out = lay_out(&spec.signature.inputs, described.map(<[Feature]>::len));
        let outcome = if kind == TaskKind::TabularRegression {
            Outcome::regression(spec)
        } else {
            Outcome::classification(spec, Activation::None)
        };
        let (layout, own) = match laid_out {
            Ok(parts) => parts,
            Err(problem) => {
                problems.push(problem);
                problems.extend(outcome.err().into_iter().flat_map(|error| error.problems));
                return Err(TaskError { problems });
            }
        };
        if let Some(described) = described
            && described.len() != own.len()
        {
            problems.push(format!(
                "features: expected {}, as the inputs take, got {}",
                own.len(),
                described.len()
            ));
        }
        let features: Vec<FeatureSpec> = own
            .iter()
            .enumerate()
            .map(|(index, (own_name, target))| {
                let feature = described.and_then(|described| described.get(index));
                let name =
                    feature.map_or_else(|| Arc::clone(own_name), |feature| feature.name.as_str().into());
                FeatureSpec::build(&name, *target, feature, &mut problems)
            })
            .collect();
        let names = Names::new(features.iter().map(|feature| Arc::clone(&feature.name)).collect())
            .unwrap_or_else(|name| {
                problems.push(format!("features: {name:?} stands twice"));
                Names::none()
            });
        match outcome {
            Ok(outcome) if problems.is_empty() => {
                let assumed_names = described.is_none().then(|| assumed_names(&features));
                let is_plain = matches!(layout, Layout::Wide(DataType::Fp32))
                    && features.iter().all(|it| it.is_plain_single() && plain::is_plain(&it.name));
                Ok(Self { names, features, layout, outcome, assumed_names, is_plain })
            }
            other => {
                problems.extend(other.err().into_iter().flat_map(|error| error.problems));
                Err(TaskError { problems })
            }
        }
    }

    pub(super) fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// What was recognised and assumed, for people.
    pub(super) fn notes(&self) -> Vec<String> {
        let names = self.assumed_names.clone();
        names.into_iter().chain(self.outcome.told()).collect()
    }

    pub(super) fn builder(&self) -> TabularBuilder<'_> {
        let columns = match &self.layout {
            Layout::Wide(data_type) => vec![Column::new(*data_type)],
            Layout::Columns(_) => self.features.iter().map(|feature| Column::new(feature.target)).collect(),
        };
        let row_bytes = match &self.layout {
            Layout::Wide(_) => self.features.len() as u64 * columns[0].element_bytes(),
            Layout::Columns(_) => columns.iter().map(Column::element_bytes).sum(),
        };
        TabularBuilder { task: self, columns, rows: 0, row: 0, row_bytes, filled: Filled::default() }
    }

    /// The names of the features, in the order of the inputs.
    pub fn feature_names(&self) -> impl Iterator<Item = &str> {
        self.features.iter().map(|feature| &*feature.name)
    }

    /// The tensor of a body that is one plain row.
    pub(super) fn decode_plain(&self, json: &[u8]) -> Option<Tensor> {
        let row = if self.is_plain { plain::row(json, self.names.list())? } else { return None };
        Tensor::new(vec![1, row.len()], row).ok()
    }

    /// Name, type, default and categories of every feature, for people.
    pub(super) fn described(&self) -> impl Iterator<Item = Described<'_>> {
        self.features.iter().map(|feature| Described {
            name: &feature.name,
            kind: match &feature.accepts {
                Accepts::Element(kind) => *kind,
                Accepts::Category(_) => DataType::Bytes,
            },
            default: feature.default.as_ref(),
            categories: match &feature.accepts {
                Accepts::Category(categories) => Some(&categories.list),
                Accepts::Element(_) => None,
            },
            target: feature.target,
        })
    }
}

/// A feature as the graph itself names and types it.
type NamedType = (Arc<str>, DataType);

/// The layout of the inputs, with a name and a type for every feature.
fn lay_out(inputs: &[TensorSpec], described: Option<usize>) -> Result<(Layout, Vec<NamedType>), String> {
    if let [input] = inputs
        && let [_, width] = input.dims.as_slice()
    {
        let width = match width {
            Dim::Fixed(width) => Some(*width),
            Dim::Free(_) | Dim::AnyRank => described,
        };
        let Some(width) = width.filter(|&width| width > 0) else {
            return Err(format!(
                "features: input {} has the shape {}: say which features it takes",
                input.name,
                input.shape_text()
            ));
        };
        // A single column is named after its input, like every other input of one feature.
        if width > 1 {
            let names = (0..width).map(|index| (format!("f{index}").into(), input.data_type));
            return Ok((Layout::Wide(input.data_type), names.collect()));
        }
    }
    let is_column =
        |input: &TensorSpec| matches!(input.dims.as_slice(), [_] | [_, Dim::Fixed(1) | Dim::Free(_)]);
    if inputs.is_empty() || !inputs.iter().all(is_column) {
        let shapes: Vec<String> =
            inputs.iter().take(8).map(|input| format!("{} {}", input.name, input.shape_text())).collect();
        return Err(format!(
            "a tabular model takes one [N,F] input or only [N,1] inputs, this one {}",
            shapes.join(", ")
        ));
    }
    let second = inputs.iter().map(|input| input.dims.len() == 2).collect();
    let names = inputs.iter().map(|input| (Arc::clone(&input.name), input.data_type)).collect();
    Ok((Layout::Columns(second), names))
}

fn assumed_names(features: &[FeatureSpec]) -> String {
    match features {
        [first, .., last] => {
            format!("assumed: {} features, {} to {}", features.len(), first.name, last.name)
        }
        _ => format!("assumed: {} feature", features.len()),
    }
}

/// Collects rows of a tabular task.
pub(super) struct TabularBuilder<'t> {
    task: &'t Tabular,
    columns: Vec<Column>,
    rows: usize,
    /// The row that values belong to.
    row: usize,
    /// Held by each row, its strings aside.
    row_bytes: u64,
    filled: Filled,
}

impl TabularBuilder<'_> {
    /// The tensors, and what of them the caller did not give.
    pub(super) fn into_parts(self) -> (Vec<Tensor>, Filled) {
        let (rows, width) = (self.rows, self.task.features.len());
        let shape = |index: usize| match &self.task.layout {
            Layout::Wide(_) => vec![rows, width],
            Layout::Columns(second) if second[index] => vec![rows, 1],
            Layout::Columns(_) => vec![rows],
        };
        let shapes: Vec<_> = (0..self.columns.len()).map(shape).collect();
        let tensors = self.columns.into_iter().zip(shapes).map(|(column, shape)| {
            Tensor::new(shape, column.into_data()).expect("every row adds one value per feature")
        });
        (tensors.collect(), self.filled)
    }

    #[inline]
    fn put(&mut self, feature: usize, value: Value, report: &mut DecodeReport) -> Result<(), Refused> {
        let spec = &self.task.features[feature];
        match &self.task.layout {
            Layout::Wide(_) => {
                let index = self.row * self.task.features.len() + feature;
                spec.store(value, &mut self.columns[0], index, report)
            }
            Layout::Columns(_) => spec.store(value, &mut self.columns[feature], self.row, report),
        }
    }

    /// Fills `feature` from its default; false when it has none.
    fn put_default(&mut self, feature: usize) -> bool {
        let task = self.task;
        let Some(default) = &task.features[feature].default else { return false };
        self.filled.count(feature, &task.features);
        // That it can be stored was checked when the task was built.
        self.put(feature, default.clone(), &mut DecodeReport::new()).is_ok()
    }

    fn put_absent(&mut self, feature: usize, report: &mut DecodeReport) -> Result<(), Refused> {
        if self.put_default(feature) {
            Ok(())
        } else {
            Err(report.refuse(MissingInput, "expected a value here, got none (absent or null)"))
        }
    }
}

impl Builder for TabularBuilder<'_> {
    const EXPECTED: &'static str = "an object of features or an array of their values";

    fn names(&self) -> &Names {
        &self.task.names
    }

    fn accepted(&self) -> Accepted {
        Accepted { truncate: false, top_k: self.task.outcome.is_classification() }
    }

    fn instance_bytes(&self) -> u64 {
        self.row_bytes
    }

    fn begin(&mut self) {
        self.row = self.rows;
        self.rows += 1;
        match &self.task.layout {
            Layout::Wide(_) => self.columns[0].grow(self.task.features.len()),
            Layout::Columns(_) => self.columns.iter_mut().for_each(|column| column.grow(1)),
        }
    }

    fn seek(&mut self, row: usize) {
        if row >= self.rows {
            self.begin();
        }
        self.row = row;
    }

    #[inline]
    fn member<'de, D: Deserializer<'de>>(
        &mut self,
        index: usize,
        value: D,
        report: &mut DecodeReport,
    ) -> Result<bool, D::Error> {
        let spec = &self.task.features[index];
        // Singles for one input of singles are nearly every model: no detour over `Value`.
        if let (true, [Column::Fp32(values)]) = (spec.is_plain_single(), self.columns.as_mut_slice()) {
            let place = self.row * self.task.features.len() + index;
            return Ok(optional_element(value, report)?.map(|value: f32| values[place] = value).is_some());
        }
        match spec.read(value, report)? {
            Some(value) => self.put(index, value, report).map(|()| true).map_err(Refused::into_error),
            None => Ok(false),
        }
    }

    fn finish(&mut self, seen: &Seen) -> Option<usize> {
        let width = self.task.features.len();
        if seen.count() == width {
            return None;
        }
        (0..width).find(|&feature| !seen.contains(feature) && !self.put_default(feature))
    }

    fn array<'de, A: SeqAccess<'de>>(
        &mut self,
        mut row: A,
        report: &mut DecodeReport,
    ) -> Result<(), A::Error> {
        let width = self.task.features.len();
        self.begin();
        report.enter(Step::Index(0));
        let mut count = 0;
        while count < width {
            let cell = CellSeed { builder: self, feature: count, report };
            match row.next_element_seed(cell) {
                Ok(Some(())) => count += 1,
                Ok(None) => break,
                Err(error) => {
                    if report.bare && count == 0 && report.container_came() {
                        report.leave();
                        let hint = "expected one row of values, got an array of arrays or objects; \
                                    send {\"instances\": [...]} for several rows";
                        report.refuse_instead(InvalidInput, hint);
                    }
                    return Err(error);
                }
            }
            report.step(Step::Index(count));
        }
        report.leave();
        let more = count == width && row.next_element::<serde::de::IgnoredAny>()?.is_some();
        match count {
            0 => Err(report.refuse_as(InvalidInput, format!("expected {width} values, got an empty array"))),
            _ if more => Err(report.refuse_as(ShapeMismatch, format!("expected {width} values, got more"))),
            _ if count < width => {
                Err(report.refuse_as(ShapeMismatch, format!("expected {width} values, got {count}")))
            }
            _ => Ok(()),
        }
    }

    fn text(&mut self, _text: &str) -> bool {
        false
    }
}

/// A value in a row that is an array.
struct CellSeed<'a, 't> {
    builder: &'a mut TabularBuilder<'t>,
    feature: usize,
    report: &'a mut DecodeReport,
}

impl<'de> DeserializeSeed<'de> for CellSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        if !self.builder.member(self.feature, value, self.report)? {
            self.builder.put_absent(self.feature, self.report).map_err(Refused::into_error::<D::Error>)?;
        }
        Ok(())
    }
}
