//! Tests of the log lines: one line each, parseable, joined to traces.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ScopeLogs};
use prost::Message;
use serde_json::Value;
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use super::event::{Entry, EventLayer, MAX_TEXT, Output};
use super::json::JsonLines;
use super::record::Records;
use super::{LIFECYCLE, silence_this_thread};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::otel::{LogExport, OtelOptions};
use crate::telemetry::otlp::ExportQueue;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Captured {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn lines(log: impl FnOnce()) -> Vec<Value> {
    let captured = Captured::default();
    subscribe(JsonLines(captured.clone()), log);
    let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn subscribe(output: impl Output, log: impl FnOnce()) {
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let tracer = opentelemetry::trace::TracerProvider::tracer(&provider, "test");
    let subscriber = Registry::default()
        .with(EventLayer::new(output))
        .with(tracing_opentelemetry::layer().with_tracer(tracer));
    tracing::subscriber::with_default(subscriber, log);
}

/// Options of logs that are exported, as the variables say.
fn export(more: &[(&str, &str)]) -> LogExport {
    let on = [("OTEL_LOGS_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")];
    let pairs = on.iter().chain(more).map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    OtelOptions::from_variables(&pairs.collect()).0.logs.unwrap()
}

fn records_with(options: &LogExport) -> Records {
    let metrics = Metrics::new(None, &crate::telemetry::BuildInfo::default());
    Records::new(ExportQueue::new(options.queue, metrics.log_queue()), options)
}

/// Keeps records as their reader gets them.
struct Kept(Records, Arc<Mutex<Vec<LogRecord>>>);

impl Output for Kept {
    fn take(&self, entry: Entry) {
        let mut items = Vec::new();
        self.0.encode(&mut items, &entry);
        let scope = ScopeLogs::decode(&*items).unwrap();
        self.1.lock().unwrap().extend(scope.log_records);
    }
}

fn records(more: &[(&str, &str)], log: impl FnOnce()) -> Vec<LogRecord> {
    let kept = Arc::default();
    subscribe(Kept(records_with(&export(more)), Arc::clone(&kept)), log);
    std::mem::take(&mut *kept.lock().unwrap())
}

fn attribute(record: &LogRecord, key: &str) -> Option<any_value::Value> {
    let mut found = record.attributes.iter().filter(|attribute| attribute.key == key);
    let value = found.next()?.value.clone()?.value;
    assert!(found.next().is_none(), "{key} twice");
    value
}

#[test]
fn a_line_has_the_contracts_keys_and_survives_any_text() {
    let found = lines(|| {
        tracing::info!(
            request_id = "r\"1",
            trace_id = "t",
            span_id = "s",
            path = "a\nb\u{1}\u{2028}\"",
            count = 3_u64,
            nan = f64::NAN,
            level = "mine",
            "two\nlines {}",
            1
        );
    });
    let line = &found[0];
    assert_eq!(found.len(), 1);
    assert_eq!(line["message"], "two\nlines 1");
    assert_eq!((&line["level"], &line["level_"]), (&Value::from("INFO"), &Value::from("mine")));
    assert_eq!(line["request_id"], "r\"1");
    assert_eq!((&line["trace_id"], &line["span_id"]), (&Value::from("t"), &Value::from("s")));
    assert_eq!((&line["count"], &line["nan"]), (&Value::from(3), &Value::from("NaN")));
    assert_eq!(line["path"], "a\nb\u{1}\u{2028}\"");
    assert!(line["target"].as_str().unwrap().starts_with("ml_inference_api::telemetry"));
    let timestamp = line["timestamp"].as_str().unwrap();
    assert!(timestamp.len() == 27 && timestamp.ends_with('Z'), "{timestamp}");
}

#[test]
fn long_texts_are_cut_between_characters() {
    let long = "ä".repeat(MAX_TEXT);
    let found = lines(|| tracing::warn!(text = long, debug = ?long, "{long}"));
    for key in ["text", "debug", "message"] {
        let text = found[0][key].as_str().unwrap();
        assert!(text.len() <= MAX_TEXT + '…'.len_utf8() && text.ends_with('…'), "{key}: {}", text.len());
    }
}

#[test]
fn ids_come_from_the_spans_around() {
    let found = lines(|| {
        let outer = tracing::info_span!("outer", request_id = tracing::field::Empty);
        outer.record("request_id", "r1");
        let _outer = outer.enter();
        let inner = tracing::info_span!(target: LIFECYCLE, "load");
        let _inner = inner.enter();
        tracing::info!("inside");
    });
    let line = &found[0];
    assert_eq!(line["request_id"], "r1");
    assert_eq!(line["trace_id"].as_str().map(str::len), Some(32), "{line}");
    assert_eq!(line["span_id"].as_str().map(str::len), Some(16), "{line}");
}

#[test]
fn a_record_says_what_the_line_does() {
    use any_value::Value::{BoolValue, DoubleValue, IntValue, StringValue};
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let text = |text: &str| Some(StringValue(text.to_owned()));
    let found = records(&[], || {
        tracing::error!(
            request_id = "r1",
            trace_id = TRACE,
            span_id = "00f067aa0ba902b7",
            count = -3,
            big = u64::MAX,
            share = 0.5,
            yes = true,
            target = "mine",
            "two {}",
            1
        );
    });
    let record = &found[0];
    assert_eq!((record.severity_number, record.severity_text.as_str()), (17, "ERROR"));
    assert_eq!(record.body.as_ref().unwrap().value, text("two 1"));
    assert_eq!(record.trace_id, u128::from_str_radix(TRACE, 16).unwrap().to_be_bytes());
    assert_eq!((record.span_id.len(), record.flags), (8, 0));
    assert!(record.time_unix_nano > 1_600_000_000_000_000_000);
    assert_eq!(record.observed_time_unix_nano, record.time_unix_nano);
    for (key, expected) in [
        ("request_id", text("r1")),
        ("count", Some(IntValue(-3))),
        ("big", text("18446744073709551615")),
        ("share", Some(DoubleValue(0.5))),
        ("yes", Some(BoolValue(true))),
        ("target_", text("mine")),
        ("trace_id", None),
        ("message", None),
    ] {
        assert_eq!(attribute(record, key), expected, "{key}");
    }
    let Some(StringValue(target)) = attribute(record, "target") else { panic!("{record:?}") };
    assert!(target.starts_with("ml_inference_api::telemetry"), "{target}");
}

#[test]
fn ids_that_are_none_stay_texts_and_those_of_a_span_say_that_it_is_recorded() {
    let found = records(&[], || {
        tracing::info!(trace_id = "00000000000000000000000000000000", span_id = "00f067aa0ba902b7", "zeros");
        tracing::info!(trace_id = "4BF92F3577B34DA6A3CE929D0E0E4736", span_id = "x", "not lower case");
        let span = tracing::info_span!(target: LIFECYCLE, "load");
        let _inside = span.enter();
        tracing::info!("inside");
    });
    for record in &found[..2] {
        assert!(record.trace_id.is_empty() && record.span_id.is_empty(), "{record:?}");
        assert!(attribute(record, "trace_id").is_some() && attribute(record, "span_id").is_some());
    }
    assert_eq!((found[2].trace_id.len(), found[2].span_id.len(), found[2].flags), (16, 8, 1));
}

#[test]
fn a_records_attributes_are_bounded_in_number_and_length() {
    let limits =
        [("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "3"), ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "2")];
    let found = records(&limits, || tracing::info!(a = "äöü", b = 1, c = 2, d = 3, "whole"));
    let record = &found[0];
    assert_eq!((record.attributes.len(), record.dropped_attributes_count), (3, 2));
    assert_eq!(attribute(record, "a"), Some(any_value::Value::StringValue("äö".to_owned())));
    assert_eq!(
        record.body.as_ref().unwrap().value,
        Some(any_value::Value::StringValue("whole".to_owned())),
        "a body is no attribute"
    );
    let long = "x".repeat(2 * MAX_TEXT);
    let found = records(&[], || tracing::info!(long, "{long}"));
    assert!(found[0].encoded_len() < 3 * MAX_TEXT);
}

#[test]
fn the_thread_that_exports_records_makes_none() {
    let options = export(&[]);
    let queued = |log: fn()| {
        let metrics = Metrics::new(None, &crate::telemetry::BuildInfo::default());
        let queue = ExportQueue::new(options.queue, metrics.log_queue());
        let records = Records::new(queue, &options);
        let thread = std::thread::spawn(move || subscribe(records, log));
        thread.join().unwrap();
        metrics.render().contains("\notel_sdk_processor_log_queue_size 1\n")
    };
    assert!(queued(|| tracing::warn!("told")));
    assert!(!queued(|| {
        silence_this_thread();
        tracing::warn!("about the export itself");
    }));
}
