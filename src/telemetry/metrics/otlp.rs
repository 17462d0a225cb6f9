//! All metrics as OTLP has them: `Metric` messages, ready to be put into a request.
//!
//! Called by [`super::Metrics::otlp_items`]. Everything is cumulative, as it is in Prometheus' formats, and has the same names.

use std::time::SystemTime;

use super::histogram::{Exemplar, Histogram};
use super::semantic::{Names, STATUS_CODE};
use super::text::Number;
use super::{text, unit};
use crate::telemetry::otlp::{ITEM, wire};

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;

/// What a series' labels are: names and values.
pub(super) type Label<'a> = (&'static str, &'a str);

/// The messages as they grow.
pub(super) struct Encoder {
    items: Vec<u8>,
    points: u64,
    now: u64,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self { items: Vec::new(), points: 0, now: wire::nanos(SystemTime::now()) }
    }

    /// The messages, and how many data points are in them.
    pub(super) fn into_items(self) -> (Vec<u8>, u64) {
        (self.items, self.points)
    }

    /// One metric, whose series `write` hands over.
    pub(super) fn metric(
        &mut self,
        (name, help): (&'static str, &str),
        kind: &'static str,
        write: impl FnOnce(&mut Points<'_>),
    ) {
        let Self { items, points, now } = self;
        let names = Names::of(name);
        wire::message(items, ITEM, |out| {
            wire::bytes(out, 1, names.metric(name).as_bytes());
            wire::bytes(out, 2, help.as_bytes());
            if let Some((_, sign)) = unit::of(name) {
                wire::bytes(out, 3, sign.as_bytes());
            }
            let data = match kind {
                text::COUNTER => 7,
                text::HISTOGRAM => 9,
                _ => 5,
            };
            wire::message(out, data, |out| {
                write(&mut Points { out, count: points, now: *now, names });
                if kind != text::GAUGE {
                    wire::varint(out, 2, CUMULATIVE);
                }
                if kind == text::COUNTER {
                    wire::varint(out, 3, 1);
                }
            });
        });
    }
}

/// The data points of one metric.
pub(super) struct Points<'a> {
    out: &'a mut Vec<u8>,
    count: &'a mut u64,
    now: u64,
    names: Names,
}

impl Points<'_> {
    /// A number. `began` is when it was zero; a gauge never was.
    pub(super) fn number(&mut self, labels: &[Label<'_>], began: Option<u64>, value: &Number) {
        let (now, names) = (self.now, self.names);
        *self.count += 1;
        wire::message(self.out, 1, |out| {
            attributes(out, 7, labels, names);
            if let Some(began) = began {
                wire::fixed64(out, 2, began);
            }
            wire::fixed64(out, 3, now);
            match *value {
                Number::Whole(value) => wire::fixed64(out, 6, value.min(i64::MAX.cast_unsigned())),
                Number::Float(value) => wire::double(out, 4, value),
            }
        });
    }

    /// A histogram that was empty when it began.
    pub(super) fn histogram(&mut self, labels: &[Label<'_>], began: u64, histogram: &Histogram) {
        let (now, names) = (self.now, self.names);
        *self.count += 1;
        let metric = histogram.read();
        let read = metric.get_histogram();
        let count = read.get_sample_count();
        wire::message(self.out, 1, |out| {
            attributes(out, 9, labels, names);
            wire::fixed64(out, 2, began);
            wire::fixed64(out, 3, now);
            wire::fixed64(out, 4, count);
            wire::double(out, 5, read.get_sample_sum());
            let buckets = read.get_bucket();
            wire::message(out, 6, |out| {
                let mut below = 0;
                for reached in buckets.iter().map(prometheus::proto::Bucket::cumulative_count).chain([count])
                {
                    out.extend_from_slice(&reached.saturating_sub(below).to_le_bytes());
                    below = reached;
                }
            });
            wire::message(out, 7, |out| {
                for bucket in buckets {
                    out.extend_from_slice(&bucket.upper_bound().to_le_bytes());
                }
            });
            for exemplar in (0..=buckets.len()).filter_map(|bucket| histogram.exemplar(bucket)) {
                wire::message(out, 8, |out| self::exemplar(out, &exemplar));
            }
        });
    }
}

fn exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    wire::fixed64(out, 2, u64::try_from(exemplar.at.as_nanos()).unwrap_or(u64::MAX));
    wire::double(out, 3, exemplar.value);
    wire::bytes(out, 4, &exemplar.span);
    wire::bytes(out, 5, &exemplar.trace);
}

/// A label that is empty is none, in Prometheus as here.
fn attributes(out: &mut Vec<u8>, field: u32, labels: &[Label<'_>], names: Names) {
    for &(label, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
        let key = names.attribute(label);
        let number = if key == STATUS_CODE { value.parse().ok() } else { None };
        wire::attribute(out, field, key, number.map_or(wire::Value::Text(value), wire::Value::Integer));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use opentelemetry::trace::{SpanId, TraceId};
    use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
    use opentelemetry_proto::tonic::metrics::v1::{
        AggregationTemporality, HistogramDataPoint, Metric, NumberDataPoint, ScopeMetrics, exemplar,
        metric::Data, number_data_point,
    };
    use prost::Message as _;

    use super::super::tests::{all_metrics, touch_all};
    use super::super::{Metrics, ObservedEnd, SampledSpan, Spoken};
    use crate::telemetry::Stage;

    fn decoded(metrics: &Metrics) -> (Vec<Metric>, u64) {
        let (items, points) = metrics.otlp_items();
        (ScopeMetrics::decode(&*items).unwrap().metrics, points)
    }

    fn text_of(attribute: &KeyValue) -> String {
        match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
            any_value::Value::StringValue(text) => text.clone(),
            any_value::Value::IntValue(number) => number.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// As they stand in the text, but for their dots.
    fn labels(attributes: &[KeyValue]) -> String {
        let pairs: Vec<_> =
            attributes.iter().map(|it| format!("{}={:?}", it.key.replace('.', "_"), text_of(it))).collect();
        pairs.join(",")
    }

    /// Every series of the text with its value, without labels that are empty.
    fn series(metrics: &Metrics) -> BTreeMap<String, f64> {
        let text = metrics.render();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let pairs = lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let labels: Vec<&str> = labels.trim_end_matches('}').split(',').collect();
            let labels: Vec<&str> = labels.into_iter().filter(|label| !label.ends_with("=\"\"")).collect();
            (format!("{name}{{{}}}", labels.join(",")), value.parse().unwrap())
        });
        pairs.collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn number(point: &NumberDataPoint) -> f64 {
        match point.value.unwrap() {
            number_data_point::Value::AsInt(value) => value as f64,
            number_data_point::Value::AsDouble(value) => value,
        }
    }

    /// The series of a histogram's point.
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn lines(name: &str, point: &HistogramDataPoint) -> Vec<(String, f64)> {
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1, "{name}");
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count, "{name}");
        let labels = labels(&point.attributes);
        let comma = if labels.is_empty() { "" } else { "," };
        let bounds = point.explicit_bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        let mut reached = 0;
        let mut lines: Vec<_> = bounds
            .zip(&point.bucket_counts)
            .map(|(bound, count)| {
                reached += count;
                (format!("{name}_bucket{{{labels}{comma}le=\"{bound}\"}}"), reached as f64)
            })
            .collect();
        lines.push((format!("{name}_sum{{{labels}}}"), point.sum.unwrap()));
        lines.push((format!("{name}_count{{{labels}}}"), point.count as f64));
        lines
    }

    fn points(metric: &Metric) -> (usize, Vec<(String, f64)>) {
        let cumulative = AggregationTemporality::Cumulative as i32;
        // In Prometheus' formats the names of the conventions have underscores.
        let name = match metric.name.as_str() {
            dotted if dotted.contains('.') => format!("{}_seconds", dotted.replace('.', "_")),
            own => own.to_owned(),
        };
        let of =
            |point: &NumberDataPoint| (format!("{name}{{{}}}", labels(&point.attributes)), number(point));
        match metric.data.as_ref().unwrap() {
            Data::Gauge(gauge) => {
                assert!(gauge.data_points.iter().all(|point| point.start_time_unix_nano == 0));
                (gauge.data_points.len(), gauge.data_points.iter().map(of).collect())
            }
            Data::Sum(sum) => {
                assert!(sum.is_monotonic && sum.aggregation_temporality == cumulative, "{name}");
                assert!(name.ends_with("_total"));
                let are_in_order = |point: &NumberDataPoint| {
                    point.start_time_unix_nano > 0 && point.start_time_unix_nano <= point.time_unix_nano
                };
                assert!(sum.data_points.iter().all(are_in_order), "{name}");
                (sum.data_points.len(), sum.data_points.iter().map(of).collect())
            }
            Data::Histogram(histogram) => {
                assert_eq!(histogram.aggregation_temporality, cumulative);
                let data = &histogram.data_points;
                assert!(data.iter().all(|point| point.start_time_unix_nano > 0));
                (data.len(), data.iter().flat_map(|point| lines(&name, point)).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_is_there_as_the_text_has_it() {
        let metrics = all_metrics(None);
        touch_all(&metrics);
        let (decoded, count) = decoded(&metrics);
        let text = series(&metrics);
        let (mut seen, mut points_seen) = (0, 0);
        for metric in &decoded {
            assert!(!metric.description.is_empty() && !metric.unit.contains("second"), "{metric:?}");
            let (points, found) = points(metric);
            points_seen += points;
            for (series, value) in found {
                seen += 1;
                let expected = text.get(&series).unwrap_or_else(|| panic!("{series} is not in the text"));
                // The process goes on.
                assert!(
                    series.starts_with("process_") || (expected - value).abs() < 1e-9,
                    "{series}: {value}"
                );
            }
        }
        assert_eq!((seen, points_seen as u64), (text.len(), count));
        let unit = |name: &str| decoded.iter().find(|metric| metric.name == name).unwrap().unit.clone();
        assert_eq!(unit("http_request_duration_seconds"), "s");
        assert_eq!(unit("http_request_body_bytes"), "By");
        assert_eq!(unit("process_cpu_seconds_total"), "s");
        assert_eq!(unit("gpu_utilization_ratio"), "1");
        assert_eq!(unit("inference_queue_depth"), "");
    }

    #[test]
    fn a_series_begins_when_it_was_made() {
        let metrics = all_metrics(None);
        metrics.model("m", "1", "cpu");
        let began = |metrics: &Metrics| {
            let (decoded, _) = decoded(metrics);
            let metric =
                decoded.into_iter().find(|metric| metric.name == "inference_queue_expired_total").unwrap();
            let Some(Data::Sum(sum)) = metric.data else { panic!("no sum") };
            sum.data_points[0].start_time_unix_nano
        };
        let first = began(&metrics);
        assert_eq!(began(&metrics), first);
        metrics.forget("m", "1");
        metrics.model("m", "1", "cpu");
        assert!(began(&metrics) > first, "loaded again it begins anew");
    }

    #[test]
    fn exemplars_and_dotted_names() {
        let metrics = all_metrics(None);
        let span = SampledSpan::new(TraceId::from_bytes([7; 16]), SpanId::from_bytes([9; 8]));
        let mut observation = metrics.http().begin("POST", "/predict", Instant::now());
        observation.speaks(Spoken::Https);
        let end = ObservedEnd { span: Some(span), error_type: Some("overloaded"), grpc_status: None };
        observation.ends(end);
        observation.finish(503, 1);
        metrics.model("m", "1", "cpu").stage(Stage::Queue, Duration::from_millis(30), Some(span));
        let (decoded, _) = decoded(&metrics);
        for name in [
            "http_request_duration_seconds",
            "http.server.request.duration",
            "inference_stage_duration_seconds",
        ] {
            let metric = decoded.iter().find(|metric| metric.name == name).unwrap();
            let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{metric:?}") };
            let point = histogram.data_points.iter().find(|point| point.count == 1).unwrap();
            let [exemplar] = &*point.exemplars else { panic!("{point:?}") };
            assert_eq!((&*exemplar.trace_id, &*exemplar.span_id), (&[7; 16][..], &[9; 8][..]));
            assert_eq!(exemplar.value, Some(exemplar::Value::AsDouble(point.sum.unwrap())));
            assert!(exemplar.time_unix_nano <= point.time_unix_nano + 1_000_000_000);
            if name.contains('.') {
                let attributes: Vec<_> =
                    point.attributes.iter().map(|it| format!("{}={}", it.key, text_of(it))).collect();
                let expected = "error.type=overloaded http.request.method=POST http.response.status_code=503 \
                                http.route=/predict url.scheme=https";
                assert_eq!(attributes.join(" "), expected);
                let code = any_value::Value::IntValue(503);
                assert!(
                    point
                        .attributes
                        .iter()
                        .any(|it| it.value.as_ref().unwrap().value.as_ref() == Some(&code))
                );
            }
        }
    }
}
