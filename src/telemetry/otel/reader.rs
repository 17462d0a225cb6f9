//! Reads single variables and remembers what was wrong with them.
//!
//! Used by [`super::OtelOptions::from_variables`]. Invariant: an empty variable is an unset one, and
//! a value that cannot be read yields the default and one warning.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use super::{Propagator, RootSampler, SamplerKind};

/// The variables, and the warnings so far.
pub(super) struct Reader<'a> {
    vars: &'a BTreeMap<String, String>,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(vars: &'a BTreeMap<String, String>) -> Self {
        Self { vars, warnings: Vec::new() }
    }

    pub(super) fn warnings(self) -> Vec<String> {
        self.warnings
    }

    pub(super) fn warn(&mut self, text: String) {
        // A general variable is read for each signal.
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    /// A variable's text, unless it is unset or empty.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.vars.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    pub(super) fn number<T: FromStr + Copy>(&mut self, name: &str, default: T) -> T {
        let Some(text) = self.text(name) else { return default };
        text.parse().unwrap_or_else(|_| {
            self.warn(format!("{name} is {text:?}, expected a number: the default is used"));
            default
        })
    }

    pub(super) fn millis(&mut self, name: &str, default: u64) -> Duration {
        Duration::from_millis(self.number(name, default))
    }

    pub(super) fn is_true(&mut self, name: &str) -> bool {
        let Some(text) = self.text(name) else { return false };
        let yes = text.eq_ignore_ascii_case("true");
        if !yes && !text.eq_ignore_ascii_case("false") {
            self.warn(format!("{name} is {text:?}, expected true or false: false is used"));
        }
        yes
    }

    /// `key=value` pairs by comma, values percent-decoded; `what` names the variable in warnings.
    pub(super) fn pairs(&mut self, what: &str, text: &str) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let pair = item.split_once('=').and_then(|(key, value)| {
                let key = key.trim();
                (!key.is_empty()).then_some(())?;
                Some((percent_decoded(key)?, percent_decoded(value.trim())?))
            });
            match pair {
                Some(pair) => pairs.push(pair),
                // The item itself may hold a secret, so only its place is told.
                None => {
                    self.warn(format!("{what}: item {} is no key=value pair, and left out", pairs.len() + 1));
                }
            }
        }
        pairs
    }

    pub(super) fn resource_attributes(&mut self) -> Vec<(String, String)> {
        let name = "OTEL_RESOURCE_ATTRIBUTES";
        self.text(name).map_or_else(Vec::new, |text| self.pairs(name, text))
    }

    /// The formats in which a caller's context is read, in the order given.
    pub(super) fn propagators(&mut self) -> Vec<Propagator> {
        let text = self.text("OTEL_PROPAGATORS").unwrap_or("tracecontext,baggage");
        let mut known = Vec::new();
        let mut none = false;
        for name in text.split(',').map(str::trim) {
            match name {
                "tracecontext" => known.push(Propagator::TraceContext),
                // Both are read by either name: they differ in what would be sent on.
                "b3" | "b3multi" => known.push(Propagator::B3),
                // Baggage is meant for calls that we would make; we make none, and it labels nothing.
                "baggage" | "" => {}
                "none" => none = true,
                other => self.warn(format!(
                    "OTEL_PROPAGATORS: {other:?} is not supported, expected tracecontext, baggage, b3, b3multi or none"
                )),
            }
        }
        known.dedup();
        if none { Vec::new() } else { known }
    }

    pub(super) fn sampler(&mut self) -> SamplerKind {
        let kind = |parent_based, root| SamplerKind { parent_based, root };
        match self.text("OTEL_TRACES_SAMPLER").unwrap_or("parentbased_always_on") {
            "always_on" => kind(false, RootSampler::On),
            "always_off" => kind(false, RootSampler::Off),
            "traceidratio" => kind(false, self.ratio()),
            "parentbased_always_on" => kind(true, RootSampler::On),
            "parentbased_always_off" => kind(true, RootSampler::Off),
            "parentbased_traceidratio" => kind(true, self.ratio()),
            other => {
                self.warn(format!(
                    "OTEL_TRACES_SAMPLER {other:?} is not supported: parentbased_always_on is used"
                ));
                kind(true, RootSampler::On)
            }
        }
    }

    fn ratio(&mut self) -> RootSampler {
        let name = "OTEL_TRACES_SAMPLER_ARG";
        let ratio = self.number(name, 1.0);
        if (0.0..=1.0).contains(&ratio) {
            return RootSampler::Ratio(ratio);
        }
        self.warn(format!("{name} is {ratio}, expected 0 to 1: 1 is used"));
        RootSampler::Ratio(1.0)
    }
}

/// The text with its `%XX` as bytes; none where that is no text.
pub(in crate::telemetry) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}
