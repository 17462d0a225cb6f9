//! Cumulative statistics of one version of a model, as Triton's statistics extension counts them:
//! sums that a client subtracts, beside the histograms that Prometheus scrapes.
//!
//! Written by the scheduler (runs) and the service (requests), read by the protocols. Invariants:
//! everything only grows; stages count only for requests that succeeded; writing takes no lock for
//! batches of up to `SMALL` rows, and a short one a run beyond.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::telemetry::labels::{Outcome, Stage};

/// Batches of at most this many rows have a place in a table.
const SMALL: usize = 128;

/// How often something happened, and how long it took in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DurationTotal {
    /// How often.
    pub count: u64,
    /// Nanoseconds in all.
    pub ns: u64,
}

/// The runs of one batch size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchStatistics {
    /// Rows of the batch.
    pub rows: usize,
    /// Putting the batch together.
    pub compute_input: DurationTotal,
    /// The model's runs, taking the outputs from the runtime included.
    pub compute_infer: DurationTotal,
}

/// Everything since the model was first loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatisticsSnapshot {
    /// When the last request came, in milliseconds since 1970; 0 = never.
    pub last_inference_ms: u64,
    /// Rows of requests that succeeded.
    pub inferences: u64,
    /// Runs of the model that succeeded.
    pub executions: u64,
    /// Requests that were answered, from the first header byte to the encoded answer.
    pub success: DurationTotal,
    /// Requests that were not, however they ended.
    pub fail: DurationTotal,
    /// Waiting for a worker.
    pub queue: DurationTotal,
    /// From the body to tensors in a batch.
    pub compute_input: DurationTotal,
    /// The model's run.
    pub compute_infer: DurationTotal,
    /// From tensors to the answer.
    pub compute_output: DurationTotal,
    /// The runs, by batch size; ascending, without sizes that never ran.
    pub batches: Vec<BatchStatistics>,
}

/// The counters behind a [`StatisticsSnapshot`].
#[derive(Debug, Default)]
pub struct Statistics {
    last_inference_ms: AtomicU64,
    inferences: AtomicU64,
    success: Total,
    fail: Total,
    /// Nanoseconds of the requests that succeeded, by stage.
    stages: [AtomicU64; Stage::ALL.len()],
    /// Made by the first run: of many loaded models few may be in use.
    small: OnceLock<Box<[Runs]>>,
    large: Mutex<BTreeMap<usize, Runs>>,
}

#[derive(Debug, Default)]
struct Total {
    count: AtomicU64,
    ns: AtomicU64,
}

impl Total {
    fn add(&self, took: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.ns.fetch_add(nanoseconds(took), Ordering::Relaxed);
    }

    fn read(&self) -> DurationTotal {
        DurationTotal { count: self.count.load(Ordering::Relaxed), ns: self.ns.load(Ordering::Relaxed) }
    }
}

#[derive(Debug, Default)]
struct Runs {
    execute: Total,
    assemble_ns: AtomicU64,
}

impl Runs {
    fn add(&self, assemble: Duration, execute: Duration) {
        self.execute.add(execute);
        self.assemble_ns.fetch_add(nanoseconds(assemble), Ordering::Relaxed);
    }

    fn read(&self, rows: usize) -> Option<BatchStatistics> {
        let compute_infer = self.execute.read();
        let input = DurationTotal { ns: self.assemble_ns.load(Ordering::Relaxed), ..compute_infer };
        (compute_infer.count > 0).then_some(BatchStatistics { rows, compute_input: input, compute_infer })
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Statistics {
    /// The model ran `rows` rows and gave outputs; putting them together took `assemble`.
    pub fn execution(&self, rows: usize, assemble: Duration, execute: Duration) {
        let small = self.small.get_or_init(|| (0..=SMALL).map(|_| Runs::default()).collect());
        if let Some(runs) = small.get(rows) {
            runs.add(assemble, execute);
            return;
        }
        let mut large = self.large.lock().unwrap_or_else(PoisonError::into_inner);
        large.entry(rows).or_default().add(assemble, execute);
    }

    /// A request of `rows` rows ended, `took` after it came, having passed `stages`.
    pub fn request(
        &self,
        outcome: Outcome,
        rows: usize,
        took: Duration,
        stages: impl Iterator<Item = (Stage, Instant, Instant)>,
    ) {
        let came = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(took);
        let came_ms = u64::try_from(came.as_millis()).unwrap_or(u64::MAX);
        self.last_inference_ms.fetch_max(came_ms, Ordering::Relaxed);
        if outcome != Outcome::Ok {
            self.fail.add(took);
            return;
        }
        self.success.add(took);
        self.inferences.fetch_add(rows as u64, Ordering::Relaxed);
        for (stage, begun, ended) in stages {
            let ns = nanoseconds(ended.saturating_duration_since(begun));
            self.stages[stage as usize].fetch_add(ns, Ordering::Relaxed);
        }
    }

    /// Everything so far. Requests that end meanwhile may be in some sums and not in others.
    pub fn snapshot(&self) -> StatisticsSnapshot {
        let success = self.success.read();
        let stages = |stages: &[Stage]| {
            let ns = stages.iter().map(|&stage| self.stages[stage as usize].load(Ordering::Relaxed));
            // Who succeeded has passed them all.
            DurationTotal { ns: ns.sum(), ..success }
        };
        let batches = self.batches();
        StatisticsSnapshot {
            last_inference_ms: self.last_inference_ms.load(Ordering::Relaxed),
            inferences: self.inferences.load(Ordering::Relaxed),
            executions: batches.iter().map(|batch| batch.compute_infer.count).sum(),
            success,
            fail: self.fail.read(),
            queue: stages(&[Stage::Queue]),
            compute_input: stages(&[Stage::Preprocess, Stage::Batch]),
            compute_infer: stages(&[Stage::Execute]),
            compute_output: stages(&[Stage::Postprocess]),
            batches,
        }
    }

    fn batches(&self) -> Vec<BatchStatistics> {
        let small = self.small.get().map_or(&[][..], |small| small);
        let large = self.large.lock().unwrap_or_else(PoisonError::into_inner);
        let small = small.iter().enumerate().filter_map(|(rows, runs)| runs.read(rows));
        small.chain(large.iter().filter_map(|(rows, runs)| runs.read(*rows))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const NS: u64 = 1_000_000;

    #[test]
    fn runs_count_by_batch_size_and_add_up() {
        let statistics = Statistics::default();
        assert_eq!(statistics.snapshot(), StatisticsSnapshot::default());
        for rows in [8, 1, 129, 128, 8, 1000, 129] {
            statistics.execution(rows, MS, 2 * MS);
        }
        let snapshot = statistics.snapshot();
        assert_eq!(snapshot.executions, 7);
        let counts: Vec<_> =
            snapshot.batches.iter().map(|batch| (batch.rows, batch.compute_infer.count)).collect();
        assert_eq!(counts, [(1, 1), (8, 2), (128, 1), (129, 2), (1000, 1)]);
        for batch in snapshot.batches {
            let count = batch.compute_infer.count;
            assert_eq!(batch.compute_input, DurationTotal { count, ns: count * NS });
            assert_eq!(batch.compute_infer.ns, 2 * count * NS);
        }
    }

    #[test]
    fn stages_count_only_for_requests_that_succeeded() {
        let statistics = Statistics::default();
        let begun = Instant::now();
        let stages = Stage::ALL.iter().zip(1..).map(|(stage, ms)| (*stage, begun, begun + ms * MS));
        statistics.request(Outcome::Ok, 3, 20 * MS, stages.clone());
        let ok = statistics.snapshot();
        assert_eq!((ok.inferences, ok.success), (3, DurationTotal { count: 1, ns: 20 * NS }));
        assert_eq!(ok.compute_input, DurationTotal { count: 1, ns: 4 * NS }, "preprocess and batch");
        assert_eq!((ok.queue.ns, ok.compute_infer.ns, ok.compute_output.ns), (2 * NS, 4 * NS, 5 * NS));
        for outcome in Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Ok) {
            statistics.request(outcome, 3, MS, stages.clone());
        }
        let all = statistics.snapshot();
        assert_eq!(all.fail, DurationTotal { count: 5, ns: 5 * NS });
        let rest = StatisticsSnapshot { fail: ok.fail, last_inference_ms: ok.last_inference_ms, ..all };
        assert_eq!(rest, ok);
    }

    #[test]
    fn the_last_request_is_the_one_that_came_last() {
        let statistics = Statistics::default();
        statistics.request(Outcome::Error, 0, Duration::ZERO, std::iter::empty());
        let last = statistics.snapshot().last_inference_ms;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        assert!(now.abs_diff(u128::from(last)) < 60_000, "{last}, now {now}");
        statistics.request(Outcome::Ok, 1, Duration::from_hours(1), std::iter::empty());
        assert_eq!(statistics.snapshot().last_inference_ms, last, "it came an hour before");
    }
}
