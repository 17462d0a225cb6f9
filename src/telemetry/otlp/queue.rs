//! A bounded queue of encoded items, and a thread of its own that exports them in batches.
//!
//! The SDK's processors show no drops and cannot bound the exit. Invariants: who puts something in never waits for the
//! exporter; a full queue drops and counts, and spares who comes the encoding; a flush returns in time even when the
//! collector never answers, leaving the thread behind. In steady state nothing is allocated: items are written into
//! a buffer of the thread's own and copied into the batch that is being filled, and batches' buffers are used again.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::Context;

use super::{ExportError, ExportErrorKind};
use crate::telemetry::metrics::QueueMetrics;
use crate::telemetry::otel::QueueOptions;

/// Takes batches of encoded items, blocking, on the queue's thread.
pub(in crate::telemetry) trait Sink {
    /// Sends one batch of items; gives how many of them the other side refused.
    fn send(&mut self, items: &[u8]) -> Result<u64, ExportError>;
}

/// The producers' end. Cheap to clone.
#[derive(Clone)]
pub(in crate::telemetry) struct ExportQueue {
    shared: Arc<Shared>,
}

struct Shared {
    /// What is exported, for people.
    what: &'static str,
    state: Mutex<State>,
    /// `State::waiting`, for who looks before it writes.
    waiting: AtomicU64,
    /// Work for the thread: a full batch, a flush, the end.
    wake: Condvar,
    /// News for those who flush.
    settled: Condvar,
    options: QueueOptions,
    metrics: QueueMetrics,
}

/// Encoded items, one after the other.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    items: u64,
}

#[derive(Default)]
struct State {
    /// Batches that are full, the oldest first.
    full: VecDeque<Batch>,
    filling: Batch,
    /// Buffers to use again.
    spare: Vec<Vec<u8>>,
    /// Items in all of them.
    waiting: u64,
    /// Items ever taken in.
    taken: u64,
    /// Items ever exported or lost; they leave in order.
    done: u64,
    /// Items ever lost in an export.
    lost: u64,
    /// Export without delay up to this count.
    flush_until: u64,
    closed: bool,
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A buffer that once held something huge is not kept.
const KEPT: usize = 1 << 20;
const SPARE: usize = 4;

impl ExportQueue {
    /// A queue whose items are told to people as `what`. Nobody empties it before [`Self::spawn`].
    pub(in crate::telemetry) fn new(
        what: &'static str,
        options: QueueOptions,
        metrics: QueueMetrics,
    ) -> Self {
        metrics.queue_capacity.set(i64::try_from(options.capacity).unwrap_or(i64::MAX));
        let shared = Shared {
            what,
            state: Mutex::default(),
            waiting: AtomicU64::new(0),
            wake: Condvar::new(),
            settled: Condvar::new(),
            options,
            metrics,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Starts the thread `name`; `open` makes the sink on it, since a connection belongs to the thread it blocks.
    pub(in crate::telemetry) fn spawn<F, S>(&self, name: &str, open: F) -> std::io::Result<()>
    where
        F: FnOnce() -> Result<S, ExportError> + Send + 'static,
        S: Sink,
    {
        let shared = Arc::clone(&self.shared);
        let run = move || {
            // What is traced about an export must not become something to export.
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            match open() {
                Ok(mut sink) => shared.run(&mut |batch| sink.send(batch)),
                Err(error) => {
                    tracing::error!(%error, "{} cannot be exported", shared.what);
                    let (kind, message) = (error.kind, error.message);
                    shared.run(&mut |_| Err(ExportError { kind, message: message.clone() }));
                }
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
    }

    /// Has `write` append items and say how many, unless the queue is full: then `expected` of them are lost.
    pub(in crate::telemetry) fn put(&self, expected: u64, write: impl FnOnce(&mut Vec<u8>) -> u64) {
        if self.shared.waiting.load(Ordering::Relaxed) >= self.shared.options.capacity as u64 {
            self.shared.metrics.queue_full.inc_by(expected);
            return;
        }
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            let items = write(scratch);
            self.shared.push(scratch, items);
            if scratch.capacity() > KEPT {
                *scratch = Vec::new();
            }
        });
    }

    /// Waits until what is queued now was exported, at most `timeout`; true when all of it arrived.
    pub(in crate::telemetry) fn flush(&self, timeout: Duration) -> bool {
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

    /// Tells the thread to end once it has sent what waits: who wants to wait for that has [`Self::flush`].
    pub(in crate::telemetry) fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

impl fmt::Debug for ExportQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportQueue").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, bytes: &[u8], items: u64) {
        let mut state = self.lock();
        // What could never fit goes in alone.
        let fits = state.waiting == 0 || state.waiting + items <= self.options.capacity as u64;
        if state.closed || !fits {
            drop(state);
            self.metrics.queue_full.inc_by(items);
            return;
        }
        let is_full = state.filling.items + items > self.options.batch as u64;
        if is_full && state.filling.items > 0 {
            let next = Batch { bytes: state.spare.pop().unwrap_or_default(), items: 0 };
            let full = std::mem::replace(&mut state.filling, next);
            state.full.push_back(full);
        }
        state.filling.bytes.extend_from_slice(bytes);
        state.filling.items += items;
        state.taken += items;
        self.waits(&mut state, items, 0);
        let wakes = state.full.len() + usize::from(state.filling.items == self.options.batch as u64) == 1;
        drop(state);
        if wakes {
            self.wake.notify_all();
        }
    }

    fn waits(&self, state: &mut State, came: u64, went: u64) {
        state.waiting = state.waiting + came - went;
        self.waiting.store(state.waiting, Ordering::Relaxed);
        self.metrics.queue_size.set(i64::try_from(state.waiting).unwrap_or(i64::MAX));
    }

    fn run(&self, export: &mut dyn FnMut(&[u8]) -> Result<u64, ExportError>) {
        let mut failing = false;
        while let Some(mut batch) = self.next_batch() {
            self.metrics.processed.inc_by(batch.items);
            let result = export(&batch.bytes);
            let lost = self.count(&result, batch.items);
            self.report(&result, &mut failing);
            batch.bytes.clear();
            let mut state = self.lock();
            state.done += batch.items;
            state.lost += lost;
            if state.spare.len() < SPARE && batch.bytes.capacity() <= KEPT {
                state.spare.push(batch.bytes);
            }
            drop(state);
            self.settled.notify_all();
        }
    }

    /// The next batch when it is due; none once the queue is closed and empty.
    fn next_batch(&self) -> Option<Batch> {
        let due = Instant::now() + self.options.delay;
        let mut state = self.lock();
        loop {
            let flush = state.done < state.flush_until;
            let left = due.saturating_duration_since(Instant::now());
            let is_full = !state.full.is_empty() || state.filling.items >= self.options.batch as u64;
            let ready = is_full || state.closed || flush || left.is_zero();
            if ready && state.waiting > 0 {
                break;
            }
            if state.closed {
                return None;
            }
            // With nothing to send there is nothing to be late with; a first item waits one whole delay.
            let wait = if left.is_zero() { self.options.delay.max(Duration::from_millis(1)) } else { left };
            state = self.wake.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        let batch = state.full.pop_front().unwrap_or_else(|| {
            let next = Batch { bytes: state.spare.pop().unwrap_or_default(), items: 0 };
            std::mem::replace(&mut state.filling, next)
        });
        self.waits(&mut state, 0, batch.items);
        Some(batch)
    }

    /// Counts how an export ended; gives how many of its items are lost.
    fn count(&self, result: &Result<u64, ExportError>, items: u64) -> u64 {
        let metrics = &self.metrics;
        let (lost, counter) = match result.as_ref().map_err(|error| error.kind) {
            Ok(rejected) => ((*rejected).min(items), &metrics.rejected),
            Err(ExportErrorKind::Timeout) => (items, &metrics.timeout),
            Err(ExportErrorKind::Unavailable) => (items, &metrics.unavailable),
            Err(ExportErrorKind::Rejected) => (items, &metrics.rejected),
        };
        counter.inc_by(lost);
        metrics.exported.inc_by(items - lost);
        lost
    }

    /// One line when exports begin to fail, one when they work again.
    fn report(&self, result: &Result<u64, ExportError>, failing: &mut bool) {
        let what = self.what;
        match result {
            Err(error) if !*failing => {
                tracing::warn!(%error, "export of {what} fails; they are lost and counted until it works again");
            }
            Ok(rejected @ 1..) if !*failing => {
                tracing::warn!(
                    rejected,
                    "the collector took a part of the {what} only; the rest is lost and counted"
                );
            }
            Ok(0) if *failing => tracing::info!("export of {what} works again"),
            _ => {}
        }
        *failing = !matches!(result, Ok(0));
    }
}
