//! Prometheus' text format 0.0.4 and OpenMetrics 1.0, family by family.
//!
//! Series are written alike in both, bounds of buckets included: whichever is scraped, they are the same series. Whole
//! numbers, which nearly all are, take the cheap way; bounds are formatted once a family.

use std::borrow::Cow;
use std::fmt::Write as _;

use prometheus::{Counter, Gauge, IntCounter, IntGauge};

use super::histogram::{Exemplar, Histogram};
use super::otlp::{Label, Points};
use super::unit;
use crate::telemetry::push_hex;

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics: with units, and exemplars of histograms.
    OpenMetrics,
}

pub(super) const COUNTER: &str = "counter";
pub(super) const GAUGE: &str = "gauge";
pub(super) const HISTOGRAM: &str = "histogram";

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
    format: Exposition,
    /// Labels that every series gets, without braces.
    common: &'c str,
    name: &'static str,
    /// Those of the histograms of the family at hand.
    bounds: Vec<String>,
}

impl<'c> Writer<'c> {
    /// A writer that expects to write `size` bytes.
    pub(super) fn new(format: Exposition, common: &'c str, size: usize) -> Self {
        Self { text: String::with_capacity(size), format, common, name: "", bounds: Vec::new() }
    }

    pub(super) fn into_text(mut self) -> String {
        if self.format == Exposition::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    /// Begins a family.
    pub(super) fn family(&mut self, name: &'static str, help: &str, kind: &str) {
        let is_open = self.format == Exposition::OpenMetrics;
        // There the name of a counter is that without what its samples end with.
        let family = if is_open && kind == COUNTER { unit::without_total(name) } else { name };
        let help = escaped(help, is_open);
        self.text.extend(["# HELP ", family, " ", &help, "\n# TYPE ", family, " ", kind, "\n"]);
        if let Some((word, _)) = unit::of(family).filter(|_| is_open) {
            self.text.extend(["# UNIT ", family, " ", word, "\n"]);
        }
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
        let Self { text, common, name, bounds, .. } = self;
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

    fn exemplar(&mut self, exemplar: &Exemplar) {
        let text = &mut self.text;
        text.push_str(" # {trace_id=\"");
        push_hex(text, &exemplar.trace);
        text.push_str("\",span_id=\"");
        push_hex(text, &exemplar.span);
        text.push_str("\"} ");
        Number::Float(exemplar.value).write(text);
        let (seconds, milliseconds) = (exemplar.at.as_secs(), exemplar.at.subsec_millis());
        // Writing to a string does not fail.
        write!(text, " {seconds}.{milliseconds:03}").unwrap_or_default();
    }
}

/// A value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
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

    /// Hands it over as a data point; `began` is when it was made, in nanoseconds since the epoch.
    fn point(&self, labels: &[Label<'_>], began: u64, points: &mut Points<'_>);
}

macro_rules! single {
    ($($type:ty: $kind:expr, $value:expr;)*) => {$(
        impl Series for $type {
            const KIND: &'static str = $kind;

            fn write(&self, labels: &str, writer: &mut Writer<'_>) {
                writer.sample("", labels, $value(self));
            }

            fn point(&self, labels: &[Label<'_>], began: u64, points: &mut Points<'_>) {
                let began = (Self::KIND != GAUGE).then_some(began);
                points.number(labels, began, &$value(self));
            }
        }
    )*};
}

single! {
    IntCounter: COUNTER, |counter: &IntCounter| Number::Whole(counter.get());
    Counter: COUNTER, |counter: &Counter| Number::Float(counter.get());
    Gauge: GAUGE, |gauge: &Gauge| Number::Float(gauge.get());
    IntGauge: GAUGE, |gauge: &IntGauge| signed(gauge.get());
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats in this format")]
fn signed(value: i64) -> Number {
    u64::try_from(value).map_or(Number::Float(value as f64), Number::Whole)
}

impl Series for Histogram {
    const KIND: &'static str = HISTOGRAM;

    fn write(&self, labels: &str, writer: &mut Writer<'_>) {
        let metric = self.read();
        let histogram = metric.get_histogram();
        let buckets = histogram.get_bucket();
        if writer.bounds.is_empty() {
            writer.bounds.extend(buckets.iter().map(|bucket| bucket.upper_bound().to_string()));
        }
        let is_open = writer.format == Exposition::OpenMetrics;
        let count = histogram.get_sample_count();
        let counts = buckets.iter().map(prometheus::proto::Bucket::cumulative_count).chain([count]);
        for (bound, count) in counts.enumerate() {
            writer.begin("_bucket", labels, Some(bound));
            writer.text.push(' ');
            Number::Whole(count).write(&mut writer.text);
            if is_open && let Some(exemplar) = self.exemplar(bound) {
                writer.exemplar(&exemplar);
            }
            writer.text.push('\n');
        }
        writer.sample("_sum", labels, Number::Float(histogram.get_sample_sum()));
        writer.sample("_count", labels, Number::Whole(count));
    }
    fn point(&self, labels: &[Label<'_>], began: u64, points: &mut Points<'_>) {
        points.histogram(labels, began, self);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::trace::{SpanId, TraceId};

    use super::super::family::{Family, Rendered as _};
    use super::super::histogram::SampledSpan;
    use super::super::tests::{all_metrics, touch_all};
    use super::*;
    use crate::telemetry::Stage;

    #[test]
    fn openmetrics_to_the_byte() {
        let counters = Family::new(&["b", "a"], Box::new(|| IntCounter::new("runs_total", "x").unwrap()));
        counters.with_label_values(&["1", "\"quoted\"\n"]).inc_by(3);
        let histogram = Histogram::new("wait_seconds", "x", &[0.5, 1.0]).unwrap();
        let span = SampledSpan::new(TraceId::from_bytes([0xab; 16]), SpanId::from_bytes([0x0c; 8]));
        histogram.observe_in(0.75, Some(span));
        histogram.observe(0.1);
        let exemplar = histogram.exemplar(1).unwrap();
        assert!(exemplar.at > Duration::from_secs(1_600_000_000));
        let at = format!("{}.{:03}", exemplar.at.as_secs(), exemplar.at.subsec_millis());
        let info = IntGauge::new("build_info", "x").unwrap();
        info.set(1);
        let mut writer = Writer::new(Exposition::OpenMetrics, "service=\"s\"", 0);
        counters.render("runs_total", "Says \"this\".\nAnd \\ that.", &mut writer);
        histogram.render("wait_seconds", "Wait.", &mut writer);
        info.render("build_info", "What is running.", &mut writer);
        let expected = r#"# HELP runs Says \"this\".\nAnd \\ that.
# TYPE runs counter
runs_total{a="\"quoted\"\n",b="1",service="s"} 3
# HELP wait_seconds Wait.
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
wait_seconds_bucket{service="s",le="0.5"} 1
wait_seconds_bucket{service="s",le="1"} 2 # {trace_id="abababababababababababababababab",span_id="0c0c0c0c0c0c0c0c"} 0.75 AT
wait_seconds_bucket{service="s",le="+Inf"} 2
wait_seconds_sum{service="s"} 0.85
wait_seconds_count{service="s"} 2
# HELP build_info What is running.
# TYPE build_info gauge
build_info{service="s"} 1
# EOF
"#;
        assert_eq!(writer.into_text(), expected.replace("AT", &at));
    }

    /// What must hold of every metric that there is, and that both formats have the same series with the same values.
    #[test]
    fn both_formats_have_the_same_series() {
        let metrics = all_metrics(Some("fraud"));
        touch_all(&metrics);
        let span = SampledSpan::new(TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]));
        metrics.model("m", "1", "cpu").stage(Stage::Queue, Duration::from_millis(3), Some(span));
        let (text, open) = (metrics.render(), metrics.render_as(Exposition::OpenMetrics));
        let samples = |text: &str| {
            let lines = text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("process_"));
            lines.map(|line| line.split(" # ").next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(samples(&text), samples(&open));
        assert!(!text.contains(" # {") && !text.contains("# UNIT") && !text.contains("# EOF"));
        let exemplars: Vec<_> = open.lines().filter_map(|line| line.split_once(" # ")).collect();
        assert_eq!(exemplars.len(), 1, "{exemplars:?}");
        assert!(open.ends_with("# EOF\n") && open.matches("# EOF").count() == 1);
        assert!(open.lines().all(|line| !line.is_empty()));
        let mut families = std::collections::BTreeSet::new();
        for line in open.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (family, kind) = line.split_once(' ').unwrap();
            assert!(families.insert(family.to_owned()) && !family.ends_with("_total"), "{line}");
            let total = format!("\n{family}_total{{");
            assert_eq!(kind == COUNTER, open.contains(&total), "{line}");
        }
        for unit in open.lines().filter_map(|line| line.strip_prefix("# UNIT ")) {
            let (family, unit) = unit.split_once(' ').unwrap();
            assert!(family.ends_with(&format!("_{unit}")) && families.contains(family), "{family} {unit}");
        }
    }
}
