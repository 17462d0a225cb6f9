//! Which signals are exported, where to, and how often.
//!
//! Used by [`super::OtelOptions::from_variables`]. Invariant: without an endpoint nothing is exported; metrics and logs
//! are only where their exporter is named, since they have a way out of their own.

use std::time::Duration;

use super::endpoint::collector;
use super::reader::Reader;
use super::{LogExport, MetricExport, OtlpOptions, QueueOptions, TraceExporter};
use crate::telemetry::labels::Signal;

pub(super) fn traces(reader: &mut Reader<'_>, queue: &QueueOptions) -> TraceExporter {
    if is_disabled(reader) {
        return TraceExporter::Off;
    }
    let wanted = reader.text("OTEL_TRACES_EXPORTER").unwrap_or("otlp");
    let (first, rest) = wanted.split_once(',').unwrap_or((wanted, ""));
    if !rest.is_empty() {
        reader.warn(format!("OTEL_TRACES_EXPORTER names several exporters: only {first:?} is used"));
    }
    match first.trim() {
        "otlp" => {
            let otlp = collector(reader, Signal::Traces, queue.export_timeout);
            otlp.map_or(TraceExporter::Off, TraceExporter::Otlp)
        }
        "console" => TraceExporter::Console,
        "none" => TraceExporter::Off,
        other => {
            reader.warn(format!("OTEL_TRACES_EXPORTER {other:?} is not supported: no spans are exported"));
            TraceExporter::Off
        }
    }
}

pub(super) fn metrics(reader: &mut Reader<'_>) -> Option<MetricExport> {
    // Metrics are always there to be scraped.
    if !is_wanted(reader, "OTEL_METRICS_EXPORTER", "prometheus") {
        return None;
    }
    let preference = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    if let Some(other) = reader.text(preference).filter(|text| !text.eq_ignore_ascii_case("cumulative")) {
        reader.warn(format!("{preference} {other:?} is not supported: cumulative is used"));
    }
    let interval = reader.millis("OTEL_METRIC_EXPORT_INTERVAL", 60_000);
    let limit = reader.millis("OTEL_METRIC_EXPORT_TIMEOUT", 30_000);
    let otlp = named(reader, "OTEL_METRICS_EXPORTER", Signal::Metrics, limit)?;
    Some(MetricExport { otlp, interval: interval.max(Duration::from_millis(1)) })
}

pub(super) fn logs(reader: &mut Reader<'_>) -> Option<LogExport> {
    // They are on stderr as it is: the console is no further exporter.
    if !is_wanted(reader, "OTEL_LOGS_EXPORTER", "") {
        return None;
    }
    let queue = queue(reader, "OTEL_BLRP", 2048, 1000);
    let attributes = reader.number("OTEL_ATTRIBUTE_COUNT_LIMIT", 128);
    let length = reader.number("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", usize::MAX);
    Some(LogExport {
        otlp: named(reader, "OTEL_LOGS_EXPORTER", Signal::Logs, queue.export_timeout)?,
        queue,
        attributes: reader.number("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", attributes),
        value_length: reader.number("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", length),
    })
}

/// The queue that the variables beginning with `prefix` size; `delay` is in milliseconds.
pub(super) fn queue(reader: &mut Reader<'_>, prefix: &str, capacity: usize, delay: u64) -> QueueOptions {
    let capacity = reader.number(&format!("{prefix}_MAX_QUEUE_SIZE"), capacity).max(1);
    let name = format!("{prefix}_MAX_EXPORT_BATCH_SIZE");
    let mut batch = reader.number(&name, 512).max(1);
    if batch > capacity {
        reader.warn(format!("{name} is {batch}, above the queue's size: {capacity} is used"));
        batch = capacity;
    }
    QueueOptions {
        capacity,
        batch,
        delay: reader.millis(&format!("{prefix}_SCHEDULE_DELAY"), delay),
        export_timeout: reader.millis(&format!("{prefix}_EXPORT_TIMEOUT"), 30_000),
    }
}

fn is_disabled(reader: &mut Reader<'_>) -> bool {
    reader.is_true("OTEL_SDK_DISABLED")
}

/// Whether `variable` names `otlp`; `present` is what needs no exporter here.
fn is_wanted(reader: &mut Reader<'_>, variable: &str, present: &str) -> bool {
    if is_disabled(reader) {
        return false;
    }
    let mut wanted = false;
    for name in reader.text(variable).unwrap_or("none").split(',').map(str::trim) {
        match name {
            "otlp" => wanted = true,
            "none" | "" => {}
            name if name == present => {}
            other => reader.warn(format!("{variable} {other:?} is not supported: it is left out")),
        }
    }
    wanted
}

/// The collector of a signal whose exporter was asked for by name.
fn named(reader: &mut Reader<'_>, variable: &str, signal: Signal, limit: Duration) -> Option<OtlpOptions> {
    let found = collector(reader, signal, limit);
    if found.is_none() {
        let signal = signal.as_str();
        reader
            .warn(format!("{variable} is otlp, and there is no endpoint to use: {signal} are not exported"));
    }
    found
}
