//! `Accept` of `/invocations`: JSON, JSON lines or a table. SageMaker's batch transform asks for lines.

use http::HeaderMap;

use crate::http::accept::each_range;

/// How an answer is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerForm {
    /// `{"predictions": [...]}`.
    Json,
    /// A prediction a line.
    Lines,
    /// A table without a header, a prediction a row.
    Csv,
}

impl AnswerForm {
    /// The media type of the answer.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/jsonlines",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "application/json" | "application/*" | "*/*" => Some(Self::Json),
            "application/jsonlines" | "application/x-jsonlines" | "application/x-ndjson" => Some(Self::Lines),
            "text/csv" | "text/*" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// What the caller likes best of what there is, the first of several that it likes alike; JSON where there
/// is nothing of what it asks for, since an answer in another form than asked is of more use than none
/// (RFC 9110 12.5.1).
pub(super) fn answer_form(headers: &HeaderMap) -> AnswerForm {
    let mut best = (0, AnswerForm::Json);
    each_range(headers, |range| {
        if let Some(form) = AnswerForm::of(range.essence).filter(|_| range.weight > best.0) {
            best = (range.weight, form);
        }
    });
    best.1
}

#[cfg(test)]
mod tests {
    use http::header::ACCEPT;

    use super::*;

    #[test]
    fn the_best_liked_form_that_there_is() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ACCEPT, http::HeaderValue::from_static(value));
            }
            answer_form(&headers)
        };
        for values in [
            &[][..],
            &["*/*"],
            &["application/json"],
            &["application/x-npy"],
            &["image/png, application/json;q=0.1"],
            &["text/csv;q=0"],
            &["text/csv;q=0.5, application/json"],
            &["text/csv;q=nan"],
        ] {
            assert_eq!(of(values), AnswerForm::Json, "{values:?}");
        }
        for values in [
            &["text/csv"][..],
            &["Text/CSV; q=1.0"],
            &["application/json;q=0.2, text/csv;q=0.9"],
            &["text/csv, */*"],
        ] {
            assert_eq!(of(values), AnswerForm::Csv, "{values:?}");
        }
        assert_eq!(of(&["application/jsonlines"]), AnswerForm::Lines);
        assert_eq!(of(&["text/plain", "application/x-jsonlines;q=0.3"]), AnswerForm::Lines);
    }
}
