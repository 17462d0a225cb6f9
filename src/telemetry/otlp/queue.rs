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

use super::{Accepted, ExportError};
use crate::telemetry::metrics::QueueMetrics;
use crate::telemetry::otel::QueueOptions;

/// The producers' end. Cheap to clone.
#[derive(Clone)]
pub(in crate::telemetry) struct ExportQueue {
    shared: Arc<Shared>,
}

struct Shared {
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

/// A flush that has begun.
#[derive(Clone, Copy, Debug)]
pub(in crate::telemetry) struct Flush {
    until: u64,
    lost: u64,
}

impl ExportQueue {
    /// A queue that nobody empties before [`Self::spawn`].
    pub(in crate::telemetry) fn new(options: QueueOptions, metrics: QueueMetrics) -> Self {
        metrics.capacity.set(i64::try_from(options.capacity).unwrap_or(i64::MAX));
        let shared = Shared {
            state: Mutex::default(),
            waiting: AtomicU64::new(0),
            wake: Condvar::new(),
            settled: Condvar::new(),
            options,
            metrics,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Starts the thread `name`; `open` makes on it what exports a batch, blocking.
    pub(in crate::telemetry) fn spawn<F, E>(&self, name: &str, open: F) -> std::io::Result<()>
    where
        F: FnOnce() -> E + Send + 'static,
        E: FnMut(&[u8]) -> Result<Accepted, ExportError>,
    {
        let shared = Arc::clone(&self.shared);
        let run = move || {
            // What is traced about an export must not become something to export.
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            shared.run(&mut open());
        };
        thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
    }

    /// Has `write` append items and say how many, unless the queue is full: then `expected` of them are lost.
    pub(in crate::telemetry) fn put(&self, expected: u64, write: impl FnOnce(&mut Vec<u8>) -> u64) {
        if self.loses(expected) {
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

    /// Whether the queue is full: then so many items, which nobody need make, are lost.
    pub(in crate::telemetry) fn loses(&self, items: u64) -> bool {
        let is_full = self.shared.waiting.load(Ordering::Relaxed) >= self.shared.options.capacity as u64;
        if is_full {
            self.lost(items);
        }
        is_full
    }

    /// Counts items that were not made because the queue was full.
    pub(in crate::telemetry) fn lost(&self, items: u64) {
        self.shared.metrics.full.inc_by(items);
    }

    /// Has everything that is in the queue now exported without delay.
    pub(in crate::telemetry) fn begin_flush(&self) -> Flush {
        let mut state = self.shared.lock();
        state.flush_until = state.taken;
        self.shared.wake.notify_all();
        Flush { until: state.taken, lost: state.lost }
    }

    /// Waits for its end until `deadline`; true when all of it arrived.
    pub(in crate::telemetry) fn await_flush(&self, flush: Flush, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let waits = self
            .shared
            .settled
            .wait_timeout_while(self.shared.lock(), left, |state| state.done < flush.until);
        let (state, waited) = waits.unwrap_or_else(PoisonError::into_inner);
        !waited.timed_out() && state.lost == flush.lost
    }

    /// Tells the thread to end once it has sent what waits: who wants to wait for that flushes.
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
            self.metrics.full.inc_by(items);
            return;
        }
        let (batch, before) = (self.options.batch as u64, state.filling.items);
        let closes = before > 0 && before + items > batch;
        if closes {
            let next = Batch { bytes: state.spare.pop().unwrap_or_default(), items: 0 };
            let full = std::mem::replace(&mut state.filling, next);
            state.full.push_back(full);
        }
        state.filling.bytes.extend_from_slice(bytes);
        state.filling.items += items;
        state.taken += items;
        self.waits(&mut state, items, 0);
        // To wake a thread is a call of the kernel's, also where none sleeps: once for a batch that is due.
        let is_due = state.filling.items >= batch && state.full.is_empty();
        let wakes = if closes { state.full.len() == 1 && before < batch } else { is_due };
        drop(state);
        if wakes {
            self.wake.notify_all();
        }
    }

    fn waits(&self, state: &mut State, came: u64, went: u64) {
        state.waiting = state.waiting + came - went;
        self.waiting.store(state.waiting, Ordering::Relaxed);
        self.metrics.size.set(i64::try_from(state.waiting).unwrap_or(i64::MAX));
    }

    fn run(&self, export: &mut dyn FnMut(&[u8]) -> Result<Accepted, ExportError>) {
        while let Some(mut batch) = self.next_batch() {
            self.metrics.processed.inc_by(batch.items);
            self.metrics.inflight.set(i64::try_from(batch.items).unwrap_or(i64::MAX));
            let result = export(&batch.bytes);
            self.metrics.inflight.set(0);
            let lost = self.metrics.exported.count(&result, batch.items);
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
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::telemetry::BuildInfo;
    use crate::telemetry::metrics::Metrics;
    use crate::telemetry::otlp::ExportErrorKind;

    const OPTIONS: QueueOptions = QueueOptions {
        capacity: 4,
        batch: 2,
        delay: Duration::from_mins(1),
        export_timeout: Duration::from_mins(1),
    };
    const PATIENCE: Duration = Duration::from_secs(20);

    fn queue() -> (Metrics, ExportQueue) {
        let metrics = Metrics::new(None, &BuildInfo::default());
        let queue = ExportQueue::new(OPTIONS, metrics.log_queue());
        (metrics, queue)
    }

    fn put(queue: &ExportQueue, item: &[u8]) {
        queue.put(1, |out| {
            out.extend_from_slice(item);
            1
        });
    }

    #[track_caller]
    fn counts(metrics: &Metrics, series: &str, expected: u64) {
        let line = format!("\notel_sdk_{series} {expected}\n");
        let text = metrics.render();
        let log = |line: &&str| line.starts_with("otel_sdk_") && line.contains("log");
        assert!(text.contains(&line), "{line} in {:#?}", text.lines().filter(log).collect::<Vec<_>>());
    }

    #[test]
    fn batches_leave_in_order_and_what_was_rejected_is_counted() {
        let (metrics, queue) = queue();
        let (sender, batches) = mpsc::channel();
        let export = move |items: &[u8]| {
            sender.send(items.to_vec()).unwrap();
            let rejected = u64::from(items.starts_with(b"c"));
            if items == b"d" {
                return Err(ExportError { kind: ExportErrorKind::Timeout, message: String::new() });
            }
            Ok(Accepted { rejected, message: String::new() })
        };
        queue.spawn("test", || export).unwrap();
        for item in ["a", "b"] {
            put(&queue, item.as_bytes());
        }
        assert_eq!(batches.recv_timeout(PATIENCE).unwrap(), b"ab", "a full batch waits for nothing");
        put(&queue, b"c");
        assert!(!queue.await_flush(queue.begin_flush(), Instant::now() + PATIENCE), "c was rejected");
        put(&queue, b"d");
        assert!(!queue.await_flush(queue.begin_flush(), Instant::now() + PATIENCE), "d was lost");
        put(&queue, b"e");
        assert!(queue.await_flush(queue.begin_flush(), Instant::now() + PATIENCE));
        counts(&metrics, "processor_log_processed_total{error_type=\"\"}", 5);
        counts(&metrics, "exporter_log_exported_total{error_type=\"\"}", 3);
        counts(&metrics, "exporter_log_exported_total{error_type=\"rejected\"}", 1);
        counts(&metrics, "exporter_log_exported_total{error_type=\"timeout\"}", 1);
        counts(&metrics, "processor_log_queue_capacity", 4);
    }

    #[test]
    fn an_exporter_that_hangs_costs_drops_and_no_time() {
        let (metrics, queue) = queue();
        let (release, held) = mpsc::channel::<()>();
        let export = move |_: &[u8]| {
            held.recv().ok();
            Ok(Accepted::default())
        };
        queue.spawn("test", || export).unwrap();
        for _ in 0..2 {
            put(&queue, &[1]);
        }
        let flush = queue.begin_flush();
        let begun = Instant::now();
        assert!(!queue.await_flush(flush, Instant::now() + Duration::from_millis(50)));
        for _ in 0..7 {
            put(&queue, &[1]);
        }
        assert!(begun.elapsed() < PATIENCE);
        drop(release);
        assert!(queue.await_flush(queue.begin_flush(), Instant::now() + PATIENCE));
        let dropped = metrics.render().lines().find_map(|line| {
            line.strip_prefix("otel_sdk_processor_log_processed_total{error_type=\"queue_full\"} ")?
                .parse()
                .ok()
        });
        // The thread may not have taken its first batch out yet when the queue was filled.
        assert!((3..=5).contains(&dropped.unwrap()), "{dropped:?}");
    }
}
