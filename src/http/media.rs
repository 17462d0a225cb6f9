//! What a body's headers say it is, and whether the route takes that.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::inflate;
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
}

/// The format of a prediction's body for a model of `task`.
///
/// # Errors
/// `unsupported_media_type`; the detail says what to send.
pub(super) fn body_format(headers: &HeaderMap, task: Option<TaskKind>) -> Result<BodyFormat, ServiceError> {
    inflate::encoding(headers)?;
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(BodyFormat::Json) };
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let takes_csv =
        matches!(task, None | Some(TaskKind::TabularClassification | TaskKind::TabularRegression));
    let format = match essence {
        "" | "application/json" => BodyFormat::Json,
        "application/x-www-form-urlencoded" => BodyFormat::DeclaredForm,
        "text/csv" if takes_csv => BodyFormat::Csv,
        other if other.starts_with("application/") && other.ends_with("+json") => BodyFormat::Json,
        _ => return Err(unsupported(takes_csv)),
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

/// The error for a body that is not what its type may be; says what to send.
pub(super) fn unsupported(takes_csv: bool) -> ServiceError {
    let also = if takes_csv { " or text/csv with a header row" } else { "" };
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
        assert_eq!(format(&[("content-encoding", "br")], tabular), refused);
        assert_eq!(format(&[("content-encoding", "gzip")], tabular), json);
        assert_eq!(format(&[("content-encoding", "identity")], tabular), json);
    }
}
