//! The `tensors` task: named nested arrays in, named nested arrays out.
//!
//! Nested arrays stream into one flat vector per input. The shape is learnt from the first array at
//! each depth and held against the signature and against every later one, so memory follows what
//! came and never what a shape claims.

mod whole;

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use crate::model::{Dim, Signature, TensorSpec};
use crate::task::builder::Builder;
use crate::task::column::{Column, with_column};
use crate::task::element::{Element, ElementSeed, element};
use crate::task::names::{Names, Seen};
use crate::task::parameters::Accepted;
use crate::task::problem::InputErrorCode::{InvalidInput, ShapeMismatch};
use crate::task::report::{DecodeReport, Step, wrong_types};
use crate::task::request::Place;
use crate::task::{InputError, OutputError, TaskError, TaskSpec};
use crate::tensor::Tensor;

/// Named tensors in, named tensors out.
#[derive(Debug)]
pub struct Tensors {
    names: Names,
    signature: Signature,
    batchable: bool,
    labels: Option<Vec<String>>,
}

impl Tensors {
    pub(super) fn build(spec: &TaskSpec<'_>) -> Result<Self, TaskError> {
        let inputs = spec.signature.inputs.iter().map(|input| Arc::clone(&input.name)).collect();
        let names =
            Names::new(inputs).map_err(|name| TaskError::one(format!("two inputs are called {name:?}")))?;
        if spec.manifest.features.is_some() {
            let problem = "features: only tabular models have them; set task = \"tabular-classification\" or \
                           \"tabular-regression\"";
            return Err(TaskError::one(problem));
        }
        let labels = spec.manifest.labels.clone();
        Ok(Self { names, signature: spec.signature.clone(), batchable: spec.batchable, labels })
    }

    pub(super) fn inputs(&self) -> &[TensorSpec] {
        &self.signature.inputs
    }

    pub(super) fn outputs(&self) -> &[TensorSpec] {
        &self.signature.outputs
    }

    /// Names of classes, where the model's owner gives them: the protocols rank outputs by them.
    pub(super) fn labels(&self) -> Option<&[String]> {
        self.labels.as_deref()
    }

    pub(super) fn is_batchable(&self) -> bool {
        self.batchable
    }

    /// The dimensions that one instance writes for `input`.
    pub(super) fn instance_dims<'a>(&self, input: &'a TensorSpec) -> &'a [Dim] {
        if self.batchable { input.dims.get(1..).unwrap_or_default() } else { &input.dims }
    }

    /// Holds inputs against each other: dimensions of one name have one size.
    pub(super) fn check(&self, inputs: &[Tensor], place: Place) -> Result<(), InputError> {
        self.signature.check(inputs).map_err(|error| {
            let pointer = match place {
                // Whole tensors have no instances.
                Place::Columns(word) => {
                    Place::Only(word).instance(0, "") + &Place::Whole.member(0, &error.input)
                }
                other => other.member(0, &error.input),
            };
            InputError::new(ShapeMismatch, pointer, error.detail)
        })
    }

    /// Holds outputs against the signature and the number of rows, and refuses what JSON can't carry.
    pub(super) fn check_outputs(&self, outputs: &[Tensor], rows: usize) -> Result<(), OutputError> {
        if outputs.len() != self.signature.outputs.len() {
            let expected = self.signature.outputs.len();
            return Err(OutputError::Shape(format!("expected {expected} outputs, got {}", outputs.len())));
        }
        for (spec, output) in self.signature.outputs.iter().zip(outputs) {
            if self.batchable && output.shape().first() != Some(&rows) {
                let shape = output.shape();
                return Err(OutputError::Shape(format!(
                    "output {} has the shape {shape:?} for {rows} rows",
                    spec.name
                )));
            }
            if output.data().first_non_finite().is_some() {
                return Err(OutputError::NonFinite { output: spec.name.to_string() });
            }
        }
        Ok(())
    }

    pub(super) fn builder(&self) -> TensorsBuilder<'_> {
        let inputs = self.signature.inputs.iter().map(|spec| Nested {
            column: Column::new(spec.data_type),
            shape: sizes(self.instance_dims(spec)),
        });
        TensorsBuilder { task: self, inputs: inputs.collect(), bytes: 0, whole: false }
    }
}

fn sizes(dims: &[Dim]) -> Vec<Size> {
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => Size::Fixed(*size),
        // Nesting alone can't tell a rank: here such an input is a flat list.
        Dim::Free(_) | Dim::AnyRank => Size::Unknown,
    };
    dims.iter().map(size).collect()
}

/// Collects instances of a [`Tensors`] task.
pub(super) struct TensorsBuilder<'t> {
    task: &'t Tensors,
    inputs: Vec<Nested>,
    /// Held by all inputs so far.
    bytes: u64,
    /// The inputs are whole tensors, their batch dimension included.
    whole: bool,
}

impl TensorsBuilder<'_> {
    /// The tensors of `rows` instances.
    pub(super) fn into_tensors(self, rows: usize) -> Vec<Tensor> {
        let batchable = self.task.batchable && !self.whole;
        let tensor = |input: Nested| {
            let inner = input.shape.iter().map(|size| size.known().unwrap_or(0));
            let shape = batchable.then_some(rows).into_iter().chain(inner).collect();
            Tensor::new(shape, input.column.into_data()).expect("every array was held against the shape")
        };
        self.inputs.into_iter().map(tensor).collect()
    }
}

impl Builder for TensorsBuilder<'_> {
    const EXPECTED: &'static str = "an object with a nested array per input";

    fn names(&self) -> &Names {
        &self.task.names
    }

    fn accepted(&self) -> Accepted {
        Accepted::default()
    }

    fn most_instances(&self) -> Option<usize> {
        (!self.task.batchable).then_some(1)
    }

    fn begin(&mut self) {}

    // Values are appended, row by row.
    fn seek(&mut self, _row: usize) {}

    fn takes_values(&self) -> bool {
        matches!(self.inputs.as_slice(), [input] if input.shape.is_empty())
    }

    fn columns<'de, A: MapAccess<'de>>(
        &mut self,
        inputs: A,
        report: &mut DecodeReport,
    ) -> Result<usize, A::Error> {
        self.whole_by_name(inputs, report)
    }

    fn unnamed<'de, A: SeqAccess<'de>>(
        &mut self,
        input: A,
        report: &mut DecodeReport,
    ) -> Result<usize, A::Error> {
        self.whole_without_name(input, report)
    }

    fn member<'de, D: Deserializer<'de>>(
        &mut self,
        index: usize,
        value: D,
        report: &mut DecodeReport,
    ) -> Result<bool, D::Error> {
        let Nested { column, shape } = &mut self.inputs[index];
        let left = report.limits.max_bytes.saturating_sub(self.bytes);
        with_column!(column, elements => {
            let (before, most) = (elements.len(), most_elements(elements, left));
            NestedSeed { elements: &mut *elements, most, shape, level: 0, report }.deserialize(value)?;
            self.bytes += size_of_val(&elements[before..]) as u64;
        });
        Ok(true)
    }

    fn finish(&mut self, seen: &Seen) -> Option<usize> {
        if seen.count() == self.inputs.len() {
            return None;
        }
        (0..self.inputs.len()).find(|&index| !seen.contains(index))
    }

    fn array<'de, A: SeqAccess<'de>>(&mut self, array: A, report: &mut DecodeReport) -> Result<(), A::Error> {
        let [Nested { column, shape }] = self.inputs.as_mut_slice() else {
            let detail =
                format!("expected an object with the inputs {}, got an array", self.task.names.listed());
            return Err(report.refuse_as(InvalidInput, detail));
        };
        let left = report.limits.max_bytes.saturating_sub(self.bytes);
        with_column!(column, elements => {
            let (before, most) = (elements.len(), most_elements(elements, left));
            NestedSeed { elements: &mut *elements, most, shape, level: 0, report }.visit_seq(array)?;
            self.bytes += size_of_val(&elements[before..]) as u64;
        });
        Ok(())
    }

    fn text(&mut self, _text: &str) -> bool {
        false
    }
}

/// How many elements there may be when `left` bytes may be added.
fn most_elements<T>(elements: &[T], left: u64) -> usize {
    elements.len().saturating_add(usize::try_from(left / size_of::<T>() as u64).unwrap_or(usize::MAX))
}

/// One input under collection.
struct Nested {
    column: Column,
    shape: Vec<Size>,
}

/// What is known of one dimension.
#[derive(Clone, Copy)]
enum Size {
    /// Nothing has come yet.
    Unknown,
    /// What the first array at this depth had.
    Learnt(usize),
    /// What the signature says.
    Fixed(usize),
}

impl Size {
    fn known(self) -> Option<usize> {
        match self {
            Self::Unknown => None,
            Self::Learnt(size) | Self::Fixed(size) => Some(size),
        }
    }
}

struct NestedSeed<'a, T> {
    elements: &'a mut Vec<T>,
    /// No more elements than these.
    most: usize,
    shape: &'a mut [Size],
    level: usize,
    report: &'a mut DecodeReport,
}

impl<T> NestedSeed<'_, T> {
    fn refuse_length<E: Error>(&mut self, size: Size, came: &str) -> E {
        let detail = match size {
            Size::Fixed(size) => format!("expected an array of {size}, got {came}"),
            Size::Learnt(size) => {
                format!("expected an array of {size} like the first one at this depth, got {came}")
            }
            Size::Unknown => "expected another length".to_owned(),
        };
        self.report.refuse_as(ShapeMismatch, detail)
    }

    fn not_an_array<E: Error>(self, came: &str) -> E {
        let deeper = self.shape.len() - self.level;
        let detail = format!("expected an array ({deeper} more dimensions from here), got {came}");
        self.report.refuse_as(ShapeMismatch, detail)
    }
}

impl<'de, T: Element> DeserializeSeed<'de> for NestedSeed<'_, T> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        if self.level == self.shape.len() {
            let value = element(value, self.report)?;
            if self.elements.len() >= self.most {
                return Err(self.report.too_large().into_error());
            }
            self.elements.push(value);
            Ok(())
        } else {
            value.deserialize_any(self)
        }
    }
}

impl<'de, T: Element> Visitor<'de> for NestedSeed<'_, T> {
    type Value = ();

    wrong_types!(|_| "an array"; null object);

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Err(self.not_an_array("a boolean"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Err(self.not_an_array("a number"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Err(self.not_an_array("a number"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Err(self.not_an_array("a number"))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(self.not_an_array("a string"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        let level = self.level;
        if level >= self.shape.len() {
            let detail = format!("expected {}, got an array", T::EXPECTED);
            return Err(self.report.refuse_as(ShapeMismatch, detail));
        }
        if self.report.depth() >= self.report.limits.max_depth {
            let most = self.report.limits.max_depth;
            return Err(self
                .report
                .refuse_as(InvalidInput, format!("expected at most {most} levels of nesting")));
        }
        let size = self.shape[level];
        let most = size.known().unwrap_or(usize::MAX);
        let mut count = 0;
        self.report.enter(Step::Index(0));
        if level + 1 == self.shape.len() {
            while count < most {
                let seed = ElementSeed { report: self.report, element: PhantomData };
                let Some(value) = array.next_element_seed(seed)? else { break };
                if self.elements.len() >= self.most {
                    return Err(self.report.too_large().into_error());
                }
                self.elements.push(value);
                count += 1;
                self.report.step(Step::Index(count));
            }
        } else {
            while count < most
                && array
                    .next_element_seed(NestedSeed {
                        elements: self.elements,
                        most: self.most,
                        shape: self.shape,
                        level: level + 1,
                        report: self.report,
                    })?
                    .is_some()
            {
                count += 1;
                self.report.step(Step::Index(count));
            }
        }
        self.report.leave();
        self.end(count, size, array)
    }
}

impl<T: Element> NestedSeed<'_, T> {
    /// Holds an array's length against what is known, or learns it.
    fn end<'de, A: SeqAccess<'de>>(mut self, count: usize, size: Size, mut array: A) -> Result<(), A::Error> {
        match size {
            Size::Unknown => self.shape[self.level] = Size::Learnt(count),
            Size::Fixed(expected) | Size::Learnt(expected) if count != expected => {
                return Err(self.refuse_length(size, &count.to_string()));
            }
            Size::Fixed(_) | Size::Learnt(_) => {
                if array.next_element::<serde::de::IgnoredAny>()?.is_some() {
                    return Err(self.refuse_length(size, "more"));
                }
            }
        }
        Ok(())
    }
}
