//! The places spans can go: a collector over gRPC or HTTP, or stderr.
//!
//! Opened on the span queue's thread by [`super::provider`]. Invariant: every export ends within its
//! time limit, retries included, so that the queue's order and bounds mean something.

use std::future::Future;
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::{
    Compression, Protocol, RetryPolicy, SpanExporter as Otlp, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::{Builder, Runtime};

use super::queue::{ExportError, ExportErrorKind, SpanSink};
use crate::telemetry::otel::{OtlpOptions, OtlpProtocol};

/// An open way to a collector.
pub(super) struct OtlpSink {
    exporter: Otlp,
    /// Drives the gRPC connection; HTTP blocks by itself and must not be inside a runtime.
    runtime: Option<Runtime>,
    limit: Duration,
}

impl OtlpSink {
    /// Prepares the exporter; nothing is connected before the first export.
    pub(super) fn open(
        options: &OtlpOptions,
        limit: Duration,
        resource: &Resource,
    ) -> Result<Self, ExportError> {
        let limit = limit.min(options.timeout);
        let mut sink = match options.protocol {
            OtlpProtocol::Grpc => {
                let runtime = Builder::new_multi_thread()
                    .worker_threads(1)
                    .thread_name("span-export-io")
                    .enable_all()
                    .build()
                    .map_err(unusable)?;
                let entered = runtime.enter();
                let exporter = grpc(options, limit)?;
                drop(entered);
                Self { exporter, runtime: Some(runtime), limit }
            }
            OtlpProtocol::HttpProtobuf => Self { exporter: http(options, limit)?, runtime: None, limit },
        };
        sink.exporter.set_resource(resource);
        Ok(sink)
    }
}

impl SpanSink for OtlpSink {
    fn export(&mut self, batch: Vec<SpanData>) -> Result<(), ExportError> {
        let started = Instant::now();
        let export = self.exporter.export(batch);
        let result: OTelSdkResult = match &self.runtime {
            Some(runtime) => match runtime.block_on(async { tokio::time::timeout(self.limit, export).await })
            {
                Ok(result) => result,
                Err(_) => return Err(timed_out(self.limit)),
            },
            None => block_on(export),
        };
        result.map_err(|error| {
            // The clients say no more than "network error" of a timeout; the clock knows better.
            if started.elapsed() >= self.limit {
                timed_out(self.limit)
            } else {
                classified(error.to_string())
            }
        })
    }
}

/// Lines on stderr, for a first look without a collector.
pub(super) struct ConsoleSink;

impl SpanSink for ConsoleSink {
    fn export(&mut self, batch: Vec<SpanData>) -> Result<(), ExportError> {
        let mut text = String::new();
        for span in batch {
            let micros = span.end_time.duration_since(span.start_time).unwrap_or_default().as_micros();
            let start =
                span.start_time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
            let (trace, id) = (span.span_context.trace_id(), span.span_context.span_id());
            let (name, parent) = (&span.name, span.parent_span_id);
            let head =
                format!("span {name:?} trace={trace} id={id} parent={parent} start_us={start} us={micros}");
            text.push_str(&head);
            for attribute in &span.attributes {
                for part in [" ", attribute.key.as_str(), "=", &attribute.value.as_str()] {
                    text.push_str(part);
                }
            }
            text.push('\n');
        }
        std::io::stderr().write_all(text.as_bytes()).map_err(unusable)
    }
}

fn grpc(options: &OtlpOptions, limit: Duration) -> Result<Otlp, ExportError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &options.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    let mut builder = Otlp::builder()
        .with_tonic()
        .with_protocol(Protocol::Grpc)
        .with_endpoint(&options.endpoint)
        .with_timeout(limit)
        .with_metadata(MetadataMap::from_headers(headers))
        .with_retry_policy(retries());
    if options.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    builder.build().map_err(unusable)
}

fn http(options: &OtlpOptions, limit: Duration) -> Result<Otlp, ExportError> {
    let mut builder = Otlp::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&options.endpoint)
        .with_timeout(limit)
        .with_headers(options.headers.iter().cloned().collect())
        .with_retry_policy(retries());
    if options.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    builder.build().map_err(unusable)
}

/// One retry bridges a connection that the collector closed while idle; more would only hold up the queue.
fn retries() -> RetryPolicy {
    RetryPolicy::recommended().with_max_retries(1)
}

fn unusable(error: impl std::fmt::Display) -> ExportError {
    ExportError { kind: ExportErrorKind::Unavailable, message: error.to_string() }
}

fn timed_out(limit: Duration) -> ExportError {
    ExportError { kind: ExportErrorKind::Timeout, message: format!("no answer within {limit:?}") }
}

fn classified(message: String) -> ExportError {
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let kind = if has(&["DeadlineExceeded", "Cancelled", "imeout", "status code: 504"]) {
        ExportErrorKind::Timeout
    } else if has(&["Unavailable", "network error", "Unknown", "status code: 502", "status code: 503"]) {
        ExportErrorKind::Unavailable
    } else {
        ExportErrorKind::Rejected
    };
    ExportError { kind, message }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future outside any runtime: the blocking HTTP client refuses to work inside one.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
