//! The span processor: a bounded queue, and a thread of its own that exports in batches.
//!
//! The SDK's processor shows no drops and cannot bound the exit. Invariants: ending a span never
//! waits for the exporter; a full queue drops and counts; a flush returns in time even when the
//! collector never answers, leaving the thread behind.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use crate::telemetry::metrics::SpanMetrics;
use crate::telemetry::otel::QueueOptions;

/// Takes batches of spans, blocking, on the queue's thread.
pub(super) trait SpanSink {
    /// Sends one batch.
    fn export(&mut self, batch: Vec<SpanData>) -> Result<(), ExportError>;
}

/// Why a batch was lost.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct ExportError {
    pub(super) kind: ExportErrorKind,
    pub(super) message: String,
}

/// The `error_type` of a lost batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExportErrorKind {
    Timeout,
    Unavailable,
    Rejected,
}

/// The producers' end. Cheap to clone.
#[derive(Clone)]
pub(super) struct SpanQueue {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Work for the thread: a full batch, a flush, the end.
    wake: Condvar,
    /// News for those who flush.
    settled: Condvar,
    options: QueueOptions,
    value_length: Option<usize>,
    metrics: SpanMetrics,
}

#[derive(Default)]
struct State {
    spans: VecDeque<SpanData>,
    /// Spans ever taken in.
    taken: u64,
    /// Spans ever exported or lost; they leave in order.
    done: u64,
    /// Spans ever lost in an export.
    lost: u64,
    /// Export without delay up to this count.
    flush_until: u64,
    closed: bool,
}

impl SpanQueue {
    pub(super) fn new(options: QueueOptions, value_length: Option<usize>, metrics: SpanMetrics) -> Self {
        metrics.queue_capacity.set(i64::try_from(options.capacity).unwrap_or(i64::MAX));
        let shared = Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            settled: Condvar::new(),
            options,
            value_length,
            metrics,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Starts the thread; `open` makes the sink on it, since clients belong to the thread they block.
    pub(super) fn spawn<F, S>(&self, open: F) -> std::io::Result<()>
    where
        F: FnOnce() -> Result<S, ExportError> + Send + 'static,
        S: SpanSink,
    {
        let shared = Arc::clone(&self.shared);
        let run = move || {
            // What the clients below trace about themselves must not become spans to export.
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            match open() {
                Ok(mut sink) => shared.run(&mut |batch| sink.export(batch)),
                Err(error) => {
                    tracing::error!(%error, "spans cannot be exported");
                    let (kind, message) = (error.kind, error.message);
                    shared.run(&mut |_| Err(ExportError { kind, message: message.clone() }));
                }
            }
        };
        thread::Builder::new().name("span-export".to_owned()).spawn(run).map(drop)
    }

    /// Waits until what is queued now was exported, at most `timeout`; true when all of it arrived.
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.lock();
        let (target, lost) = (state.taken, state.lost);
        state.flush_until = state.flush_until.max(target);
        self.shared.wake.notify_all();
        while state.done < target {
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                return false;
            };
            state = self.shared.settled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.lost == lost
    }
}

impl fmt::Debug for SpanQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanQueue").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if let Some(length) = self.shared.value_length {
            truncate_values(&mut span, length);
        }
        self.shared.push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        let timeout = self.shared.options.export_timeout;
        if self.flush(timeout) { Ok(()) } else { Err(OTelSdkError::Timeout(timeout)) }
    }

    /// Only tells the thread to end: whoever wants to wait has [`SpanQueue::flush`], with its own limit.
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
        Ok(())
    }

    fn set_resource(&mut self, _: &Resource) {}
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, span: SpanData) {
        let mut state = self.lock();
        if state.closed || state.spans.len() >= self.options.capacity {
            drop(state);
            self.metrics.queue_full.inc();
            return;
        }
        state.spans.push_back(span);
        state.taken += 1;
        let waiting = state.spans.len();
        self.metrics.queue_size.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        drop(state);
        if waiting == self.options.batch {
            self.wake.notify_all();
        }
    }

    fn run(&self, export: &mut dyn FnMut(Vec<SpanData>) -> Result<(), ExportError>) {
        let mut failing = false;
        while let Some(batch) = self.next_batch() {
            let count = batch.len() as u64;
            self.metrics.processed.inc_by(count);
            let result = export(batch);
            self.count(&result, count);
            report(&result, &mut failing);
            let mut state = self.lock();
            state.done += count;
            state.lost += if result.is_err() { count } else { 0 };
            drop(state);
            self.settled.notify_all();
        }
    }

    /// The next batch when it is due; none once the queue is closed and empty.
    fn next_batch(&self) -> Option<Vec<SpanData>> {
        let due = Instant::now() + self.options.delay;
        let mut state = self.lock();
        loop {
            let flush = state.done < state.flush_until;
            let left = due.saturating_duration_since(Instant::now());
            let ready = state.spans.len() >= self.options.batch || state.closed || flush || left.is_zero();
            if ready && !state.spans.is_empty() {
                break;
            }
            if state.closed {
                return None;
            }
            // With nothing to send there is nothing to be late with; a first span waits one whole delay.
            let wait = if left.is_zero() { self.options.delay.max(Duration::from_millis(1)) } else { left };
            state = self.wake.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        let count = state.spans.len().min(self.options.batch);
        let batch = state.spans.drain(..count).collect();
        self.metrics.queue_size.set(i64::try_from(state.spans.len()).unwrap_or(i64::MAX));
        Some(batch)
    }

    fn count(&self, result: &Result<(), ExportError>, spans: u64) {
        let counter = match result.as_ref().map_err(|error| error.kind) {
            Ok(()) => &self.metrics.exported,
            Err(ExportErrorKind::Timeout) => &self.metrics.timeout,
            Err(ExportErrorKind::Unavailable) => &self.metrics.unavailable,
            Err(ExportErrorKind::Rejected) => &self.metrics.rejected,
        };
        counter.inc_by(spans);
    }
}

/// One line when exports begin to fail, one when they work again.
fn report(result: &Result<(), ExportError>, failing: &mut bool) {
    match result {
        Err(error) if !*failing => {
            tracing::warn!(%error, "span export fails; spans are lost and counted until it works again");
        }
        Ok(()) if *failing => tracing::info!("span export works again"),
        _ => {}
    }
    *failing = result.is_err();
}

fn truncate_values(span: &mut SpanData, length: usize) {
    let lists = std::iter::once(&mut span.attributes)
        .chain(span.events.events.iter_mut().map(|event| &mut event.attributes))
        .chain(span.links.links.iter_mut().map(|link| &mut link.attributes));
    for attribute in lists.flatten() {
        truncate_value(attribute, length);
    }
}

fn truncate_value(attribute: &mut KeyValue, length: usize) {
    if let Value::String(text) = &attribute.value
        && let Some((end, _)) = text.as_str().char_indices().nth(length)
    {
        attribute.value = Value::String(text.as_str()[..end].to_owned().into());
    }
}
