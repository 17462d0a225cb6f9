//! JSON and CSV bytes to a task's instances: the deserializer is ours, what it feeds is the task's.

use serde_json::error::Category;

use super::media::{self, BodyFormat};
use crate::model::TaskKind;
use crate::service::{ErrorCode, ServiceError};
use crate::task::{DecodeLimits, DecodeReport, Decoded, Dialect, HeaderRow, Task};

/// Reads a prediction's body.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn prediction(
    bytes: &[u8],
    format: BodyFormat,
    task: &Task,
    limits: &DecodeLimits,
) -> Result<Decoded, ServiceError> {
    match format {
        BodyFormat::Json => decode_prediction(bytes, task, limits),
        BodyFormat::Csv => Ok(task.decode_csv(bytes, HeaderRow::Present, limits)?),
        BodyFormat::Image => Ok(task.decode_image(bytes, limits)?),
        BodyFormat::DeclaredForm => {
            if may_be_json(bytes) {
                decode_prediction(bytes, task, limits)
            } else {
                Err(media::unsupported(Some(task.kind())))
            }
        }
    }
}

/// Refuses what was not declared as JSON and can't be.
///
/// # Errors
/// `unsupported_media_type`.
pub(super) fn check_declared(bytes: &[u8], format: BodyFormat) -> Result<(), ServiceError> {
    if format == BodyFormat::DeclaredForm && !may_be_json(bytes) {
        return Err(media::unsupported(Some(TaskKind::Tensors)));
    }
    Ok(())
}

/// True of an empty body and of one that opens an object or an array.
pub fn may_be_json(bytes: &[u8]) -> bool {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    first.is_none_or(|byte| b"{[".contains(byte))
}

/// Reads a body in the words of another server's protocol.
///
/// # Errors
/// What is wrong with it, and where.
pub fn decode_form(
    bytes: &[u8],
    dialect: Dialect,
    task: &Task,
    limits: &DecodeLimits,
) -> Result<Decoded, ServiceError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ServiceError::new(ErrorCode::InvalidJson, "expected a JSON object, got an empty body"));
    }
    let mut report = DecodeReport::new();
    loop {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        match task.decode_form(dialect, &mut deserializer, limits, &mut report) {
            Ok(decoded) => {
                deserializer.end().map_err(|error| not_json(&error))?;
                return Ok(decoded);
            }
            Err(error) => match report.again() {
                Some(next) => report = next,
                None => return Err(refusal(&error, report)),
            },
        }
    }
}

/// Reads a prediction's body from JSON.
///
/// # Errors
/// What is wrong with it, and where.
pub fn decode_prediction(bytes: &[u8], task: &Task, limits: &DecodeLimits) -> Result<Decoded, ServiceError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ServiceError::new(
            ErrorCode::InvalidJson,
            "expected a JSON object or array, got an empty body",
        ));
    }
    if let Some(decoded) = task.decode_plain(bytes) {
        return Ok(decoded);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let mut report = DecodeReport::new();
    let decoded = match task.decode(&mut deserializer, limits, &mut report) {
        Ok(decoded) => decoded,
        Err(error) => return Err(refusal(&error, report)),
    };
    deserializer.end().map_err(|error| not_json(&error))?;
    Ok(decoded)
}

/// The task's own words where it refused; else what the deserializer stumbled over.
pub(super) fn refusal(error: &serde_json::Error, report: DecodeReport) -> ServiceError {
    let pointer = report.pointer().to_owned();
    if let Some(failure) = report.failure() {
        return failure.into();
    }
    // The deserializer has no code for it: a number that overflows the type asked for.
    if error.to_string().starts_with("number out of range") {
        let detail = "expected a number that fits the input's type, got one that rounds to infinity";
        let error = ServiceError::new(ErrorCode::NumberOutOfRange, detail);
        // A body that is nothing but such a number has no field at fault.
        return if pointer.is_empty() { error } else { error.at(pointer) };
    }
    not_json(error)
}

pub(super) fn not_json(error: &serde_json::Error) -> ServiceError {
    let (line, column) = (error.line(), error.column());
    let detail = match error.classify() {
        Category::Eof => format!("the body ends inside a JSON value, at line {line} column {column}"),
        Category::Io | Category::Syntax | Category::Data => {
            format!("the body is not valid JSON at line {line} column {column}")
        }
    };
    ServiceError::new(ErrorCode::InvalidJson, detail)
}
