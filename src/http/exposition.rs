//! In which format `/metrics` answers: OpenMetrics where the scraper likes it better, as Prometheus does.

use http::HeaderMap;

use super::accept::{MediaRange, each_range};
use crate::telemetry::Exposition;

/// A form of the metrics.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Form {
    essence: &'static str,
    version: &'static str,
    /// How they are written.
    pub(super) exposition: Exposition,
    /// What the answer says that it is.
    pub(super) media_type: &'static str,
}

/// The first is for who does not say, and for who asks for something else: text is of more use than none.
static FORMS: [Form; 3] = [
    Form {
        essence: "text/plain",
        version: "0.0.4",
        exposition: Exposition::Text,
        media_type: "text/plain; version=0.0.4; charset=utf-8",
    },
    Form {
        essence: "application/openmetrics-text",
        version: "1.0.0",
        exposition: Exposition::OpenMetrics,
        media_type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
    },
    // Scrapers from before the standard was one. What differs between the two is not in what we write.
    Form {
        essence: "application/openmetrics-text",
        version: "0.0.1",
        exposition: Exposition::OpenMetrics,
        media_type: "application/openmetrics-text; version=0.0.1; charset=utf-8",
    },
];

/// How closely a range means a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Closeness {
    Anything,
    Type,
    Form,
    Version,
}

/// The range that means a form most closely: it has the word on the form's weight.
#[derive(Clone, Copy)]
struct Liking {
    weight: u16,
    closeness: Closeness,
    /// The range's place; of those that are liked alike, the first one wins.
    place: usize,
}

impl Form {
    fn closeness(&self, range: MediaRange<'_>) -> Option<Closeness> {
        if range.essence == "*/*" {
            return Some(Closeness::Anything);
        }
        let (kind, _) = self.essence.split_once('/')?;
        if range.essence.strip_suffix("/*") == Some(kind) {
            return Some(Closeness::Type);
        }
        match range.parameter("version") {
            _ if range.essence != self.essence => None,
            None => Some(Closeness::Form),
            Some(version) => (version == self.version).then_some(Closeness::Version),
        }
    }
}

/// The form that the caller likes best.
pub(super) fn negotiated(headers: &HeaderMap) -> &'static Form {
    let mut likings: [Option<Liking>; FORMS.len()] = [None; FORMS.len()];
    let mut place = 0;
    each_range(headers, |range| {
        for (form, liking) in FORMS.iter().zip(&mut likings) {
            let Some(closeness) = form.closeness(range) else { continue };
            if liking.is_none_or(|liking| closeness > liking.closeness) {
                *liking = Some(Liking { weight: range.weight, closeness, place });
            }
        }
        place += 1;
    });
    let mut best: Option<(&Form, Liking)> = None;
    for (form, liking) in FORMS.iter().zip(likings) {
        let Some(liking) = liking.filter(|liking| liking.weight > 0) else { continue };
        let rank = |liking: Liking| (liking.weight, liking.closeness, usize::MAX - liking.place);
        if best.is_none_or(|(_, known)| rank(liking) > rank(known)) {
            best = Some((form, liking));
        }
    }
    best.map_or(&FORMS[0], |(form, _)| form)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::ACCEPT;

    use super::*;

    fn of(values: &[&'static str]) -> (&'static str, &'static str) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT, HeaderValue::from_static(value));
        }
        let form = negotiated(&headers);
        (if form.exposition == Exposition::Text { "text" } else { "open" }, form.version)
    }

    #[test]
    fn prometheus_gets_openmetrics() {
        for (accept, version) in [
            // 2.42, and 2.5 of 2018.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                "1.0.0",
            ),
            ("application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "0.0.1"),
            // 3.0, without and with native histograms.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                "1.0.0",
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
                 application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                "1.0.0",
            ),
        ] {
            assert_eq!(of(&[accept]), ("open", version), "{accept}");
        }
    }

    #[test]
    fn who_does_not_ask_for_openmetrics_gets_text() {
        for accept in [
            &[][..],
            &["*/*"],
            &["text/*"],
            &["text/plain"],
            &["text/plain; charset=utf-8"],
            &["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
            &["application/json"],
            &["application/openmetrics-text;version=2.0.0"],
            &["application/openmetrics-text;q=0"],
            &["application/openmetrics-text;q=nan"],
            &["application/openmetrics-text;q=0.4, text/plain;q=0.5"],
            &["application/openmetrics-text;version=1.0.0;q=0.4", "*/*;q=0.5"],
            &["*/*, application/openmetrics-text;q=0"],
            &["text/plain, application/openmetrics-text"],
        ] {
            assert_eq!(of(accept), ("text", "0.0.4"), "{accept:?}");
        }
    }

    #[test]
    fn the_closest_range_has_the_word() {
        for (accept, version) in [
            (&["application/openmetrics-text"][..], "1.0.0"),
            (&["Application/OpenMetrics-Text; Version=\"1.0.0\"; Q=0.1"], "1.0.0"),
            (&["application/openmetrics-text;version=0.0.1"], "0.0.1"),
            (&["application/openmetrics-text;version=0.0.1, application/openmetrics-text;q=0.9"], "0.0.1"),
            (&["*/*", "application/openmetrics-text"], "1.0.0"),
            (&["application/openmetrics-text, text/plain"], "1.0.0"),
            (&["text/plain;q=0, */*;q=0.1"], "1.0.0"),
            (&["application/*"], "1.0.0"),
        ] {
            assert_eq!(of(accept), ("open", version), "{accept:?}");
        }
    }
}
