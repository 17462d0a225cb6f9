//! Logs on stderr, and the few spans that are made through `tracing`.
//!
//! Installed once by [`super::start`]. Invariant: a line is one line, whatever is logged, and a
//! closed stderr never stops the process.

mod json;
mod timestamp;

#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_sdk::trace::SdkTracer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::options::{LogFormat, LogOptions};
use json::JsonLayer;

/// The target of spans that are exported: start-up, loading, administration. Requests have their own way.
pub const LIFECYCLE: &str = "ml_inference_api::lifecycle";

const DEFAULT_FILTER: &str = "info";

/// True for a level or directives that the log's filter takes.
pub fn is_log_filter(text: &str) -> bool {
    EnvFilter::builder().parse(text).is_ok()
}

/// What is logged, for who may change it while the process runs.
#[derive(Clone, Debug)]
pub struct LogLevel {
    directives: Arc<Mutex<String>>,
    handle: reload::Handle<EnvFilter, Registry>,
}

impl LogLevel {
    /// The directives in force.
    pub fn directives(&self) -> String {
        self.directives.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts other directives in force.
    ///
    /// # Errors
    /// The reason why they are none; what was in force stays.
    pub fn change(&self, directives: &str) -> Result<(), String> {
        let filter = EnvFilter::builder().parse(directives).map_err(|error| error.to_string())?;
        let mut known = self.directives.lock().unwrap_or_else(PoisonError::into_inner);
        self.handle.reload(filter).map_err(|error| error.to_string())?;
        directives.clone_into(&mut known);
        Ok(())
    }
}

/// Installs the process' subscriber; a second call, as tests make, leaves the first one.
pub(super) fn install(options: &LogOptions, tracer: Option<SdkTracer>) -> LogLevel {
    let (filter, used, refused) = match EnvFilter::try_new(&options.filter) {
        Ok(filter) => (filter, options.filter.as_str(), None),
        Err(error) => (EnvFilter::new(DEFAULT_FILTER), DEFAULT_FILTER, Some(error)),
    };
    let (filter, handle) = reload::Layer::new(filter);
    let lines = match options.format {
        LogFormat::Json => JsonLayer::new(Stderr).with_filter(filter).boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .log_internal_errors(false)
            .with_writer(Stderr)
            .with_filter(filter)
            .boxed(),
    };
    let spans = tracer.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == LIFECYCLE))
    });
    let installed = tracing::subscriber::set_global_default(Registry::default().with(lines).with(spans));
    if let (Ok(()), Some(error)) = (installed, refused) {
        tracing::warn!(%error, filter = options.filter, used = DEFAULT_FILTER, "the log filter is not valid");
    }
    LogLevel { directives: Arc::new(Mutex::new(used.to_owned())), handle }
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
