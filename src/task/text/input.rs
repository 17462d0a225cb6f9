//! Texts as OpenAI's clients send them: one, a list of them, or the ids of tokens in their place.

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, SeqAccess, Visitor};

use super::{Text, TextBuilder};
use crate::task::body::Layout;
use crate::task::builder::make_room;
use crate::task::element::element;
use crate::task::problem::InputErrorCode::InvalidInput;
use crate::task::report::{DecodeReport, Refused, Step, wrong_types};
use crate::task::request::Place;

const EXPECTED: &str = "a string, an array of strings, an array of token ids, or an array of such arrays";

/// Reads the value of the member `word`.
pub(in crate::task) fn decode_input<'de, D: Deserializer<'de>>(
    word: &'static str,
    value: D,
    builder: &mut TextBuilder<'_>,
    report: &mut DecodeReport,
) -> Result<Layout, D::Error> {
    report.enter(Step::Word(word));
    let place = value.deserialize_any(InputVisitor { word, builder, report })?;
    report.leave();
    Ok(Layout { place, list: true, count: builder.texts.len(), ..Layout::default() })
}

struct InputVisitor<'a, 't> {
    word: &'static str,
    builder: &'a mut TextBuilder<'t>,
    report: &'a mut DecodeReport,
}

impl<'de> Visitor<'de> for InputVisitor<'_, '_> {
    type Value = Place;

    wrong_types!(|_| EXPECTED; bool number null object);

    fn visit_str<E: Error>(self, text: &str) -> Result<Place, E> {
        self.builder.texts.push(Text::of(text));
        Ok(Place::Only(self.word))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Place, A::Error> {
        let Self { word, builder, report } = self;
        let mut ids: Vec<u32> = Vec::new();
        let mut count = 0;
        report.enter(Step::Index(0));
        while let Some(one) = elements.next_element_seed(ElementSeed { count, builder, report })? {
            let is_token = matches!(one, One::Token(_));
            if count > 0 && is_token == ids.is_empty() {
                let detail = "expected strings, token ids or arrays of token ids, got them mixed";
                return Err(report.refuse_as(InvalidInput, detail));
            }
            match one {
                One::Token(id) => ids.push(id),
                One::Text(text) => builder.texts.push(text),
            }
            count += 1;
            report.step(Step::Index(count));
        }
        report.leave();
        if count == 0 {
            return Err(report.refuse_as(InvalidInput, format!("expected {EXPECTED}, got an empty array")));
        }
        if ids.is_empty() {
            return Ok(Place::Element(word));
        }
        builder.texts.push(Text { ids, ..Text::default() });
        Ok(Place::Only(word))
    }
}

/// An element of the array.
enum One {
    /// One of the tokens of which the array is the text.
    Token(u32),
    Text(Text),
}

struct ElementSeed<'a, 't> {
    count: usize,
    builder: &'a TextBuilder<'t>,
    report: &'a mut DecodeReport,
}

impl<'de> DeserializeSeed<'de> for ElementSeed<'_, '_> {
    type Value = One;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<One, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ElementSeed<'_, '_> {
    type Value = One;

    wrong_types!(|_| "a string, a token id or an array of token ids"; bool null object);

    fn visit_u64<E: Error>(self, id: u64) -> Result<One, E> {
        u32::try_from(id).map(One::Token).map_err(|_| {
            self.report.refuse_as(InvalidInput, "expected the id of a token, got a number beyond all of them")
        })
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<One, E> {
        self.visit_u64(u64::MAX)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<One, E> {
        Err(self.report.refuse_as(InvalidInput, "expected the id of a token, got a number with a fraction"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<One, E> {
        make_room(self.builder, self.count, self.report).map_err(Refused::into_error::<E>)?;
        Ok(One::Text(Text::of(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<One, A::Error> {
        make_room(self.builder, self.count, self.report).map_err(Refused::into_error::<A::Error>)?;
        let report = self.report;
        let mut ids = Vec::new();
        report.enter(Step::Index(0));
        while let Some(id) = elements.next_element_seed(IdSeed { report })? {
            ids.push(id);
            report.step(Step::Index(ids.len()));
        }
        report.leave();
        if ids.is_empty() {
            return Err(report.refuse_as(InvalidInput, "expected at least one token id, got an empty array"));
        }
        Ok(One::Text(Text { ids, ..Text::default() }))
    }
}

struct IdSeed<'a> {
    report: &'a mut DecodeReport,
}

impl<'de> DeserializeSeed<'de> for IdSeed<'_> {
    type Value = u32;

    fn deserialize<D: Deserializer<'de>>(self, id: D) -> Result<u32, D::Error> {
        element(id, self.report)
    }
}
