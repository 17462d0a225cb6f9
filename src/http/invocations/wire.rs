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
            AnswerForm::Lines => lines(predictions).map_err(|error| internal(&error.to_string()))?,
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
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let text = value.to_ascii_lowercase();
    let mut parameters = text.split(';').skip(1).map(str::trim);
    match parameters.find_map(|parameter| parameter.strip_prefix("header=")) {
        None => Ok(HeaderRow::Either),
        Some("present") => Ok(HeaderRow::Present),
        Some("absent") => Ok(HeaderRow::Absent),
        Some(_) => Err(ServiceError::new(
            ErrorCode::UnsupportedMediaType,
            "send text/csv with header=present or header=absent, or without the parameter",
        )),
    }
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
    predictions.write_csv(&mut table).map_err(|error| internal(&error.to_string()))?;
    Ok(table.into_bytes())
}

fn internal(cause: &str) -> ServiceError {
    ServiceError::new(ErrorCode::Internal, "an internal error").because(cause)
}
