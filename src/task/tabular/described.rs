//! Features as people are shown them: defaults and examples as a caller would write them.

use super::features::Value;
use crate::tensor::DataType;

/// A feature as shown to people.
pub(in crate::task) struct Described<'a> {
    pub(in crate::task) name: &'a str,
    pub(in crate::task) kind: DataType,
    pub(super) default: Option<&'a Value>,
    pub(in crate::task) categories: Option<&'a Vec<String>>,
    pub(super) target: DataType,
}

impl<'a> Described<'a> {
    /// The default as callers would write it.
    pub(in crate::task) fn default_shown(&self) -> Option<Shown<'a>> {
        let value = self.default?;
        if let (Value::Unsigned(position), Some(list)) = (value, self.categories) {
            return usize::try_from(*position)
                .ok()
                .and_then(|position| list.get(position))
                .map(|s| Shown::Text(s));
        }
        Some(match value {
            Value::Unsigned(value) => Shown::Unsigned(*value),
            Value::Signed(value) => Shown::Signed(*value),
            // A single shows its own shortest decimal, not that of the double which carries it.
            #[expect(clippy::cast_possible_truncation, reason = "it was read as this type")]
            Value::Float(value) if self.kind != DataType::Fp64 => Shown::Single(*value as f32),
            Value::Float(value) => Shown::Double(*value),
            Value::Bool(value) => Shown::Bool(*value),
            Value::Text(value) => Shown::Text(value),
            Value::Missing => Shown::Text("nan"),
        })
    }

    /// A value that the feature takes.
    pub(in crate::task) fn example(&self) -> Shown<'a> {
        if let Some(default) = self.default_shown().filter(|_| self.default != Some(&Value::Missing)) {
            return default;
        }
        match (self.categories, self.kind) {
            (Some(list), _) => Shown::Text(list.first().map_or("", String::as_str)),
            (None, DataType::Bytes) => Shown::Text("text"),
            (None, DataType::Bool) => Shown::Bool(true),
            (None, kind) if kind.is_float() => Shown::Single(1.0),
            (None, _) => Shown::Unsigned(1),
        }
    }

    /// The type of the input behind it.
    pub(in crate::task) fn target(&self) -> DataType {
        self.target
    }
}

/// A value in an example.
#[derive(serde::Serialize)]
#[serde(untagged)]
pub(in crate::task) enum Shown<'a> {
    Unsigned(u64),
    Signed(i64),
    Single(f32),
    Double(f64),
    Bool(bool),
    Text(&'a str),
}
