//! The keys of a body and of its instances.
//!
//! A feature called `parameters` is that feature in a bare object; `instances` always is the list.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, Visitor};

use super::names::Names;
use super::problem::InputErrorCode::UnknownInput;
use super::report::{DecodeReport, Refused, Step};

/// A key of an object.
#[derive(Clone, Copy)]
pub(super) enum Key {
    Instances,
    Parameters,
    Member(usize),
    Unknown,
}

impl Key {
    pub(super) fn step(self) -> Step {
        match self {
            Self::Instances => Step::Word("instances"),
            Self::Parameters => Step::Word("parameters"),
            Self::Member(index) => Step::Member(index),
            Self::Unknown => Step::Unknown,
        }
    }
}

pub(super) struct KeySeed<'a> {
    pub(super) names: &'a Names,
    /// The member that comes next when they come in order.
    pub(super) expected: usize,
    /// The keys are those of the body itself, where the forms' own words count.
    pub(super) body: bool,
    pub(super) report: &'a mut DecodeReport,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Key, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report.expecting(f, "a member's name")
    }

    #[inline]
    fn visit_str<E: Error>(self, key: &str) -> Result<Key, E> {
        if self.body && key == "instances" {
            return Ok(Key::Instances);
        }
        if let Some(index) = self.names.find(key, self.expected) {
            return Ok(Key::Member(index));
        }
        if self.body && key == "parameters" {
            return Ok(Key::Parameters);
        }
        self.report.set_unknown(key);
        Ok(Key::Unknown)
    }
}

/// A member that nobody knows, with the name that was probably meant.
pub(super) fn unknown_member(names: &Names, what: &str, report: &mut DecodeReport) -> Refused {
    let hint = names.nearest(report.unknown()).map_or_else(
        || format!("expected one of {}", names.listed()),
        |near| format!("did you mean {near:?}?"),
    );
    let detail = format!("unknown {what} {:?}; {hint}", report.unknown());
    report.refuse(UnknownInput, detail)
}
