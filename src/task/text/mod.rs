//! Texts as the inputs of a graph: what the text tasks share.
//!
//! Decoding keeps the texts; `encode` tokenises them, which is the heavy part and may run on a
//! pool. Rows are padded on the right to the longest one of the request.

mod input;
mod tokens;

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserializer;
use serde::de::SeqAccess;

use super::builder::Builder;
use super::element::{element, optional_element};
use super::names::{Names, Seen};
use super::parameters::Accepted;
use super::problem::InputErrorCode::{InvalidInput, TooLarge};
use super::report::DecodeReport;
use super::tabular::Filled;
use super::{Decoded, InputError, Payload, Reply, Rows, TaskError, TaskSpec};
use crate::tensor::with_width;
pub(super) use input::decode_input;
use tokens::Encoder;

/// Bytes of a text for each of its tokens, about.
const BYTES_A_TOKEN: usize = 4;
const MEMBERS: [&str; 2] = ["text", "text_pair"];

/// One instance: a text, or two that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the members have these names in a body too")]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) pair: Option<String>,
    /// The ids of its tokens, where these came in its place.
    pub(super) ids: Vec<u32>,
}

impl Text {
    pub(super) fn of(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }

    /// Bytes of what is to be tokenised; a token that is there already counts as one.
    pub(super) fn length(&self) -> usize {
        self.text.len() + self.pair.as_ref().map_or(0, String::len) + self.ids.len()
    }
}

/// How a model takes texts.
#[derive(Debug)]
pub(super) struct TextInput {
    names: Names,
    encoder: Encoder,
    truncate: bool,
    preparation: Preparation,
}

/// What happens to a text before it is tokenised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Preparation {
    prompt: Option<String>,
    trimmed: bool,
    lowercase: bool,
}

/// Whether white space around a text counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surroundings {
    /// It does, as for transformers.
    Kept,
    /// It does not, as for sentence-transformers.
    Trimmed,
}

impl TextInput {
    pub(super) fn build(spec: &TaskSpec<'_>, surroundings: Surroundings) -> Result<Self, TaskError> {
        let names = Names::new(MEMBERS.iter().map(|&name| Arc::from(name)).collect());
        Ok(Self {
            names: names.unwrap_or_else(|_| Names::none()),
            encoder: Encoder::load(spec)?,
            truncate: spec.manifest.truncate,
            preparation: Preparation {
                prompt: spec.manifest.prompt.clone(),
                trimmed: surroundings == Surroundings::Trimmed,
                lowercase: spec.manifest.lowercase == Some(true),
            },
        })
    }

    /// What was recognised and assumed, for people.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        let length = match self.encoder.max_length() {
            Some(_) => None,
            None => Some("assumed: texts of any length; max_length bounds them".to_owned()),
        };
        length.into_iter()
    }

    pub(super) fn max_length(&self) -> Option<usize> {
        self.encoder.max_length()
    }

    pub(super) fn truncates(&self) -> bool {
        self.truncate
    }

    pub(super) fn builder(&self, accepted: Accepted) -> TextBuilder<'_> {
        TextBuilder { names: &self.names, accepted, texts: Vec::new(), current: 0 }
    }

    /// About how many tokens the longest of `texts` has, when tokenising them is sure to succeed; none
    /// where one may be too long, which only its tokens tell.
    pub(super) fn foreseen_tokens(&self, texts: &[Text], truncate: Option<bool>) -> Option<usize> {
        let around = self.preparation.prompt.as_ref().map_or(0, String::len);
        let is_ascii =
            |text: &Text| text.text.is_ascii() && text.pair.as_ref().is_none_or(|pair| pair.is_ascii());
        let bytes = |text: &Text| around + text.length();
        let longest = texts.iter().map(bytes).max()?;
        let truncates = truncate.unwrap_or(self.truncate);
        let fits = |text: &Text| truncates || (is_ascii(text) && self.encoder.surely_takes(bytes(text)));
        texts.iter().all(fits).then_some(longest / BYTES_A_TOKEN + 2)
    }

    /// Tokenises `texts` into padded rows.
    pub(super) fn encode(
        &self,
        texts: &[Text],
        mut reply: Reply,
        (input_length, max_bytes): (u64, u64),
    ) -> Result<Rows, InputError> {
        let truncate = reply.truncate.unwrap_or(self.truncate);
        let mut encoded = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let pointer = || reply.place.instance(index, MEMBERS[0]);
            encoded.push(if text.ids.is_empty() {
                self.encoder.encode(&self.preparation.applied(text), truncate, &pointer)?
            } else {
                self.encoder.take(&text.ids, truncate, &pointer)?
            });
        }
        let lengths: Vec<u32> = encoded.iter().map(tokens::Row::length).collect();
        let truncated = encoded.iter().filter(|row| row.truncated).count();
        if self.encoder.tensor_bytes(&encoded) > max_bytes {
            let detail = "padded to the longest, these texts take more memory than a body may: send fewer at once, \
                          or texts of like length together";
            return Err(InputError::new(TooLarge, String::new(), detail));
        }
        let inputs = self.encoder.tensors(&encoded);
        reply.row_tokens = Some(lengths.clone());
        Ok(Rows {
            inputs,
            rows: texts.len(),
            reply,
            input_length,
            tokens: Some(lengths.iter().map(|&length| u64::from(length)).sum()),
            row_tokens: (!self.encoder.has_fixed_width()).then_some(lengths),
            truncated,
            filled: Filled::default(),
        })
    }

    /// Whether a row is as wide as its text, and not of one width.
    pub(super) fn has_free_length(&self) -> bool {
        !self.encoder.has_fixed_width()
    }

    /// A row of as many tokens as a text may have, at most `most`.
    pub(super) fn longest_row(&self, most: usize) -> Option<Rows> {
        let tokens = self.encoder.max_length().map_or(most, |length| length.min(most));
        let text = Text::of(&"a ".repeat(tokens));
        let reply = Reply { truncate: Some(true), ..Decoded::list(Payload::Texts(Vec::new()), 1).reply };
        let mut row = self.encode(&[text], reply, (0, u64::MAX)).ok()?;
        // Marks around the text come on top where nothing bounds its length.
        row.inputs = row.inputs.iter().map(|input| with_width(input, tokens).ok()).collect::<Option<_>>()?;
        row.row_tokens = Some(vec![u32::try_from(tokens).ok()?]);
        Some(row)
    }

    /// One short text, and two different ones.
    pub(super) fn example_rows(&self) -> Vec<Rows> {
        let text = Text::of;
        let examples = [
            vec![text("A short example.")],
            vec![text("A short example."), text("Another text, a little longer.")],
        ];
        let encode = |texts: &Vec<Text>| {
            let decoded = Decoded::list(Payload::Texts(texts.clone()), texts.len());
            // Even a tiny `max_length` must not stop the warm-up.
            let reply = Reply { truncate: Some(true), ..decoded.reply };
            self.encode(texts, reply, (0, u64::MAX)).ok()
        };
        examples.iter().filter_map(encode).collect()
    }
}

impl Preparation {
    fn applied<'t>(&self, text: &'t Text) -> Cow<'t, Text> {
        if *self == Self::default() {
            return Cow::Borrowed(text);
        }
        let prompt = self.prompt.as_deref().unwrap_or_default();
        let pair = text.pair.as_deref().map(|pair| self.cleaned(pair));
        Cow::Owned(Text { text: self.cleaned(&format!("{prompt}{}", text.text)), pair, ids: Vec::new() })
    }

    fn cleaned(&self, text: &str) -> String {
        let text = if self.trimmed { text.trim() } else { text };
        if self.lowercase { text.to_lowercase() } else { text.to_owned() }
    }
}

/// Collects texts.
pub(super) struct TextBuilder<'t> {
    names: &'t Names,
    accepted: Accepted,
    texts: Vec<Text>,
    /// The text that members belong to.
    current: usize,
}

impl TextBuilder<'_> {
    pub(super) fn into_texts(self) -> Vec<Text> {
        self.texts
    }
}

impl Builder for TextBuilder<'_> {
    const EXPECTED: &'static str = "a string or an object with \"text\"";

    fn names(&self) -> &Names {
        self.names
    }

    fn accepted(&self) -> Accepted {
        self.accepted
    }

    fn parameters_beside(&self) -> bool {
        true
    }

    fn begin(&mut self) {
        self.current = self.texts.len();
        self.texts.push(Text::default());
    }

    fn seek(&mut self, row: usize) {
        if row >= self.texts.len() {
            self.begin();
        }
        self.current = row;
    }

    fn member<'de, D: Deserializer<'de>>(
        &mut self,
        index: usize,
        value: D,
        report: &mut DecodeReport,
    ) -> Result<bool, D::Error> {
        let Some(text) = self.texts.get_mut(self.current) else { return Ok(false) };
        if index == 0 {
            text.text = element(value, report)?;
            return Ok(true);
        }
        text.pair = optional_element(value, report)?;
        Ok(text.pair.is_some())
    }

    fn finish(&mut self, seen: &Seen) -> Option<usize> {
        (!seen.contains(0)).then_some(0)
    }

    fn array<'de, A: SeqAccess<'de>>(&mut self, _: A, report: &mut DecodeReport) -> Result<(), A::Error> {
        let hint =
            "expected an object with \"text\", got an array; send {\"instances\": [...]} for several texts";
        Err(report.refuse_as(InvalidInput, hint))
    }

    fn text(&mut self, text: &str) -> bool {
        self.texts.push(Text::of(text));
        true
    }
}
