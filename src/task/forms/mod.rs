//! Bodies of other servers' protocols: an object whose members hold the instances in one of several forms
//! (rows, columns, a table that is split into names and cells), and parameters beside them.
//!
//! Where the first pass over a body learns what it needed to know before (a table's columns that stand
//! behind its cells, values that are wrapped into arrays of one), it notes that in the report's [`Ways`],
//! and the caller reads the body again with them ([`DecodeReport::again`]). Invariant: each pass learns
//! something that it did not know, so there are at most as many as there are ways.

mod columns;
mod split;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::body::{Layout, ListSeed, twice};
use super::builder::Builder;
use super::element::element;
use super::key::unknown_member;
use super::names::Names;
use super::parameters::{Parameters, ParametersSeed};
use super::problem::InputErrorCode::{InvalidInput, MissingInput};
use super::report::{DecodeReport, Refused, Step, wrong_types};
use super::request::Place;

pub(super) use columns::read_columns;

/// Whose words stand in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// KServe v1, TensorFlow Serving and Vertex AI: `instances` or `inputs`.
    KServe,
    /// MLflow's scoring protocol (2.0): `dataframe_split`, `dataframe_records`, `instances` or `inputs`.
    Mlflow,
}

/// What a pass over a body learnt for the next one.
#[derive(Clone, Debug, Default)]
pub(super) struct Ways {
    /// This pass learnt something that the next one needs.
    pub(super) learnt: bool,
    /// Instances are objects or arrays where they could be plain values.
    pub(super) whole_instances: bool,
    /// Each value of a column is an array of one.
    pub(super) nested: bool,
    /// The members that the columns of a split table stand for.
    pub(super) columns: Option<Vec<usize>>,
}

/// What a member of the body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Rows,
    Inputs,
    Split,
    Parameters,
    Signature,
}

type Word = (&'static str, Part);

const KSERVE: [Word; 4] = [
    ("instances", Part::Rows),
    ("inputs", Part::Inputs),
    ("parameters", Part::Parameters),
    ("signature_name", Part::Signature),
];
const MLFLOW: [Word; 6] = [
    ("dataframe_split", Part::Split),
    ("dataframe_records", Part::Rows),
    ("instances", Part::Rows),
    ("inputs", Part::Inputs),
    ("params", Part::Parameters),
    ("parameters", Part::Parameters),
];

impl Dialect {
    const fn words(self) -> &'static [Word] {
        match self {
            Self::KServe => &KSERVE,
            Self::Mlflow => &MLFLOW,
        }
    }

    /// What a body must hold, for error texts.
    const fn expected(self) -> &'static str {
        match self {
            Self::KServe => "an object with \"instances\" or \"inputs\"",
            Self::Mlflow => {
                "an object with one of \"dataframe_split\", \"dataframe_records\", \"instances\" and \"inputs\""
            }
        }
    }

    fn unknown(self, report: &mut DecodeReport) -> Refused {
        let words = self.words().iter().map(|(word, _)| Arc::from(*word)).collect();
        unknown_member(&Names::new(words).unwrap_or_else(|_| Names::none()), "member", report)
    }
}

/// Decodes a body in the words of `dialect`.
pub(super) fn decode_form<'de, B: Builder, D: Deserializer<'de>>(
    dialect: Dialect,
    body: D,
    builder: &mut B,
    report: &mut DecodeReport,
) -> Result<Layout, D::Error> {
    report.foreign = Some(dialect);
    body.deserialize_any(FormVisitor { dialect, builder, report })
}

struct FormVisitor<'a, B> {
    dialect: Dialect,
    builder: &'a mut B,
    report: &'a mut DecodeReport,
}

impl<'de, B: Builder> Visitor<'de> for FormVisitor<'_, B> {
    type Value = Layout;

    wrong_types!(|it| it.dialect.expected(); bool number string null);

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Layout, A::Error> {
        // It is no tensor of a wrong shape, whatever the model takes.
        let detail = format!("expected {}, got an array", self.dialect.expected());
        Err(self.report.refuse_as(InvalidInput, detail))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Layout, A::Error> {
        let Self { dialect, builder, report } = self;
        let mut layout = Layout { list: true, ..Layout::default() };
        let (mut data, mut seen) = (None, Vec::new());
        report.enter(Step::Unknown);
        while let Some(word) = map.next_key_seed(WordSeed { dialect, report })? {
            let Some((word, part)) = word else {
                return Err(dialect.unknown(report).into_error());
            };
            report.step(Step::Word(word));
            if seen.contains(&word) || (part == Part::Parameters && seen.contains(&"params")) {
                return Err(twice(report));
            }
            seen.push(word);
            match part {
                Part::Parameters => {
                    let accepted = builder.accepted();
                    layout.parameters = map.next_value_seed(Optional(ParametersSeed { accepted, report }))?;
                }
                Part::Signature => map.next_value_seed(NameSeed { report })?,
                Part::Rows | Part::Inputs | Part::Split => {
                    if let Some(first) = data.replace(word) {
                        let detail = format!("expected one of {first:?} and {word:?}, got both");
                        return Err(report.refuse_as(InvalidInput, detail));
                    }
                    let (count, place) = map.next_value_seed(DataSeed { word, part, builder, report })?;
                    (layout.count, layout.place) = (count, place);
                    layout.columnar = part == Part::Inputs;
                }
            }
        }
        report.leave();
        if data.is_some() {
            return Ok(layout);
        }
        let (code, came) =
            if seen.is_empty() { (InvalidInput, "an empty object") } else { (MissingInput, "none of them") };
        Err(report.refuse_as(code, format!("expected {}, got {came}", dialect.expected())))
    }
}

/// A key of the body; none when the dialect has no such word.
struct WordSeed<'a> {
    dialect: Dialect,
    report: &'a mut DecodeReport,
}

impl<'de> DeserializeSeed<'de> for WordSeed<'_> {
    type Value = Option<Word>;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Option<Word>, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for WordSeed<'_> {
    type Value = Option<Word>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report.expecting(f, "a member's name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Option<Word>, E> {
        let found = self.dialect.words().iter().find(|(word, _)| *word == key);
        if found.is_none() {
            self.report.set_unknown(key);
            self.report.step(Step::Unknown);
        }
        Ok(found.copied())
    }
}

/// The name of a signature: a model here has one, whatever a caller calls it.
struct NameSeed<'a> {
    report: &'a mut DecodeReport,
}

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<(), D::Error> {
        element::<String, D>(name, self.report).map(drop)
    }
}

/// Parameters, or null for none.
struct Optional<'a>(ParametersSeed<'a>);

impl<'de> DeserializeSeed<'de> for Optional<'_> {
    type Value = Parameters;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Parameters, D::Error> {
        value.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Optional<'_> {
    type Value = Parameters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.report.expecting(f, "an object of parameters or null")
    }

    fn visit_unit<E: Error>(self) -> Result<Parameters, E> {
        Ok(Parameters::default())
    }

    fn visit_none<E: Error>(self) -> Result<Parameters, E> {
        Ok(Parameters::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Parameters, D::Error> {
        self.0.deserialize(value)
    }
}

/// The instances; gives how many there are, and where.
struct DataSeed<'a, B> {
    word: &'static str,
    part: Part,
    builder: &'a mut B,
    report: &'a mut DecodeReport,
}

impl<'de, B: Builder> DeserializeSeed<'de> for DataSeed<'_, B> {
    type Value = (usize, Place);

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(usize, Place), D::Error> {
        let Self { word, part, builder, report } = self;
        match part {
            Part::Split => Ok((split::read(builder, value, report)?, Place::Table(word))),
            Part::Inputs => value.deserialize_any(InputsVisitor { word, builder, report }),
            _ => Ok((ListSeed { builder, report }.deserialize(value)?, Place::Element(word))),
        }
    }
}

/// `inputs`: columns by name, instances without names, or one text.
struct InputsVisitor<'a, B> {
    word: &'static str,
    builder: &'a mut B,
    report: &'a mut DecodeReport,
}

impl<'de, B: Builder> Visitor<'de> for InputsVisitor<'_, B> {
    type Value = (usize, Place);

    wrong_types!(|_| "an array of instances or an object with a list of values for each input"; bool number null);

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(usize, Place), A::Error> {
        let count = self.builder.columns(map, self.report)?;
        Ok((count, Place::Columns(self.word)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, instances: A) -> Result<(usize, Place), A::Error> {
        let count = self.builder.unnamed(instances, self.report)?;
        Ok((count, Place::Element(self.word)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(usize, Place), E> {
        if self.builder.text(text) {
            return Ok((1, Place::Only(self.word)));
        }
        Err(self.report.wrong_type("an array or an object", "a string"))
    }
}
