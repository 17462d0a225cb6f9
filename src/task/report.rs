//! Where the decoder stands, and what it refused.
//!
//! The path is a stack of small copyable steps, so that following it costs a store per value; names
//! are looked up only when something failed. A visitor that refuses records why here and returns
//! an empty error of the deserializer's; the caller of `decode` reads the report first.

use std::cell::Cell;
use std::fmt::{self, Write};

use serde::de;

use super::DecodeLimits;
use super::forms::{Dialect, Ways};
use super::names::Names;
use super::problem::{InputError, InputErrorCode, presentable, shortened};

/// Most characters of a pointer.
const POINTER_CHARS: usize = 512;

/// One step of the path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// An element of an array.
    Index(usize),
    /// A member that the task knows, by position.
    Member(usize),
    /// A member that the body's form knows.
    Word(&'static str),
    /// The member that nobody knows, as the caller called it.
    Unknown,
}

/// Something was refused, and the report says why.
#[derive(Debug)]
pub(super) struct Refused;

impl Refused {
    /// The deserializer's error that carries a refusal out.
    #[expect(clippy::unused_self, reason = "only who holds a refusal may make an empty error")]
    pub(super) fn into_error<E: de::Error>(self) -> E {
        E::custom("")
    }
}

/// What happened while a body was decoded.
#[derive(Debug, Default)]
pub struct DecodeReport {
    path: Vec<Step>,
    unknown: String,
    failure: Option<(InputErrorCode, String)>,
    pointer: Option<String>,
    /// Set when a deserializer asked a visitor for words about a wrong type.
    mistyped: Cell<bool>,
    /// True when what was refused is an array or an object.
    container_came: bool,
    /// An array in the place of a number is a wrong shape: true for tensors.
    pub(super) arrays_are_shapes: bool,
    /// The instance is the whole body.
    pub(super) bare: bool,
    /// The body is in the words of another server's protocol.
    pub(super) foreign: Option<Dialect>,
    /// What an earlier pass over the body has learnt.
    pub(super) ways: Ways,
    pub(super) limits: DecodeLimits,
}

impl DecodeReport {
    /// An empty report, for one body.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The mistake that this room found, if it found one; else the deserializer's own error stands.
    pub fn failure(self) -> Option<InputError> {
        let (code, detail) = self.failure?;
        Some(InputError::new(code, self.pointer.unwrap_or_default(), detail))
    }

    /// Where the decoder stood when it failed, as a JSON pointer; empty for the whole body.
    pub fn pointer(&self) -> &str {
        self.pointer.as_deref().unwrap_or_default()
    }

    /// The report of another pass over the same body, which knows what this one has learnt; none where
    /// the failure stands.
    #[must_use]
    pub fn again(&mut self) -> Option<Self> {
        let ways = std::mem::take(&mut self.ways);
        ways.learnt.then(|| Self { ways: Ways { learnt: false, ..ways }, ..Self::default() })
    }

    /// Notes that the body is to be read again.
    pub(super) fn read_again(&mut self) {
        self.ways.learnt = true;
    }

    pub(super) fn enter(&mut self, step: Step) {
        self.path.push(step);
    }

    /// Moves to a sibling: replaces the last step.
    #[inline]
    pub(super) fn step(&mut self, step: Step) {
        if let Some(last) = self.path.last_mut() {
            *last = step;
        }
    }

    pub(super) fn leave(&mut self) {
        self.path.pop();
    }

    pub(super) fn depth(&self) -> usize {
        self.path.len()
    }

    pub(super) fn container_came(&self) -> bool {
        self.container_came
    }

    /// Keeps the name of a member that nobody knows, cut to what an answer may show.
    pub(super) fn set_unknown(&mut self, name: &str) {
        self.unknown = presentable(name);
    }

    pub(super) fn unknown(&self) -> &str {
        &self.unknown
    }

    /// Records a refusal; the first one stands.
    pub(super) fn refuse(&mut self, code: InputErrorCode, detail: impl Into<String>) -> Refused {
        if self.failure.is_none() {
            self.failure = Some((code, detail.into()));
        }
        Refused
    }

    /// Replaces what was recorded by something that knows more.
    pub(super) fn refuse_instead(&mut self, code: InputErrorCode, detail: impl Into<String>) {
        self.failure = Some((code, detail.into()));
    }

    pub(super) fn refuse_as<E: de::Error>(&mut self, code: InputErrorCode, detail: impl Into<String>) -> E {
        self.refuse(code, detail).into_error()
    }

    /// Records that the decoded tensors would pass their limit.
    pub(super) fn too_large(&mut self) -> Refused {
        let error = InputError::too_large(self.limits.max_bytes);
        self.refuse(error.code, error.detail)
    }

    /// Records that something of another type came.
    pub(super) fn wrong_type<E: de::Error>(&mut self, expected: &str, came: &str) -> E {
        self.container_came = came == "an array" || came == "an object";
        let code = if self.arrays_are_shapes && came == "an array" {
            InputErrorCode::ShapeMismatch
        } else {
            InputErrorCode::InvalidInput
        };
        self.refuse_as(code, format!("expected {expected}, got {came}"))
    }

    /// For `Visitor::expecting`: a deserializer that refuses by itself asks for these words.
    pub(super) fn expecting(&self, f: &mut fmt::Formatter<'_>, expected: &str) -> fmt::Result {
        self.mistyped.set(true);
        f.write_str(expected)
    }

    /// Turns a deserializer's own "invalid type" into our words. Typed requests (`deserialize_f32`)
    /// are refused before a visitor is called; serde's fixed wording says what came.
    pub(super) fn own_words<E: de::Error>(&mut self, error: E, expected: &str) -> E {
        if self.failure.is_some() || !self.mistyped.get() {
            return error;
        }
        let text = error.to_string();
        let rest = text.split_once("invalid type: ").map_or("", |(_, rest)| rest);
        let came = [
            ("null", "null"),
            ("unit", "null"),
            ("boolean", "a boolean"),
            ("string", "a string"),
            ("sequence", "an array"),
            ("map", "an object"),
        ]
        .iter()
        .find(|(word, _)| rest.starts_with(word))
        .map_or("something else", |(_, came)| came);
        self.wrong_type(expected, came)
    }

    /// Fixes the pointer, now that the names are at hand.
    pub(super) fn close(&mut self, names: &Names) {
        let mut pointer = String::new();
        for step in &self.path {
            pointer.push('/');
            match step {
                Step::Index(index) => write!(pointer, "{index}").expect("writing to a string"),
                Step::Member(member) => push_escaped(&mut pointer, &names.list()[*member]),
                Step::Word(word) => pointer.push_str(word),
                Step::Unknown => push_escaped(&mut pointer, &self.unknown),
            }
        }
        self.pointer = Some(shortened(pointer, POINTER_CHARS));
        if self.failure.is_none() && self.mistyped.get() {
            self.failure = Some((InputErrorCode::InvalidInput, "expected another type here".into()));
        }
    }
}

/// Appends a reference token as RFC 6901 escapes it.
pub(super) fn push_escaped(pointer: &mut String, token: &str) {
    for c in token.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

/// Refuses the kinds of values that a visitor has no use for, in our own words. `expecting` is
/// needed too, for deserializers that refuse by themselves.
macro_rules! wrong_types {
    ($expected:expr; $($kind:ident)*) => {
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let expected: fn(&Self) -> &str = $expected;
            self.report.expecting(f, expected(self))
        }
        $($crate::task::report::wrong_types!(@$kind $expected);)*
    };
    (@bool $expected:expr) => {
        fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<Self::Value, E> {
            let expected: fn(&Self) -> &str = $expected;
            let expected = expected(&self).to_owned();
            Err(self.report.wrong_type(&expected, "a boolean"))
        }
    };
    (@number $expected:expr) => {
        fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Self::Value, E> {
            let expected: fn(&Self) -> &str = $expected;
            let expected = expected(&self).to_owned();
            Err(self.report.wrong_type(&expected, "a number"))
        }
        fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Self::Value, E> {
            self.visit_u64(0)
        }
        fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Self::Value, E> {
            self.visit_u64(0)
        }
    };
    (@string $expected:expr) => {
        fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Self::Value, E> {
            let expected: fn(&Self) -> &str = $expected;
            let expected = expected(&self).to_owned();
            Err(self.report.wrong_type(&expected, "a string"))
        }
    };
    (@null $expected:expr) => {
        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            let expected: fn(&Self) -> &str = $expected;
            let expected = expected(&self).to_owned();
            Err(self.report.wrong_type(&expected, "null"))
        }
        fn visit_none<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            self.visit_unit()
        }
    };
    (@array $expected:expr) => {
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            let expected: fn(&Self) -> &str = $expected;
            let expected = expected(&self).to_owned();
            Err(self.report.wrong_type(&expected, "an array"))
        }
    };
    (@object $expected:expr) => {
        fn visit_map<A: serde::de::MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            let expected: fn(&Self) -> &str = $expected;
            let expected = expected(&self).to_owned();
            Err(self.report.wrong_type(&expected, "an object"))
        }
    };
}

pub(super) use wrong_types;
