//! Vectors as OpenAI's clients read them: numbers, or the bytes of singles in base64.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::request::Encoding;
use crate::http::answer;
use crate::service::{Model, ServiceError};
use crate::task::{Predictions, Vectors};

#[derive(Serialize)]
struct Answer<'a> {
    object: &'static str,
    data: Entries<'a>,
    model: &'a str,
    usage: Usage,
}

/// Tokens of all texts, special ones included.
#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

struct Entries<'a> {
    vectors: Vectors<'a>,
    encoding: Encoding,
}

#[derive(Serialize)]
struct Entry<T> {
    object: &'static str,
    index: usize,
    embedding: T,
}

impl<T> Entry<T> {
    const fn new(index: usize, embedding: T) -> Self {
        Self { object: "embedding", index, embedding }
    }
}

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(None)?;
        for (index, vector) in self.vectors.each().enumerate() {
            match self.encoding {
                Encoding::Float => sequence.serialize_element(&Entry::new(index, vector))?,
                Encoding::Base64 => sequence.serialize_element(&Entry::new(index, packed(vector)))?,
            }
        }
        sequence.end()
    }
}

/// The components as little-endian singles, in base64.
fn packed(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|component| component.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// Writes the answer.
///
/// # Errors
/// `internal` for a bug.
pub(super) fn write(
    model: &Model,
    predictions: &Predictions<'_>,
    encoding: Encoding,
) -> Result<Response, ServiceError> {
    let vectors =
        predictions.vectors().ok_or_else(|| ServiceError::internal("an embedding without vectors"))?;
    let tokens = vectors.tokens();
    answer::json_of(&Answer {
        object: "list",
        data: Entries { vectors, encoding },
        model: model.name(),
        usage: Usage { prompt_tokens: tokens, total_tokens: tokens },
    })
}
