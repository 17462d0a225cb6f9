//! The bodies of `/invocations`: JSON in MLflow's forms, tables with and without a header row, pictures.

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde::Serialize;

use super::accept::{AnswerForm, answer_form};
use crate::http::media::{self, BodyFormat};
use crate::http::predict::Wire;
use crate::http::{answer, decode};
use crate::model::TaskKind;
use crate::service::{ErrorCode, Model, ServiceError};
use crate::task::{DecodeLimits, Decoded, Dialect, HeaderRow, Naming, Predictions, Task};

pub(super) struct Invocation;

/// What the headers say.
#[derive(Clone, Copy)]
pub(super) struct Format {
    body: BodyFormat,
    header: HeaderRow,
    answer: AnswerForm,
}

impl Wire for Invocation {
    type Format = Format;

    fn format(headers: &HeaderMap, task: Option<TaskKind>) -> Result<Format, ServiceError> {
        let body = media::body_format(headers, task)?;
        check_form(headers)?;
        Ok(Format { body, header: header_row(headers)?, answer: answer_form(headers) })
    }

    fn read(
        body: &[u8],
        format: Format,
        task: &Task,
        limits: &DecodeLimits,
    ) -> Result<Decoded, ServiceError> {
        match format.body {
            BodyFormat::Csv => Ok(task.decode_csv(body, format.header, limits)?),
            BodyFormat::Image => Ok(task.decode_image(body, limits)?),
            BodyFormat::Json | BodyFormat::DeclaredForm => {
                decode::check_declared(body, format.body)?;
                decode::decode_form(body, Dialect::Mlflow, task, limits)
            }
        }
    }

    fn write(format: Format, _: &Model, predictions: &Predictions<'_>) -> Result<Response, ServiceError> {
        let body = match format.answer {
            AnswerForm::Json => return json(predictions),
            AnswerForm::Lines => lines(predictions).map_err(ServiceError::internal)?,
            AnswerForm::Csv => table(predictions)?,
        };
        let mut response = Response::new(Body::from(body));
        let media_type = HeaderValue::from_static(format.answer.media_type());
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        Ok(response)
    }
}

/// What a table's first row is, by the parameter of `text/csv` (RFC 4180); without it both are taken, as
/// MLflow's clients send a header row and SageMaker's none.
///
/// # Errors
/// `unsupported_media_type` for another word.
fn header_row(headers: &HeaderMap) -> Result<HeaderRow, ServiceError> {
    match parameter(headers, "header=").as_deref() {
        None => Ok(HeaderRow::Either),
        Some("present") => Ok(HeaderRow::Present),
        Some("absent") => Ok(HeaderRow::Absent),
        Some(_) => Err(ServiceError::new(
            ErrorCode::UnsupportedMediaType,
            "send text/csv with header=present or header=absent, or without the parameter",
        )),
    }
}

/// Refuses the forms before MLflow 2.0, whose bodies have no member that names the form.
///
/// # Errors
/// `unsupported_media_type`.
fn check_form(headers: &HeaderMap) -> Result<(), ServiceError> {
    if parameter(headers, "format=").is_some() {
        return Err(ServiceError::new(
            ErrorCode::UnsupportedMediaType,
            "send application/json without a format, and the table as dataframe_split or dataframe_records",
        ));
    }
    Ok(())
}

/// A parameter of the content type, in small letters; `key` ends in `=`.
fn parameter(headers: &HeaderMap, key: &str) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
    text.split(';').skip(1).find_map(|part| part.trim().strip_prefix(key).map(str::to_owned))
}

#[derive(Serialize)]
struct Answer<P> {
    predictions: P,
}

/// A list, or an object of whole tensors as MLflow answers tensors.
fn json(predictions: &Predictions<'_>) -> Result<Response, ServiceError> {
    if predictions.is_tensors() && predictions.is_columnar() {
        answer::json_of(&Answer { predictions: predictions.columns(Naming::Full) })
    } else {
        answer::json_of(&Answer { predictions })
    }
}

fn lines(predictions: &Predictions<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let mut body = Vec::with_capacity(256);
    for prediction in predictions.each() {
        serde_json::to_writer(&mut body, &prediction)?;
        body.push(b'\n');
    }
    Ok(body)
}

fn table(predictions: &Predictions<'_>) -> Result<Vec<u8>, ServiceError> {
    let mut table = String::with_capacity(256);
    predictions.write_csv(&mut table).map_err(ServiceError::internal)?;
    Ok(table.into_bytes())
}
