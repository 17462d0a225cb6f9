//! The forms of a `/predict` body: one bare instance, or a list with `parameters` beside it.
//!
//! What an instance is, only the task's [`Builder`] knows; this file walks the forms once for all
//! tasks and streams every instance into the builder as it comes.

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::key::{Key, KeySeed, unknown_member};
use super::names::{Names, Seen};
use super::parameters::{Accepted, Parameters, ParametersSeed};
use super::problem::InputErrorCode::{BatchTooLarge, InvalidInput, MissingInput, UnknownInput};
use super::report::{DecodeReport, Step, wrong_types};

/// Collects instances of one task.
pub(super) trait Builder {
    /// What an instance may look like, for error texts.
    const EXPECTED: &'static str;

    /// The members of an instance.
    fn names(&self) -> &Names;

    /// The parameters that the task takes.
    fn accepted(&self) -> Accepted;

    /// True when `parameters` may stand beside the members of a bare object.
    fn parameters_beside(&self) -> bool {
        false
    }

    /// Instances that one request may hold at most, when the model itself says so.
    fn most_instances(&self) -> Option<usize> {
        None
    }

    /// Bytes that every instance is decoded into, whatever it says: defaults are not on the wire.
    fn instance_bytes(&self) -> u64 {
        0
    }

    /// Starts an instance that is an object.
    fn begin(&mut self);

    /// Takes one member's value.
    fn member<'de, D: Deserializer<'de>>(
        &mut self,
        index: usize,
        value: D,
        report: &mut DecodeReport,
    ) -> Result<bool, D::Error>;

    /// Ends an instance that was an object. Gives the first member that is missing, if one is.
    fn finish(&mut self, seen: &Seen) -> Option<usize>;

    /// Takes an instance that is an array.
    fn array<'de, A: SeqAccess<'de>>(
        &mut self,
        elements: A,
        report: &mut DecodeReport,
    ) -> Result<(), A::Error>;

    /// Takes an instance that is a string; false when the task has no use for one.
    fn text(&mut self, text: &str) -> bool;
}

/// How a body was laid out.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) list: bool,
    pub(super) count: usize,
    pub(super) parameters: Parameters,
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

fn next_key<'de, B: Builder, A: MapAccess<'de>>(
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
            return finish_body(beside, map, builder, report).map(|(list, count)| Layout {
                list,
                count,
                ..layout
            });
        }
        if first.is_none() {
            report.leave();
            let detail = format!("expected {}, got an empty object", B::EXPECTED);
            return Err(report.refuse_as(InvalidInput, detail));
        }
        let beside = Beside { first, parameters: &mut layout.parameters, given: false };
        let (list, count) = finish_body(beside, map, builder, report)?;
        Ok(Layout { list, count, ..layout })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Layout, A::Error> {
        self.builder.array(elements, self.report)?;
        Ok(Layout { count: 1, ..Layout::default() })
    }
}

/// What is known of a body's object when its form shows.
struct Beside<'a> {
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

fn twice<E: Error>(report: &mut DecodeReport) -> E {
    report.refuse_as(InvalidInput, "expected each member once, got this one twice")
}

/// Reads the members of one instance. `beside` is given for a body that is the instance itself.
///
/// The caller has entered a step for the members, which this function moves.
fn object<'de, B: Builder, A: MapAccess<'de>>(
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

struct MemberSeed<'a, B> {
    builder: &'a mut B,
    index: usize,
    report: &'a mut DecodeReport,
}

impl<'de, B: Builder> DeserializeSeed<'de> for MemberSeed<'_, B> {
    /// False when the value is null.
    type Value = bool;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<bool, D::Error> {
        self.builder.member(self.index, value, self.report)
    }
}

struct ListSeed<'a, B> {
    builder: &'a mut B,
    report: &'a mut DecodeReport,
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
        let most = report.limits.max_instances;
        if count >= most {
            report.leave();
            return Err(
                report.refuse_as(BatchTooLarge, format!("expected at most {most} instances, got more"))
            );
        }
        if (count as u64 + 1).saturating_mul(builder.instance_bytes()) > report.limits.max_bytes {
            return Err(report.too_large().into_error());
        }
        if let Some(most) = builder.most_instances().filter(|&most| count >= most) {
            let detail = format!("this model takes no batches: expected {most} instance, got more");
            return Err(report.refuse_as(BatchTooLarge, detail));
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
