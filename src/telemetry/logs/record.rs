//! Events as OTLP log records, for the collector.
//!
//! Installed by [`super::install`] beside the lines on stderr. Invariants: an event waits for nothing but the queue's
//! lock; what the thread that exports records has to say goes to stderr alone, so that a failing export makes no records.

use std::cell::Cell;

use serde_json::Value;
use tracing::Level;

use super::event::{Entry, Output};
use crate::telemetry::otel::LogExport;
use crate::telemetry::otlp::{ExportQueue, ITEM, wire};

thread_local! {
    static EXPORTS_RECORDS: Cell<bool> = const { Cell::new(false) };
}

/// From now on this thread's events become no records.
pub(in crate::telemetry) fn silence_this_thread() {
    EXPORTS_RECORDS.set(true);
}

/// Queues events as records.
#[derive(Debug)]
pub(in crate::telemetry) struct Records {
    queue: ExportQueue,
    attributes: usize,
    value_length: usize,
}

impl Records {
    pub(in crate::telemetry) fn new(queue: ExportQueue, options: &LogExport) -> Self {
        Self { queue, attributes: options.attributes, value_length: options.value_length }
    }

    /// Appends a `LogRecord`, as a field of the message that holds it.
    pub(super) fn encode(&self, out: &mut Vec<u8>, entry: &Entry) {
        wire::message(out, ITEM, |out| {
            let now = wire::nanos(entry.time);
            wire::fixed64(out, 1, now);
            wire::varint(out, 2, severity(*entry.metadata.level()));
            wire::bytes(out, 3, entry.metadata.level().as_str().as_bytes());
            wire::message(out, 5, |out| any_value(out, &entry.message, usize::MAX));
            let target = Value::from(entry.metadata.target());
            let trace = id::<16>(entry.ids.get("trace_id"));
            let span = trace.and_then(|_| id::<8>(entry.ids.get("span_id")));
            // Ids that are none stay texts.
            let texts = entry.ids.iter().filter(|(key, _)| match key.as_str() {
                "trace_id" => trace.is_none(),
                "span_id" => span.is_none(),
                _ => true,
            });
            let texts = texts.map(|(key, value)| (key.as_str().into(), value));
            let mut dropped = 0;
            for (index, (key, value)) in
                std::iter::once(("target".into(), &target)).chain(texts).chain(entry.fields()).enumerate()
            {
                if index >= self.attributes {
                    dropped += 1;
                    continue;
                }
                wire::message(out, 6, |out| {
                    wire::bytes(out, 1, key.as_bytes());
                    wire::message(out, 2, |out| any_value(out, value, self.value_length));
                });
            }
            if dropped > 0 {
                wire::varint(out, 7, dropped);
            }
            if entry.is_sampled {
                wire::fixed32(out, 8, 1);
            }
            if let Some(trace) = trace {
                wire::bytes(out, 9, &trace);
            }
            if let Some(span) = span {
                wire::bytes(out, 10, &span);
            }
            wire::fixed64(out, 11, now);
        });
    }
}

impl Output for Records {
    fn take(&self, entry: Entry) {
        if !EXPORTS_RECORDS.get() {
            self.queue.put(1, |out| {
                self.encode(out, &entry);
                1
            });
        }
    }
}

/// The number of a level in the logs data model.
fn severity(level: Level) -> u64 {
    match level {
        Level::TRACE => 1,
        Level::DEBUG => 5,
        Level::INFO => 9,
        Level::WARN => 13,
        Level::ERROR => 17,
    }
}

fn any_value(out: &mut Vec<u8>, value: &Value, length: usize) {
    let text =
        |out: &mut Vec<u8>, text: &str| wire::any_value(out, wire::Value::Text(wire::cut(text, length)));
    match value {
        Value::Bool(yes) => wire::any_value(out, wire::Value::Bool(*yes)),
        Value::String(string) => text(out, string),
        Value::Number(number) => match (number.as_i64(), number.as_f64().filter(|_| number.is_f64())) {
            (Some(whole), _) => wire::any_value(out, wire::Value::Integer(whole)),
            (None, Some(float)) => wire::any_value(out, wire::Value::Float(float)),
            // Above what the protocol's numbers hold exactly.
            (None, None) => text(out, &number.to_string()),
        },
        other => text(out, &other.to_string()),
    }
}

/// The bytes of an id in lower-case hex, unless it is all zeros.
fn id<const N: usize>(value: Option<&Value>) -> Option<[u8; N]> {
    let text = value?.as_str().filter(|text| text.len() == 2 * N)?.as_bytes();
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut id = [0; N];
    for (byte, pair) in id.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    (id != [0; N]).then_some(id)
}
