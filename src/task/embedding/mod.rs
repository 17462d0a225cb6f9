//! The `text-embedding` task: text in, one vector out.
//!
//! Decoding keeps the texts; `encode` tokenises them, which is the heavy part and may run on a
//! pool. Rows are padded on the right to the longest one of the request.

mod pool;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::Arc;

use serde::Deserializer;
use serde::de::SeqAccess;

use super::answer::Content;
use super::body::Builder;
use super::element::element;
use super::names::{Names, Seen};
use super::parameters::Accepted;
use super::problem::InputErrorCode::{InvalidInput, TooLarge};
use super::report::DecodeReport;
use super::{Decoded, InputError, OutputError, Payload, Reply, Rows, TaskError, TaskSpec};
use crate::tensor::Tensor;
use pool::Pool;
use tokens::Encoder;

const MEMBERS: [&str; 2] = ["text", "text_pair"];

/// Text in, one vector out.
#[derive(Debug)]
pub struct Embedding {
    names: Names,
    encoder: Encoder,
    pool: Pool,
    truncate: bool,
}

/// One instance: a text, or two that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) pair: Option<String>,
}

impl Embedding {
    pub(super) fn build(spec: &TaskSpec<'_>) -> Result<Self, TaskError> {
        let (encoder, pool) = (Encoder::load(spec), Pool::build(spec));
        match (encoder, pool) {
            (Ok(encoder), Ok(pool)) => Ok(Self {
                names: Names::new(MEMBERS.iter().map(|&name| Arc::from(name)).collect())
                    .unwrap_or_else(|_| Names::none()),
                encoder,
                pool,
                truncate: spec.manifest.truncate,
            }),
            (encoder, pool) => {
                let errors = encoder.err().into_iter().chain(pool.err());
                Err(TaskError { problems: errors.flat_map(|error| error.problems).collect() })
            }
        }
    }

    pub(super) fn max_length(&self) -> Option<usize> {
        self.encoder.max_length()
    }

    pub(super) fn truncates(&self) -> bool {
        self.truncate
    }

    pub(super) fn width(&self) -> Option<usize> {
        self.pool.width()
    }

    pub(super) fn builder(&self) -> TextBuilder<'_> {
        TextBuilder { names: &self.names, texts: Vec::new() }
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
            let pointer = || if reply.is_list() { format!("/instances/{index}") } else { String::new() };
            encoded.push(self.encoder.encode(text, truncate, &pointer)?);
        }
        let lengths: Vec<u32> = encoded.iter().map(tokens::Row::length).collect();
        let truncated = encoded.iter().any(|row| row.truncated);
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
            row_tokens: Some(lengths),
            truncated,
        })
    }

    /// The vectors of `outputs`.
    pub(super) fn content<'a>(
        &self,
        outputs: &'a [Tensor],
        reply: &Reply,
    ) -> Result<Content<'a>, OutputError> {
        let tokens = reply.row_tokens.clone().unwrap_or_default();
        if tokens.len() != reply.count {
            return Err(OutputError::Shape("token counts are missing".into()));
        }
        let (vectors, width) = self.pool.vectors(outputs, &tokens)?;
        Ok(Content::Embeddings { vectors, width, tokens })
    }

    /// One short text, and two different ones.
    pub(super) fn example_rows(&self) -> Vec<Rows> {
        let text = |text: &str| Text { text: text.to_owned(), pair: None };
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

/// Collects texts.
pub(super) struct TextBuilder<'t> {
    names: &'t Names,
    texts: Vec<Text>,
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
        Accepted { truncate: true, top_k: false }
    }

    fn parameters_beside(&self) -> bool {
        true
    }

    fn begin(&mut self) {
        self.texts.push(Text::default());
    }

    fn member<'de, D: Deserializer<'de>>(
        &mut self,
        index: usize,
        value: D,
        report: &mut DecodeReport,
    ) -> Result<bool, D::Error> {
        let Some(text) = self.texts.last_mut() else { return Ok(false) };
        if index == 0 {
            text.text = element(value, report)?;
            return Ok(true);
        }
        text.pair = super::element::optional_element(value, report)?;
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
        self.texts.push(Text { text: text.to_owned(), pair: None });
        true
    }
}
