//! Prometheus' text format 0.0.4, family by family.
//!
//! Whole numbers, which nearly all are, take the cheap way; bounds of buckets are formatted once a family.

use std::borrow::Cow;
use std::fmt::Write as _;

use prometheus::core::Metric as _;
use prometheus::{Counter, Gauge, Histogram, IntCounter, IntGauge};

/// Up to here every whole number has a value of its own as a float (2^53).
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A label as it stands between braces, its value escaped.
pub(super) fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", escaped(value, true))
}

fn escaped(text: &str, quotes: bool) -> Cow<'_, str> {
    let is_special = |character: char| matches!(character, '\\' | '\n') || (quotes && character == '"');
    if !text.contains(is_special) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            special if is_special(special) => escaped.extend(['\\', special]),
            plain => escaped.push(plain),
        }
    }
    Cow::Owned(escaped)
}

/// The text as it grows.
pub(super) struct Writer<'c> {
    text: String,
    /// Labels that every series gets, without braces.
    common: &'c str,
    name: &'static str,
    /// Those of the histograms of the family at hand.
    bounds: Vec<String>,
}

impl<'c> Writer<'c> {
    /// A writer that expects to write `size` bytes.
    pub(super) fn new(common: &'c str, size: usize) -> Self {
        Self { text: String::with_capacity(size), common, name: "", bounds: Vec::new() }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Begins a family.
    pub(super) fn family(&mut self, name: &'static str, help: &str, kind: &str) {
        let help = escaped(help, false);
        self.text.extend(["# HELP ", name, " ", &help, "\n# TYPE ", name, " ", kind, "\n"]);
        self.name = name;
        self.bounds.clear();
    }

    /// A series of the family: what its name ends with, its own labels without braces, and its value.
    fn sample(&mut self, suffix: &str, labels: &str, value: Number) {
        self.begin(suffix, labels, None);
        self.text.push(' ');
        value.write(&mut self.text);
        self.text.push('\n');
    }

    fn begin(&mut self, suffix: &str, labels: &str, bound: Option<usize>) {
        let Self { text, common, name, bounds } = self;
        text.push_str(name);
        text.push_str(suffix);
        let mut mark = '{';
        for part in [labels, *common] {
            if !part.is_empty() {
                text.push(mark);
                text.push_str(part);
                mark = ',';
            }
        }
        if let Some(bound) = bound {
            text.push(mark);
            text.push_str("le=\"");
            text.push_str(bounds.get(bound).map_or("+Inf", String::as_str));
            text.push('"');
            mark = ',';
        }
        if mark == ',' {
            text.push('}');
        }
    }
}

/// A value.
enum Number {
    Whole(u64),
    Float(f64),
}

impl Number {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range")]
    fn write(self, text: &mut String) {
        let number = match self {
            Self::Float(value) if value.is_sign_positive() && value < EXACT && value.fract() == 0.0 => {
                Self::Whole(value as u64)
            }
            other => other,
        };
        // Writing to a string does not fail.
        match number {
            Self::Whole(value) => write!(text, "{value}"),
            Self::Float(value) => write!(text, "{value}"),
        }
        .unwrap_or_default();
    }
}

/// One series, or those of one histogram.
pub(super) trait Series: Clone + Send + Sync {
    /// Its type, as the format names it.
    const KIND: &'static str;

    /// Writes it under `labels`, which stand without braces.
    fn write(&self, labels: &str, writer: &mut Writer<'_>);
}

macro_rules! single {
    ($($type:ty: $kind:literal, $value:expr;)*) => {$(
        impl Series for $type {
            const KIND: &'static str = $kind;

            fn write(&self, labels: &str, writer: &mut Writer<'_>) {
                writer.sample("", labels, $value(self));
            }
        }
    )*};
}

single! {
    IntCounter: "counter", |counter: &IntCounter| Number::Whole(counter.get());
    Counter: "counter", |counter: &Counter| Number::Float(counter.get());
    Gauge: "gauge", |gauge: &Gauge| Number::Float(gauge.get());
    IntGauge: "gauge", |gauge: &IntGauge| signed(gauge.get());
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats in this format")]
fn signed(value: i64) -> Number {
    u64::try_from(value).map_or(Number::Float(value as f64), Number::Whole)
}

impl Series for Histogram {
    const KIND: &'static str = "histogram";

    fn write(&self, labels: &str, writer: &mut Writer<'_>) {
        let metric = self.metric();
        let histogram = metric.get_histogram();
        let buckets = histogram.get_bucket();
        if writer.bounds.is_empty() {
            writer.bounds.extend(buckets.iter().map(|bucket| bucket.upper_bound().to_string()));
        }
        let count = histogram.get_sample_count();
        let counts = buckets.iter().map(prometheus::proto::Bucket::cumulative_count).chain([count]);
        for (bound, count) in counts.enumerate() {
            writer.begin("_bucket", labels, Some(bound));
            writer.text.push(' ');
            Number::Whole(count).write(&mut writer.text);
            writer.text.push('\n');
        }
        writer.sample("_sum", labels, Number::Float(histogram.get_sample_sum()));
        writer.sample("_count", labels, Number::Whole(count));
    }
}
