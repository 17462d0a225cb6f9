//! What a body's headers say it is, and whether the route takes that.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::exchange::content_encoding;
use crate::model::TaskKind;
use crate::service::{ErrorCode, ServiceError};

/// How a prediction's body is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFormat {
    /// JSON.
    Json,
    /// What `curl -d` declares by itself: JSON when it starts with `{` or `[`.
    DeclaredForm,
    /// CSV with a header row.
    Csv,
    /// A PNG or JPEG image.
    Image,
}

/// The format of a prediction's body for a model of `task`.
///
/// # Errors
/// `unsupported_media_type`; the detail says what to send.
pub(super) fn body_format(headers: &HeaderMap, task: Option<TaskKind>) -> Result<BodyFormat, ServiceError> {
    content_encoding(headers)?;
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(BodyFormat::Json) };
    if value.as_bytes() == b"application/json" {
        return Ok(BodyFormat::Json);
    }
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let also = Also::taken_by(task);
    let format = match essence {
        "" | "application/json" => BodyFormat::Json,
        "application/x-www-form-urlencoded" => BodyFormat::DeclaredForm,
        "text/csv" if matches!(also, Also::Csv | Also::Either) => BodyFormat::Csv,
        "image/png" | "image/jpeg" if matches!(also, Also::Image | Also::Either) => BodyFormat::Image,
        other if other.starts_with("application/") && other.ends_with("+json") => BodyFormat::Json,
        _ => return Err(unsupported(task)),
    };
    let charset = parts.find_map(|part| part.strip_prefix("charset="));
    match charset.map(|name| name.trim_matches('"')) {
        None | Some("utf-8" | "utf8" | "us-ascii") => Ok(format),
        Some(_) => Err(ServiceError::new(
            ErrorCode::UnsupportedMediaType,
            "send the body in UTF-8: other charsets are not taken",
        )),
    }
}

/// The format of a body on routes that take JSON alone.
///
/// # Errors
/// `unsupported_media_type`.
pub(super) fn json_only(headers: &HeaderMap) -> Result<BodyFormat, ServiceError> {
    body_format(headers, Some(TaskKind::Tensors))
}

/// What a model takes beside JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Also {
    Nothing,
    Csv,
    Image,
    /// The model is not known: it may be any.
    Either,
}

impl Also {
    fn taken_by(task: Option<TaskKind>) -> Self {
        match task {
            None => Self::Either,
            Some(TaskKind::TabularClassification | TaskKind::TabularRegression) => Self::Csv,
            Some(TaskKind::ImageClassification) => Self::Image,
            Some(TaskKind::Tensors | TaskKind::TextClassification | TaskKind::TextEmbedding) => Self::Nothing,
        }
    }
}

/// The error for a body that is not what its type may be; says what to send to a model of `task`.
pub(super) fn unsupported(task: Option<TaskKind>) -> ServiceError {
    let also = match Also::taken_by(task) {
        Also::Nothing => "",
        Also::Csv => " or text/csv with a header row",
        Also::Image => ", or the image itself as image/png or image/jpeg",
        Also::Either => ", text/csv with a header row for tables, image/png or image/jpeg for images",
    };
    ServiceError::new(ErrorCode::UnsupportedMediaType, format!("send application/json{also}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(pairs: &[(&'static str, &'static str)], task: TaskKind) -> Result<BodyFormat, ErrorCode> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, http::HeaderValue::from_static(value));
        }
        body_format(&headers, Some(task)).map_err(|error| error.code)
    }

    #[test]
    fn json_in_its_spellings_csv_for_tables_and_nothing_else() {
        let tabular = TaskKind::TabularClassification;
        let json = Ok(BodyFormat::Json);
        assert_eq!(format(&[], tabular), json);
        for spelling in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
            "application/problem+json",
        ] {
            assert_eq!(format(&[("content-type", spelling)], tabular), json, "{spelling}");
        }
        assert_eq!(format(&[("content-type", "text/csv; header=present")], tabular), Ok(BodyFormat::Csv));
        let form = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(format(&form, tabular), Ok(BodyFormat::DeclaredForm));
        let refused = Err(ErrorCode::UnsupportedMediaType);
        assert_eq!(format(&[("content-type", "text/csv")], TaskKind::TextEmbedding), refused);
        for other in ["text/plain", "application/json; charset=utf-16", "application/xml", "image/png"] {
            assert_eq!(format(&[("content-type", other)], tabular), refused, "{other}");
        }
        let image = TaskKind::ImageClassification;
        for (content_type, expected) in [
            ("image/png", Ok(BodyFormat::Image)),
            ("Image/JPEG", Ok(BodyFormat::Image)),
            ("image/jpg", refused),
            ("image/webp", refused),
            ("application/octet-stream", refused),
            ("text/csv", refused),
        ] {
            assert_eq!(format(&[("content-type", content_type)], image), expected, "{content_type}");
        }
        assert_eq!(format(&[("content-encoding", "br")], tabular), refused);
        assert_eq!(format(&[("content-encoding", "gzip")], tabular), json);
        assert_eq!(format(&[("content-encoding", "identity")], tabular), json);
    }
}
