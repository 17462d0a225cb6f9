//! The `image-classification` task: a PNG or JPEG in, label and scores out.
//!
//! Decoding a body keeps the picture as it came and reads only its size, so that one which is too
//! large is refused before it is unpacked; `encode` makes pixels and then a row of them.

mod input;
mod resample;
mod resize;
mod source;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Deserializer;
use serde::de::SeqAccess;

use super::builder::Builder;
use super::element::element;
use super::names::{Names, Seen};
use super::outcome::Outcome;
use super::parameters::Accepted;
use super::problem::InputErrorCode::InvalidInput;
use super::report::{DecodeReport, Refused};
use super::{DecodeLimits, Decoded, InputError, Payload, Reply, Rows, TaskError, TaskSpec};
use crate::model::Activation;
use input::PixelInput;

pub(super) use source::Picture;

/// A PNG of 8 x 8 pixels in base64, that any model takes once it is resized.
pub(super) const EXAMPLE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAIAQAAAADsdIMmAAAAFUlEQVR42mOwYXBiWMrQCMQzgSwbABsQ\
    A2HCc3KMAAAAAElFTkSuQmCC";

/// Image in, label and scores out.
#[derive(Debug)]
pub struct ImageClassification {
    names: Names,
    input: PixelInput,
    outcome: Outcome,
}

impl ImageClassification {
    pub(super) fn build(spec: &TaskSpec<'_>) -> Result<Self, TaskError> {
        match (PixelInput::build(spec), Outcome::classification(spec, Activation::Softmax)) {
            (Ok(input), Ok(outcome)) => {
                let names = Names::new(vec![Arc::from("b64")]).unwrap_or_else(|_| Names::none());
                Ok(Self { names, input, outcome })
            }
            (input, outcome) => Err(TaskError::all(input.err().into_iter().chain(outcome.err()))),
        }
    }

    pub(super) fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// What becomes of a picture, for people.
    pub(super) fn notes(&self) -> Vec<String> {
        let told = format!("recognised: {}", self.input.told());
        std::iter::once(told).chain(self.outcome.told()).collect()
    }

    /// Height, width and channels that the graph takes.
    pub(super) fn size(&self) -> [usize; 3] {
        self.input.size()
    }

    pub(super) fn builder(&self) -> PictureBuilder<'_> {
        PictureBuilder { task: self, pictures: Vec::new() }
    }

    /// A picture that is a whole body.
    pub(super) fn decode(&self, body: &[u8], limits: &DecodeLimits) -> Result<Decoded, InputError> {
        if self.input.row_bytes() > limits.max_bytes {
            return Err(InputError::too_large(limits.max_bytes));
        }
        let picture = Picture::probe(body.to_vec(), limits.max_pixels)?;
        Ok(Decoded::bare(Payload::Pictures(vec![picture])))
    }

    /// Decodes, resizes and scales `pictures` into rows.
    pub(super) fn encode(
        &self,
        pictures: &[Picture],
        reply: Reply,
        input_length: u64,
    ) -> Result<Rows, InputError> {
        let mut rows = self.input.rows(pictures.len());
        for (index, picture) in pictures.iter().enumerate() {
            let at = |error: InputError| {
                let pointer = if reply.is_list() { reply.place.member(index, "b64") } else { String::new() };
                InputError::new(error.code, pointer, error.detail)
            };
            let pixels = picture.pixels(self.input.color()).map_err(at)?;
            rows.push(pixels).map_err(at)?;
        }
        Ok(Rows::without_tokens((vec![rows.into_tensor()], pictures.len()), reply, input_length))
    }

    /// One picture, and two different ones.
    pub(super) fn example_rows(&self) -> Vec<Rows> {
        let one = self.input.example(0);
        let two = self.input.example(1);
        [vec![one.clone()], vec![one, two]].into_iter().map(|rows| self.example(&rows)).collect()
    }

    fn example(&self, examples: &[resize::Pixels]) -> Rows {
        let mut rows = self.input.rows(examples.len());
        for pixels in examples {
            rows.push_sized(pixels);
        }
        let reply = Decoded::list(Payload::Pictures(Vec::new()), examples.len()).reply;
        Rows::without_tokens((vec![rows.into_tensor()], examples.len()), reply, 0)
    }
}

/// Collects pictures.
pub(super) struct PictureBuilder<'t> {
    task: &'t ImageClassification,
    pictures: Vec<Picture>,
}

impl PictureBuilder<'_> {
    pub(super) fn into_pictures(self) -> Vec<Picture> {
        self.pictures
    }
}

impl Builder for PictureBuilder<'_> {
    const EXPECTED: &'static str = "an object with \"b64\", a PNG or JPEG image in base64";

    fn names(&self) -> &Names {
        &self.task.names
    }

    fn accepted(&self) -> Accepted {
        Accepted { truncate: false, top_k: true }
    }

    fn parameters_beside(&self) -> bool {
        true
    }

    fn instance_bytes(&self) -> u64 {
        self.task.input.row_bytes()
    }

    fn begin(&mut self) {}

    // A picture is its only member.
    fn seek(&mut self, _row: usize) {}

    fn member<'de, D: Deserializer<'de>>(
        &mut self,
        _index: usize,
        value: D,
        report: &mut DecodeReport,
    ) -> Result<bool, D::Error> {
        let text: String = element(value, report)?;
        let picture = Picture::from_base64(&text, report.limits.max_pixels).map_err(|error| {
            let refused: Refused = report.refuse(error.code, error.detail);
            refused.into_error::<D::Error>()
        })?;
        self.pictures.push(picture);
        Ok(true)
    }

    fn finish(&mut self, seen: &Seen) -> Option<usize> {
        (!seen.contains(0)).then_some(0)
    }

    fn array<'de, A: SeqAccess<'de>>(&mut self, _: A, report: &mut DecodeReport) -> Result<(), A::Error> {
        let hint = "expected an object with \"b64\", got an array; send {\"instances\": [...]} for several images, \
                    or the image itself as image/png or image/jpeg";
        Err(report.refuse_as(InvalidInput, hint))
    }

    fn text(&mut self, _text: &str) -> bool {
        false
    }
}
