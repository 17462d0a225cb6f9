//! Metrics pushed to a collector: a thread of its own that asks for them every interval.
//!
//! Started by [`crate::telemetry::start`] where `OTEL_METRICS_EXPORTER` asks for it. Invariants: what is pushed is what
//! the metrics are at that moment, nothing is kept for later; a flush returns in time even when the collector never answers.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Accepted, ExportError};
use crate::telemetry::metrics::ExportedMetrics;

/// A running push.
#[derive(Clone, Debug)]
pub(in crate::telemetry) struct Pusher {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Work for the thread.
    wake: Condvar,
    /// News for those who flush.
    settled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Flushes asked for.
    asked: u64,
    /// The last of them that was pushed for, and whether all of it arrived.
    done: u64,
    arrived: bool,
}

impl Pusher {
    /// Starts the thread. `items` gives what there is to export and how many data points; `open` makes, on the thread,
    /// what exports it.
    pub(in crate::telemetry) fn spawn<I, F, E>(
        interval: Duration,
        metrics: ExportedMetrics,
        items: I,
        open: F,
    ) -> std::io::Result<Self>
    where
        I: Fn() -> (Vec<u8>, u64) + Send + 'static,
        F: FnOnce() -> E + Send + 'static,
        E: FnMut(&[u8]) -> Result<Accepted, ExportError>,
    {
        let shared = Arc::<Shared>::default();
        let pusher = Self { shared: Arc::clone(&shared) };
        let run = move || {
            let mut export = open();
            let mut due = Instant::now() + interval;
            loop {
                let asked = shared.wait(due);
                let (items, points) = items();
                let lost = metrics.count(&export(&items), points);
                shared.settle(asked, lost == 0);
                // A push that took longer than the interval is not made up for.
                due = (due + interval).max(Instant::now());
            }
        };
        thread::Builder::new().name("metric-export".to_owned()).spawn(run).map(|_| pusher)
    }

    /// Has the metrics pushed once more, now.
    pub(in crate::telemetry) fn begin_flush(&self) -> u64 {
        let mut state = self.shared.lock();
        state.asked += 1;
        self.shared.wake.notify_all();
        state.asked
    }

    /// Waits for its end until `deadline`; true when all of it arrived.
    pub(in crate::telemetry) fn await_flush(&self, asked: u64, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let waits =
            self.shared.settled.wait_timeout_while(self.shared.lock(), left, |state| state.done < asked);
        let (state, waited) = waits.unwrap_or_else(PoisonError::into_inner);
        !waited.timed_out() && state.arrived
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a push is due or asked for; the last flush that the push will be for.
    fn wait(&self, due: Instant) -> u64 {
        let mut state = self.lock();
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() || state.done < state.asked {
                return state.asked;
            }
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn settle(&self, asked: u64, arrived: bool) {
        let mut state = self.lock();
        state.done = asked;
        state.arrived = arrived;
        self.settled.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::telemetry::BuildInfo;
    use crate::telemetry::metrics::Metrics;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn metrics_leave_every_interval_and_at_a_flush_as_they_are_then() {
        let metrics = Metrics::new(None, &BuildInfo::default());
        for (interval, pushes) in [(Duration::from_millis(5), 3), (Duration::from_hours(1), 0)] {
            let now = Arc::new(AtomicU64::new(1));
            let (sender, batches) = mpsc::channel();
            let source = Arc::clone(&now);
            let items = move || (source.load(Ordering::SeqCst).to_le_bytes().to_vec(), 7);
            let export = move |items: &[u8]| {
                sender.send(items.to_vec()).unwrap();
                Ok(Accepted { rejected: u64::from(items[0] == 3), message: String::new() })
            };
            let push = Pusher::spawn(interval, metrics.pushed_points(), items, || export).unwrap();
            for _ in 0..pushes {
                assert_eq!(batches.recv_timeout(PATIENCE).unwrap(), 1_u64.to_le_bytes());
            }
            now.store(2, Ordering::SeqCst);
            assert!(push.await_flush(push.begin_flush(), Instant::now() + PATIENCE));
            assert!(batches.try_iter().any(|items| items == 2_u64.to_le_bytes()));
            now.store(3, Ordering::SeqCst);
            assert!(
                !push.await_flush(push.begin_flush(), Instant::now() + PATIENCE),
                "one point was rejected"
            );
            // The thread of a short interval goes on: what it counts is for no later test.
            std::mem::forget(batches);
        }
        let text = metrics.render();
        assert!(text.contains("otel_sdk_exporter_metric_data_point_exported_total{error_type=\"rejected\"}"));
    }
}
