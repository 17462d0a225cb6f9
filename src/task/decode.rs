//! From the bytes of a body, in whatever form, to a task's instances.

use serde::Deserializer;

use super::body::{Layout, decode_body, decode_one};
use super::builder::Builder;
use super::forms::{Dialect, decode_form};
use super::names::Names;
use super::problem::InputErrorCode::InvalidInput;
use super::report::Step;
use super::request::Payload;
use super::text::{TextBuilder, decode_input};
use super::{DecodeLimits, DecodeReport, Decoded, HeaderRow, InputError, Rows, Task};

/// What a caller chooses of its embeddings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmbeddingChoice {
    /// Cut texts that are too long.
    pub truncate: Option<bool>,
    /// Length of the vectors.
    pub dimensions: Option<usize>,
}

impl Task {
    /// Decodes a `/predict` body in any form of the contract.
    ///
    /// # Errors
    /// The deserializer's. When `report` has a failure, that one counts and the error is empty;
    /// else the deserializer itself refused, at the report's pointer.
    pub fn decode<'de, D: Deserializer<'de>>(
        &self,
        body: D,
        limits: &DecodeLimits,
        report: &mut DecodeReport,
    ) -> Result<Decoded, D::Error> {
        self.decode_by(Form::Body, body, limits, report)
    }

    /// Decodes exactly one instance, as it would stand in `instances`.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_instance<'de, D: Deserializer<'de>>(
        &self,
        instance: D,
        limits: &DecodeLimits,
        report: &mut DecodeReport,
    ) -> Result<Decoded, D::Error> {
        self.decode_by(Form::Instance, instance, limits, report)
    }

    /// Decodes JSON that is nothing but one row of singles with its features in order, as most callers
    /// of a table send it, several times faster than [`Self::decode`], which has to read all else.
    pub fn decode_plain(&self, json: &[u8]) -> Option<Decoded> {
        let Self::Tabular(tabular) = self else { return None };
        Some(Decoded::bare(Payload::Tensors(vec![tabular.decode_plain(json)?])))
    }

    /// The rows of one instance, as it would stand in `instances`.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn rows_of<'de, D: Deserializer<'de>>(
        &self,
        instance: D,
        limits: &DecodeLimits,
    ) -> Result<Rows, String> {
        let mut report = DecodeReport::default();
        let decoded = self.decode_instance(instance, limits, &mut report);
        let decoded = decoded.map_err(|error| match report.failure() {
            Some(failure) => failure.to_string(),
            None => error.to_string(),
        })?;
        self.encode(decoded).map_err(|failure| failure.to_string())
    }

    /// Decodes a table; only tabular tasks take one.
    ///
    /// # Errors
    /// What is wrong with the table, and where.
    pub fn decode_csv(
        &self,
        body: &[u8],
        header: HeaderRow,
        limits: &DecodeLimits,
    ) -> Result<Decoded, InputError> {
        match self {
            Self::Tabular(tabular) => {
                let (builder, rows) = tabular.decode_csv(body, header, limits)?;
                let (tensors, filled) = builder.into_parts();
                Ok(Decoded::list(Payload::Tensors(tensors), rows).filled(filled))
            }
            _ => Err(InputError::whole("this model takes no tables; send JSON")),
        }
    }

    /// Takes a picture that is a whole body; only image tasks take one.
    ///
    /// # Errors
    /// What is wrong with the picture.
    pub fn decode_image(&self, body: &[u8], limits: &DecodeLimits) -> Result<Decoded, InputError> {
        match self {
            Self::Image(task) => task.decode(body, limits),
            _ => Err(InputError::whole("this model takes no images; send JSON")),
        }
    }

    /// Decodes the texts that the member `word` of a body holds, as OpenAI's clients send them; only
    /// embedding tasks take them. `dimensions` is the length that the vectors are to be cut to.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_input<'de, D: Deserializer<'de>>(
        &self,
        (word, input): (&'static str, D),
        choice: EmbeddingChoice,
        limits: &DecodeLimits,
        report: &mut DecodeReport,
    ) -> Result<Decoded, D::Error> {
        report.limits = *limits;
        let Self::Embedding(task) = self else {
            let detail = "this model gives no embeddings; GET /predict lists the models with their tasks";
            report.enter(Step::Word("model"));
            report.close(&Names::none());
            return Err(report.refuse_as(InvalidInput, detail));
        };
        if let Some(detail) = choice.dimensions.and_then(|length| task.refuses_length(length)) {
            report.enter(Step::Word("dimensions"));
            report.close(&Names::none());
            return Err(report.refuse_as(InvalidInput, detail));
        }
        let mut builder = task.builder();
        let layout = decode_input(word, input, &mut builder, report);
        let layout = layout.inspect_err(|_| report.close(builder.names()))?;
        let mut decoded = Decoded::new(Payload::Texts(builder.into_texts()), &layout).within(limits);
        decoded.reply.truncate = choice.truncate;
        decoded.reply.dimensions = choice.dimensions;
        Ok(decoded)
    }

    /// Decodes a body in the words of another server's protocol. When that fails and `report` has another
    /// pass to make ([`DecodeReport::again`]), the same body is decoded again with that.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_form<'de, D: Deserializer<'de>>(
        &self,
        dialect: Dialect,
        body: D,
        limits: &DecodeLimits,
        report: &mut DecodeReport,
    ) -> Result<Decoded, D::Error> {
        self.decode_by(Form::Foreign(dialect), body, limits, report)
    }

    fn decode_by<'de, D: Deserializer<'de>>(
        &self,
        form: Form,
        source: D,
        limits: &DecodeLimits,
        report: &mut DecodeReport,
    ) -> Result<Decoded, D::Error> {
        report.limits = *limits;
        match self {
            Self::Tensors(tensors) => {
                report.arrays_are_shapes = true;
                let mut builder = tensors.builder();
                let layout = walk(form, source, &mut builder, report)?;
                Ok(Decoded::new(Payload::Tensors(builder.into_tensors(layout.count)), &layout))
            }
            Self::Tabular(tabular) => {
                let mut builder = tabular.builder();
                let layout = walk(form, source, &mut builder, report)?;
                let (tensors, filled) = builder.into_parts();
                Ok(Decoded::new(Payload::Tensors(tensors), &layout).filled(filled))
            }
            Self::TextClassification(task) => decode_texts(form, source, task.builder(), report),
            Self::Embedding(task) => decode_texts(form, source, task.builder(), report),
            Self::Image(task) => {
                let mut builder = task.builder();
                let layout = walk(form, source, &mut builder, report)?;
                Ok(Decoded::new(Payload::Pictures(builder.into_pictures()), &layout))
            }
        }
    }
}

fn decode_texts<'de, D: Deserializer<'de>>(
    form: Form,
    source: D,
    mut builder: TextBuilder<'_>,
    report: &mut DecodeReport,
) -> Result<Decoded, D::Error> {
    let layout = walk(form, source, &mut builder, report)?;
    let limits = report.limits;
    Ok(Decoded::new(Payload::Texts(builder.into_texts()), &layout).within(&limits))
}

/// What a deserializer holds.
#[derive(Clone, Copy)]
enum Form {
    Body,
    Instance,
    Foreign(Dialect),
}

fn walk<'de, B: Builder, D: Deserializer<'de>>(
    form: Form,
    source: D,
    builder: &mut B,
    report: &mut DecodeReport,
) -> Result<Layout, D::Error> {
    let result = match form {
        Form::Body => decode_body(source, builder, report),
        Form::Instance => decode_one(source, builder, report),
        Form::Foreign(dialect) => decode_form(dialect, source, builder, report),
    };
    if result.is_err() {
        report.close(builder.names());
    }
    result
}
