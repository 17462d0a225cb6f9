//! Tests of the log lines: one line each, parseable, joined to traces.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use super::LIFECYCLE;
use super::json::{JsonLayer, MAX_TEXT};

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
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let tracer = opentelemetry::trace::TracerProvider::tracer(&provider, "test");
    let subscriber = Registry::default()
        .with(JsonLayer::new(captured.clone()))
        .with(tracing_opentelemetry::layer().with_tracer(tracer));
    tracing::subscriber::with_default(subscriber, log);
    let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
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
