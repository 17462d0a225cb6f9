//! The features of a tabular model: names, types, defaults and categories, and where in which
//! input each one's values go.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserializer;
use serde::de::{Error, Visitor};

use crate::model::{Feature, FeatureType};
use crate::task::column::{Column, with_column};
use crate::task::element::{Element, element, optional_element};
use crate::task::misfit::{Misfit, misfit_code, misfit_detail};
use crate::task::problem::InputErrorCode::InvalidInput;
use crate::task::report::{DecodeReport, Refused, wrong_types};
use crate::tensor::DataType;

/// What a value of a feature is, once read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    /// NaN, which only a default can be.
    Missing,
}

/// One feature.
#[derive(Debug)]
pub(super) struct FeatureSpec {
    pub(super) name: Arc<str>,
    /// What a value may be.
    pub(super) accepts: Accepts,
    /// The type of the input that takes it.
    pub(super) target: DataType,
    pub(super) default: Option<Value>,
}

/// What a value of a feature may be.
#[derive(Debug)]
pub(super) enum Accepts {
    /// A value of this type.
    Element(DataType),
    /// One of these strings.
    Category(Categories),
}

/// The strings of a categorical feature, in order.
#[derive(Debug)]
pub(super) struct Categories {
    pub(super) list: Vec<String>,
    index: HashMap<String, usize>,
}

impl FeatureSpec {
    /// The feature `name` of an input of type `target`, as `described` in the manifest.
    pub(super) fn build(
        name: &Arc<str>,
        target: DataType,
        described: Option<&Feature>,
        problems: &mut Vec<String>,
    ) -> Self {
        let kind = described.and_then(|feature| feature.kind).map_or(target, data_type);
        let categories = described.and_then(|feature| feature.categories.as_ref());
        let accepts = match categories {
            Some(list) => {
                let index: HashMap<_, _> = list.iter().cloned().zip(0..).collect();
                if index.len() != list.len() || list.is_empty() {
                    problems.push(format!(
                        "features: {name}: categories: expected different strings, at least one"
                    ));
                }
                Accepts::Category(Categories { list: list.clone(), index })
            }
            None => Accepts::Element(kind),
        };
        let mut spec = Self { name: Arc::clone(name), accepts, target, default: None };
        if let Some(problem) = spec.misfit(kind) {
            problems.push(format!("features: {name}: type: {problem}"));
        } else if let Some(default) = described.and_then(|feature| feature.default.clone()) {
            match spec.read_default(default) {
                Ok(default) => spec.default = Some(default),
                Err(problem) => problems.push(format!("features: {name}: default: {problem}")),
            }
        }
        spec
    }

    /// A default that the feature's input can hold.
    fn read_default(&self, default: toml::Value) -> Result<Value, String> {
        if default.as_float().is_some_and(f64::is_nan) {
            // What is missing needs no category.
            return if self.target.is_float() {
                Ok(Value::Missing)
            } else {
                Err(format!("nan stands for a missing value, which an input of {} can't hold", self.target))
            };
        }
        let mut report = DecodeReport::new();
        let read = self.read(default, &mut report).ok().flatten();
        let kept = read.filter(|value| {
            let mut column = Column::new(self.target);
            column.grow(1);
            self.store(value.clone(), &mut column, 0, &mut report).is_ok()
        });
        kept.ok_or_else(|| {
            report.close(&crate::task::names::Names::none());
            report.failure().map_or_else(String::new, |failure| failure.detail)
        })
    }

    /// Why values of `kind` can't go where they have to.
    fn misfit(&self, kind: DataType) -> Option<String> {
        let target = self.target;
        let fits = match &self.accepts {
            Accepts::Category(_) => kind == target || kind == DataType::Bytes,
            Accepts::Element(_) if kind == target => true,
            Accepts::Element(DataType::Bytes) => {
                return Some(format!("strings for an input of {target} need categories"));
            }
            Accepts::Element(kind) => match target {
                DataType::Bytes | DataType::Bool => false,
                _ => target.is_float() || !kind.is_float(),
            },
        };
        let categories_fit = !matches!(self.accepts, Accepts::Category(_)) || target != DataType::Bool;
        (!fits || !categories_fit).then(|| format!("{kind} can't stand for an input of {target}"))
    }

    /// True when a value is a single and stays one.
    #[inline]
    pub(super) fn is_plain_single(&self) -> bool {
        self.target == DataType::Fp32 && matches!(self.accepts, Accepts::Element(DataType::Fp32))
    }

    /// True when a value is text, where spaces count.
    pub(super) fn takes_text(&self) -> bool {
        !matches!(self.accepts, Accepts::Element(kind) if kind != DataType::Bytes)
    }

    /// Reads a value; null is none.
    #[inline]
    pub(super) fn read<'de, D: Deserializer<'de>>(
        &self,
        value: D,
        report: &mut DecodeReport,
    ) -> Result<Option<Value>, D::Error> {
        match &self.accepts {
            Accepts::Element(DataType::Fp32) => {
                Ok(optional_element::<f32, D>(value, report)?.map(|value| Value::Float(value.into())))
            }
            Accepts::Element(kind) => value.deserialize_option(ValueVisitor { kind: *kind, report }),
            Accepts::Category(categories) => {
                value.deserialize_option(CategoryVisitor { categories, target: self.target, report })
            }
        }
    }

    /// Reads a cell of a table.
    pub(super) fn read_cell(&self, text: &str, report: &mut DecodeReport) -> Result<Value, Refused> {
        let kind = match &self.accepts {
            Accepts::Element(kind) => *kind,
            Accepts::Category(categories) => return categories.find(text, self.target, report),
        };
        macro_rules! cell {
            ($($type:ident $element:ty => $wrap:expr),* $(,)?) => {
                match kind {
                    $(DataType::$type => <$element>::from_cell(text).map($wrap).map_err(|misfit| {
                        report.refuse(misfit_code(misfit), misfit_detail::<$element>(misfit, "text"))
                    }),)*
                }
            };
        }
        cell!(
            Bool bool => Value::Bool,
            Uint8 u8 => |value| Value::Unsigned(value.into()),
            Uint16 u16 => |value| Value::Unsigned(value.into()),
            Uint32 u32 => |value| Value::Unsigned(value.into()),
            Uint64 u64 => Value::Unsigned,
            Int8 i8 => |value| Value::Signed(value.into()),
            Int16 i16 => |value| Value::Signed(value.into()),
            Int32 i32 => |value| Value::Signed(value.into()),
            Int64 i64 => Value::Signed,
            Fp16 half::f16 => |value| Value::Float(value.into()),
            Bf16 half::bf16 => |value| Value::Float(value.into()),
            Fp32 f32 => |value| Value::Float(value.into()),
            Fp64 f64 => Value::Float,
            Bytes String => Value::Text,
        )
    }

    /// Puts `value` at `index` of `column`, converted to its type.
    #[inline]
    pub(super) fn store(
        &self,
        value: Value,
        column: &mut Column,
        index: usize,
        report: &mut DecodeReport,
    ) -> Result<(), Refused> {
        if value == Value::Missing && column.set_missing(index) {
            return Ok(());
        }
        with_column!(column, elements => {
            elements[index] = convert(value).map_err(|misfit| {
                let detail = format!("expected a number within the range of {}, got one beyond it", self.target);
                report.refuse(misfit_code(misfit), detail)
            })?;
        });
        Ok(())
    }
}

/// A value as an element of another type: truth values count as 0 and 1 among numbers.
#[inline]
fn convert<T: Element>(value: Value) -> Result<T, Misfit> {
    match value {
        Value::Float(value) => T::from_f64(value),
        Value::Unsigned(value) => T::from_u64(value),
        Value::Signed(value) => T::from_i64(value),
        Value::Bool(value) => T::from_bool(value).or_else(|_| T::from_u64(value.into())),
        Value::Text(value) => T::from_owned(value),
        Value::Missing => Err(Misfit::Type),
    }
}

impl Categories {
    fn find(&self, text: &str, target: DataType, report: &mut DecodeReport) -> Result<Value, Refused> {
        match self.index.get(text) {
            Some(_) if target == DataType::Bytes => Ok(Value::Text(text.to_owned())),
            Some(&position) => Ok(Value::Unsigned(position as u64)),
            None => {
                let detail = format!("expected one of {} categories, got another string", self.list.len());
                Err(report.refuse(InvalidInput, detail))
            }
        }
    }
}

/// The element type that a manifest's word means.
pub(super) const fn data_type(kind: FeatureType) -> DataType {
    match kind {
        FeatureType::Bool => DataType::Bool,
        FeatureType::Uint8 => DataType::Uint8,
        FeatureType::Uint16 => DataType::Uint16,
        FeatureType::Uint32 => DataType::Uint32,
        FeatureType::Uint64 => DataType::Uint64,
        FeatureType::Int8 => DataType::Int8,
        FeatureType::Int16 => DataType::Int16,
        FeatureType::Int32 => DataType::Int32,
        FeatureType::Int64 => DataType::Int64,
        FeatureType::Float16 => DataType::Fp16,
        FeatureType::Bfloat16 => DataType::Bf16,
        FeatureType::Float32 => DataType::Fp32,
        FeatureType::Float64 => DataType::Fp64,
        FeatureType::String => DataType::Bytes,
    }
}

struct ValueVisitor<'a> {
    kind: DataType,
    report: &'a mut DecodeReport,
}

impl<'de> Visitor<'de> for ValueVisitor<'_> {
    type Value = Option<Value>;

    wrong_types!(|_| "a value"; bool number string array object);

    fn visit_unit<E: Error>(self) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Value>, D::Error> {
        macro_rules! read {
            ($element:ty => $wrap:expr) => {
                element::<$element, D>(deserializer, self.report).map($wrap)
            };
        }
        let value = match self.kind {
            DataType::Bool => read!(bool => Value::Bool),
            DataType::Uint8 => read!(u8 => |value| Value::Unsigned(value.into())),
            DataType::Uint16 => read!(u16 => |value| Value::Unsigned(value.into())),
            DataType::Uint32 => read!(u32 => |value| Value::Unsigned(value.into())),
            DataType::Uint64 => read!(u64 => Value::Unsigned),
            DataType::Int8 => read!(i8 => |value| Value::Signed(value.into())),
            DataType::Int16 => read!(i16 => |value| Value::Signed(value.into())),
            DataType::Int32 => read!(i32 => |value| Value::Signed(value.into())),
            DataType::Int64 => read!(i64 => Value::Signed),
            DataType::Fp16 => read!(half::f16 => |value| Value::Float(value.into())),
            DataType::Bf16 => read!(half::bf16 => |value| Value::Float(value.into())),
            DataType::Fp32 => read!(f32 => |value| Value::Float(value.into())),
            DataType::Fp64 => read!(f64 => Value::Float),
            DataType::Bytes => read!(String => Value::Text),
        };
        value.map(Some)
    }
}

struct CategoryVisitor<'a> {
    categories: &'a Categories,
    target: DataType,
    report: &'a mut DecodeReport,
}

impl<'de> Visitor<'de> for CategoryVisitor<'_> {
    type Value = Option<Value>;

    wrong_types!(|_| "a string out of the categories"; bool number array object);

    fn visit_unit<E: Error>(self) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Value>, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<Value>, E> {
        let found = self.categories.find(text, self.target, self.report);
        found.map(Some).map_err(Refused::into_error)
    }
}
