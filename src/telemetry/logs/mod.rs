//! Logs on stderr and, where asked for, to a collector; and the few spans that are made through `tracing`.
//!
//! Installed once by [`super::start`]. Invariant: a line is one line, whatever is logged, and a
//! closed stderr never stops the process.

mod event;
mod json;
mod level;
mod record;
mod timestamp;

#[cfg(test)]
mod tests;

use std::io::{self, Write};

use opentelemetry_sdk::trace::SdkTracer;
use tracing::subscriber::set_global_default;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{EnvFilter, Registry};

pub use level::LogLevel;
pub(super) use record::{Records, silence_this_thread};

use super::options::{LogFormat, LogOptions};
use event::EventLayer;
use json::JsonLines;

/// The target of spans that are exported: start-up, loading, administration. Requests have their own way.
pub const LIFECYCLE: &str = "ml_inference_api::lifecycle";

const DEFAULT_FILTER: &str = "info";

/// True for a level or directives that the log's filter takes.
pub fn is_log_filter(text: &str) -> bool {
    EnvFilter::builder().parse(text).is_ok()
}

/// Installs the process' subscriber; a second call, as tests make, leaves the first one.
pub(super) fn install(options: &LogOptions, tracer: Option<SdkTracer>, records: Option<Records>) -> LogLevel {
    let refused = EnvFilter::try_new(&options.filter).err();
    let level = LogLevel::new(if refused.is_some() { DEFAULT_FILTER } else { &options.filter });
    let lines = match options.format {
        LogFormat::Json => EventLayer::new(JsonLines(Stderr)).with_filter(level.filter()).boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .log_internal_errors(false)
            .with_writer(Stderr)
            .with_filter(level.filter())
            .boxed(),
    };
    let spans = tracer.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == LIFECYCLE))
    });
    let subscriber = Registry::default().with(lines).with(spans);
    // An optional layer would not be told of the dispatcher that it serves.
    let installed = match records {
        None => set_global_default(subscriber),
        Some(records) => {
            set_global_default(subscriber.with(EventLayer::new(records).with_filter(level.filter())))
        }
    };
    if let (Ok(()), Some(error)) = (installed, refused) {
        tracing::warn!(%error, filter = options.filter, used = DEFAULT_FILTER, "the log filter is not valid");
    }
    level
}

/// Stderr, whose faults are nobody's concern: there is no place left to tell them.
#[derive(Clone, Copy, Debug)]
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        drop(io::stderr().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}
