//! The forms of a `/predict` body: one bare instance, or a list with `parameters` beside it.
//!
//! What an instance is, only the task's [`Builder`] knows; this file walks the forms once for all
//! tasks and streams every instance into the builder as it comes.

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::builder::{Builder, make_room};
use super::key::{Key, KeySeed, unknown_member};
use super::names::{Names, Seen};
use super::parameters::{Parameters, ParametersSeed};
use super::problem::InputErrorCode::{InvalidInput, MissingInput, UnknownInput};
use super::report::{DecodeReport, Refused, Step, wrong_types};
use super::request::Place;

/// How a body was laid out.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) place: Place,
    /// The answer is a list.
    pub(super) list: bool,
    /// The instances came as `inputs`: whole tensors or columns.
    pub(super) columnar: bool,
    pub(super) count: usize,
    pub(super) parameters: Parameters,
}

impl Layout {
    /// The instances of `/predict`: a list of them, or one that is the whole body.
    fn answered_as(self, list: bool) -> Self {
        let place = if list { Place::LIST } else { Place::Whole };
        Self { place, list, ..self }
    }
}

/// Decodes a body in any of its forms.
pub(super) fn decode_body<'de, B: Builder, D: Deserializer<'de>>(
    body: D,
    builder: &mut B,
    report: &mut DecodeReport,
) -> Result<Layout, D::Error> {
    report.bare = true;
    body.deserialize_any(BodyVisitor { builder, report })
}

/// Decodes exactly one instance, as it would stand in `instances`.
pub(super) fn decode_one<'de, B: Builder, D: Deserializer<'de>>(
    instance: D,
    builder: &mut B,
    report: &mut DecodeReport,
) -> Result<Layout, D::Error> {
    let mut seen = Seen::default();
    instance.deserialize_any(InstanceVisitor { builder, report, seen: &mut seen })?;
    Ok(Layout { count: 1, ..Layout::default() })
}

pub(super) fn next_key<'de, B: Builder, A: MapAccess<'de>>(
    map: &mut A,
    builder: &B,
    expected: usize,
    report: &mut DecodeReport,
) -> Result<Option<Key>, A::Error> {
    let body = report.bare;
    map.next_key_seed(KeySeed { names: builder.names(), expected, body, report })
}

struct BodyVisitor<'a, B> {
    builder: &'a mut B,
    report: &'a mut DecodeReport,
}

impl<'de, B: Builder> Visitor<'de> for BodyVisitor<'_, B> {
    type Value = Layout;

    wrong_types!(|_| "an object or an array"; bool number string null);

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Layout, A::Error> {
        let Self { builder, report } = self;
        let mut layout = Layout::default();
        report.enter(Step::Unknown);
        let mut first = next_key(&mut map, builder, 0, report)?;
        if let Some(Key::Parameters) = first {
            report.step(Step::Word("parameters"));
            layout.parameters =
                map.next_value_seed(ParametersSeed { accepted: builder.accepted(), report })?;
            first = next_key(&mut map, builder, 0, report)?;
            let list = matches!(first, Some(Key::Instances));
            if !list && !builder.parameters_beside() {
                report.step(Step::Word("parameters"));
                return Err(report.refuse_as(UnknownInput, "\"parameters\" stands beside \"instances\" only"));
            }
            let beside = Beside { first, parameters: &mut layout.parameters, given: true };
            let (list, count) = finish_body(beside, map, builder, report)?;
            return Ok(Layout { count, ..layout }.answered_as(list));
        }
        if first.is_none() {
            report.leave();
            let detail = format!("expected {}, got an empty object", B::EXPECTED);
            return Err(report.refuse_as(InvalidInput, detail));
        }
        let beside = Beside { first, parameters: &mut layout.parameters, given: false };
        let (list, count) = finish_body(beside, map, builder, report)?;
        Ok(Layout { count, ..layout }.answered_as(list))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Layout, A::Error> {
        self.builder.array(elements, self.report)?;
        Ok(Layout { count: 1, ..Layout::default() })
    }
}

/// What is known of a body's object when its form shows.
pub(super) struct Beside<'a> {
    first: Option<Key>,
    parameters: &'a mut Parameters,
    given: bool,
}

/// The rest of a body's object: list or bare, and how many instances.
fn finish_body<'de, B: Builder, A: MapAccess<'de>>(
    mut beside: Beside<'_>,
    mut map: A,
    builder: &mut B,
    report: &mut DecodeReport,
) -> Result<(bool, usize), A::Error> {
    if let Some(Key::Instances) = beside.first {
        report.bare = false;
        report.step(Step::Word("instances"));
        let count = map.next_value_seed(ListSeed { builder, report })?;
        list_tail(&mut beside, &mut map, builder, report)?;
        Ok((true, count))
    } else {
        object(&mut map, builder, &mut Seen::default(), Some(beside), report)?;
        report.leave();
        Ok((false, 1))
    }
}

/// What may come after `instances`: `parameters`, once.
fn list_tail<'de, B: Builder, A: MapAccess<'de>>(
    beside: &mut Beside<'_>,
    map: &mut A,
    builder: &B,
    report: &mut DecodeReport,
) -> Result<(), A::Error> {
    loop {
        // In the list form a feature called `parameters` can't be meant.
        let key = map.next_key_seed(KeySeed { names: &Names::none(), expected: 0, body: true, report })?;
        let Some(key) = key else { break };
        report.step(key.step());
        match key {
            Key::Parameters if !beside.given => {
                beside.given = true;
                *beside.parameters =
                    map.next_value_seed(ParametersSeed { accepted: builder.accepted(), report })?;
            }
            Key::Parameters | Key::Instances => return Err(twice(report)),
            Key::Member(_) | Key::Unknown => {
                let detail =
                    format!("only \"parameters\" may stand beside \"instances\", got {:?}", report.unknown());
                return Err(report.refuse_as(UnknownInput, detail));
            }
        }
    }
    report.leave();
    Ok(())
}

pub(super) fn twice<E: Error>(report: &mut DecodeReport) -> E {
    report.refuse_as(InvalidInput, "expected each member once, got this one twice")
}

/// Reads the members of one instance. `beside` is given for a body that is the instance itself.
///
/// The caller has entered a step for the members, which this function moves.
pub(super) fn object<'de, B: Builder, A: MapAccess<'de>>(
    map: &mut A,
    builder: &mut B,
    seen: &mut Seen,
    mut beside: Option<Beside<'_>>,
    report: &mut DecodeReport,
) -> Result<(), A::Error> {
    seen.clear();
    builder.begin();
    let first = beside.as_mut().and_then(|beside| beside.first.take());
    let mut next = match first {
        None => next_key(map, builder, 0, report)?,
        known => known,
    };
    let mut expected = 0;
    while let Some(key) = next {
        match (key, beside.as_mut()) {
            (Key::Member(index), _) => {
                report.step(Step::Member(index));
                if !seen.insert(index) {
                    return Err(twice(report));
                }
                if !map.next_value_seed(MemberSeed { builder, index, report })? {
                    seen.set_null(index);
                }
                expected = index + 1;
            }
            (Key::Parameters, Some(beside)) if builder.parameters_beside() => {
                report.step(Step::Word("parameters"));
                if std::mem::replace(&mut beside.given, true) {
                    return Err(twice(report));
                }
                *beside.parameters =
                    map.next_value_seed(ParametersSeed { accepted: builder.accepted(), report })?;
            }
            (Key::Instances, _) => {
                report.step(first.unwrap_or(Key::Parameters).step());
                return Err(
                    report.refuse_as(UnknownInput, "only \"parameters\" may stand beside \"instances\"")
                );
            }
            (Key::Parameters, _) => {
                report.step(Step::Word("parameters"));
                return Err(report.refuse_as(UnknownInput, "\"parameters\" stands beside \"instances\" only"));
            }
            (Key::Unknown, _) => {
                report.step(Step::Unknown);
                return Err(unknown_member(builder.names(), "input", report).into_error());
            }
        }
        next = next_key(map, builder, expected, report)?;
    }
    if let Some(index) = builder.finish(seen) {
        report.step(Step::Member(index));
        return Err(report.refuse_as(MissingInput, "expected a value here, got none (absent or null)"));
    }
    Ok(())
}

/// A member's value.
pub(super) struct MemberSeed<'a, B> {
    pub(super) builder: &'a mut B,
    pub(super) index: usize,
    pub(super) report: &'a mut DecodeReport,
}

impl<'de, B: Builder> DeserializeSeed<'de> for MemberSeed<'_, B> {
    /// False when the value is null.
    type Value = bool;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<bool, D::Error> {
        self.builder.member(self.index, value, self.report)
    }
}

/// A list of instances; gives how many there are.
pub(super) struct ListSeed<'a, B> {
    pub(super) builder: &'a mut B,
    pub(super) report: &'a mut DecodeReport,
}

impl<'de, B: Builder> DeserializeSeed<'de> for ListSeed<'_, B> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, list: D) -> Result<usize, D::Error> {
        list.deserialize_any(self)
    }
}

impl<'de, B: Builder> Visitor<'de> for ListSeed<'_, B> {
    type Value = usize;

    wrong_types!(|_| "an array of instances"; bool number string null object);

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<usize, A::Error> {
        let Self { builder, report } = self;
        let mut seen = Seen::default();
        let mut count = 0;
        report.enter(Step::Index(0));
        while let Some(()) =
            elements.next_element_seed(InstanceSeed { builder, report, seen: &mut seen, count })?
        {
            count += 1;
            report.step(Step::Index(count));
        }
        report.leave();
        if count == 0 {
            return Err(report.refuse_as(InvalidInput, "expected at least one instance, got an empty array"));
        }
        Ok(count)
    }
}

struct InstanceSeed<'a, B> {
    builder: &'a mut B,
    report: &'a mut DecodeReport,
    seen: &'a mut Seen,
    count: usize,
}

impl<'de, B: Builder> DeserializeSeed<'de> for InstanceSeed<'_, B> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, instance: D) -> Result<(), D::Error> {
        let Self { builder, report, seen, count } = self;
        make_room(builder, count, report).map_err(Refused::into_error::<D::Error>)?;
        if report.foreign.is_some() && !report.ways.whole_instances && builder.takes_values() {
            let taken = builder.member(0, instance, report);
            if taken.is_err() && count == 0 && report.container_came() {
                report.ways.whole_instances = true;
                report.read_again();
            }
            return taken.map(drop);
        }
        instance.deserialize_any(InstanceVisitor { builder, report, seen })
    }
}

struct InstanceVisitor<'a, B> {
    builder: &'a mut B,
    report: &'a mut DecodeReport,
    seen: &'a mut Seen,
}

impl<'de, B: Builder> Visitor<'de> for InstanceVisitor<'_, B> {
    type Value = ();

    wrong_types!(|_| B::EXPECTED; bool number null);

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.report.enter(Step::Unknown);
        object(&mut map, self.builder, self.seen, None, self.report)?;
        self.report.leave();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<(), A::Error> {
        self.builder.array(elements, self.report)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if self.builder.text(text) { Ok(()) } else { Err(self.report.wrong_type(B::EXPECTED, "a string")) }
    }
}
