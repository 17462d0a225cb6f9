//! `Accept`, as RFC 9110 12.5.1 has it: media ranges with weights. What there is to choose from is the caller's matter.

use http::HeaderMap;
use http::header::ACCEPT;

use super::compress;

/// What a client takes, in lower case.
#[derive(Clone, Copy, Debug)]
pub(super) struct MediaRange<'a> {
    /// `type/subtype`, either of which may be `*`.
    pub(super) essence: &'a str,
    /// What follows it, the weight included.
    parameters: &'a str,
    /// In thousandths; 0 is not at all.
    pub(super) weight: u16,
}

impl<'a> MediaRange<'a> {
    fn of(text: &'a str) -> Self {
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        let range = Self { essence: essence.trim(), parameters, weight: compress::FULL };
        let weight = range.parameters().find(|part| part.starts_with("q=")).map(compress::weight);
        Self { weight: weight.unwrap_or(range.weight), ..range }
    }

    fn parameters(self) -> impl Iterator<Item = &'a str> {
        self.parameters.split(';').map(str::trim)
    }

    /// The value of a parameter, without quotes.
    pub(super) fn parameter(self, name: &str) -> Option<&'a str> {
        let value = self.parameters().find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        value.map(|value| value.trim_matches('"'))
    }
}

/// Hands over every range of the headers, in their order.
pub(super) fn each_range(headers: &HeaderMap, mut take: impl FnMut(MediaRange<'_>)) {
    for value in headers.get_all(ACCEPT) {
        let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
        for range in text.split(',') {
            take(MediaRange::of(range));
        }
    }
}
