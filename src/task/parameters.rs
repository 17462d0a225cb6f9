//! `parameters`: what a request may choose.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};

use super::element::element;
use super::problem::InputErrorCode::{InvalidInput, UnknownInput};
use super::report::{DecodeReport, Step, wrong_types};

/// Which parameters a task takes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Accepted {
    pub(super) truncate: bool,
    pub(super) top_k: bool,
}

/// What a request chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) truncate: Option<bool>,
    pub(super) top_k: Option<usize>,
}

pub(super) struct ParametersSeed<'a> {
    pub(super) accepted: Accepted,
    pub(super) report: &'a mut DecodeReport,
}

impl<'de> DeserializeSeed<'de> for ParametersSeed<'_> {
    type Value = Parameters;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Parameters, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ParametersSeed<'_> {
    type Value = Parameters;

    wrong_types!(|_| "an object of parameters"; bool number string array null);

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters, A::Error> {
        let Self { accepted, report } = self;
        let mut chosen = Parameters::default();
        report.enter(Step::Unknown);
        while let Some(name) = map.next_key_seed(NameSeed { report })? {
            report.step(name.step());
            let twice = match name {
                Name::Truncate => chosen.truncate.is_some(),
                Name::TopK => chosen.top_k.is_some(),
                Name::Unknown => false,
            };
            if twice {
                return Err(
                    report.refuse_as(InvalidInput, "expected each parameter once, got this one twice")
                );
            }
            match name {
                Name::Truncate if accepted.truncate => {
                    chosen.truncate = Some(map.next_value_seed(Value::<bool>::new(report))?);
                }
                Name::TopK if accepted.top_k => {
                    let most = map.next_value_seed(Value::<u64>::new(report))?;
                    if most == 0 {
                        return Err(
                            report.refuse_as(InvalidInput, "expected an integer of at least 1, got zero")
                        );
                    }
                    chosen.top_k = Some(usize::try_from(most).unwrap_or(usize::MAX));
                }
                _ => return Err(report.refuse_as(UnknownInput, accepted.described())),
            }
        }
        report.leave();
        Ok(chosen)
    }
}

impl Accepted {
    fn described(self) -> &'static str {
        match (self.truncate, self.top_k) {
            (true, true) => "unknown parameter; this model takes \"truncate\" and \"top_k\"",
            (true, false) => "unknown parameter; this model takes \"truncate\" only",
            (false, true) => "unknown parameter; this model takes \"top_k\" only",
            (false, false) => "unknown parameter; this model takes none",
        }
    }
}

#[derive(Clone, Copy)]
enum Name {
    Truncate,
    TopK,
    Unknown,
}

impl Name {
    fn step(self) -> Step {
        match self {
            Self::Truncate => Step::Word("truncate"),
            Self::TopK => Step::Word("top_k"),
            Self::Unknown => Step::Unknown,
        }
    }
}

struct NameSeed<'a> {
    report: &'a mut DecodeReport,
}

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Name, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report.expecting(f, "a parameter's name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Name, E> {
        Ok(match key {
            "truncate" => Name::Truncate,
            "top_k" => Name::TopK,
            other => {
                self.report.set_unknown(other);
                Name::Unknown
            }
        })
    }
}

struct Value<'a, T> {
    report: &'a mut DecodeReport,
    kind: std::marker::PhantomData<T>,
}

impl<'a, T> Value<'a, T> {
    fn new(report: &'a mut DecodeReport) -> Self {
        Self { report, kind: std::marker::PhantomData }
    }
}

impl<'de, T: super::element::Element> DeserializeSeed<'de> for Value<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<T, D::Error> {
        element(value, self.report)
    }
}
