//! What an open loop counts. Pure: the two loops fill it, the report reads it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{Due, Plan};
use crate::cli::bench::arguments::Bounds;
use crate::cli::bench::tally::{self, Latency, Tally};

/// Lack of capacity, of time or of quota: what a server under too much load is right to answer.
const REFUSALS: [u16; 3] = [429, 503, 504];

/// The counts of one measurement.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// 2xx answers by their latency; faults and all other answers.
    pub(super) answers: Tally,
    /// Of the good ones those beyond the deadline.
    late: u64,
    refused: BTreeMap<u16, u64>,
    /// Latencies of the refusals.
    refusals: Tally,
    /// How late each request was taken up that had not to wait for anything but this generator.
    lag: Tally,
    sent: u64,
    waited: u64,
    pub(super) unsent: u64,
    pub(super) most_in_flight: usize,
    /// When the last request was to be sent, and when the last good answer came, in nanoseconds from
    /// the begin.
    last_intended: u64,
    last_good: u64,
}

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An answer with this status.
    Status(u16),
    /// No answer.
    Fault(&'static str),
}

/// The figures of an open loop, beside those that every run has.
#[derive(Clone, Debug, Serialize)]
pub(in crate::cli::bench) struct OpenFigures {
    /// Requests a second that the schedule asks for.
    pub(in crate::cli::bench) rate: f64,
    /// The same as a multiple of the capacity, where it was given so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli::bench) rate_of_capacity: Option<f64>,
    pub(in crate::cli::bench) arrivals: &'static str,
    pub(in crate::cli::bench) seed: u64,
    pub(in crate::cli::bench) deadline_ms: Option<f64>,
    pub(in crate::cli::bench) sent: u64,
    /// Due, but nothing was free to send them before their deadline or the end.
    pub(in crate::cli::bench) unsent: u64,
    /// 2xx answers within the deadline.
    pub(in crate::cli::bench) goodput_per_second: f64,
    /// 2xx answers beyond it.
    pub(in crate::cli::bench) late: u64,
    /// By status.
    pub(in crate::cli::bench) refused: BTreeMap<String, u64>,
    pub(in crate::cli::bench) refusal_latency_ms: Latency,
    /// Those that waited until one of the connections was free; the wait is in their latency.
    pub(in crate::cli::bench) waited: u64,
    pub(in crate::cli::bench) most_in_flight: usize,
    /// How far behind its schedule the generator itself was.
    pub(in crate::cli::bench) schedule_lag_ms: Latency,
}

impl Counted {
    /// A request is being sent at `now`.
    pub(super) fn sends(&mut self, due: Due, now: u64) {
        self.sent += 1;
        self.last_intended = due.intended;
        if due.has_waited {
            self.waited += 1;
        } else {
            self.lag.good(Duration::from_nanos(now.saturating_sub(due.intended)));
        }
    }

    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// What was to be sent at `intended` ended at `now`.
    pub(super) fn ends(
        &mut self,
        (intended, now): (u64, u64),
        outcome: &Outcome,
        deadline: Option<Duration>,
    ) {
        let latency = Duration::from_nanos(now.saturating_sub(intended));
        match outcome {
            Outcome::Status(200..300) => {
                self.answers.good(latency);
                self.late += u64::from(deadline.is_some_and(|deadline| latency > deadline));
                self.last_good = self.last_good.max(now);
            }
            Outcome::Status(status) if REFUSALS.contains(status) => {
                *self.refused.entry(*status).or_default() += 1;
                self.refusals.good(latency);
            }
            Outcome::Status(status) => self.answers.bad(&status.to_string()),
            Outcome::Fault(kind) => self.answers.bad(kind),
        }
    }

    /// The length of the measurement: that of the schedule, up to its last request where their number
    /// ended it, and on to the last good answer, so that what was queued at the end counts over the
    /// time that it took.
    pub(super) fn length(&self, bounds: Bounds) -> Duration {
        let is_cut = self.sent >= bounds.requests;
        let schedule = if is_cut { Duration::from_nanos(self.last_intended) } else { bounds.duration };
        schedule.max(Duration::from_nanos(self.last_good))
    }

    /// The figures.
    pub(super) fn figures(&self, plan: &Plan, length: Duration) -> OpenFigures {
        OpenFigures {
            rate: plan.pace.rate,
            rate_of_capacity: plan.rate_of_capacity,
            arrivals: plan.pace.arrivals.name(),
            seed: plan.pace.seed,
            deadline_ms: plan.deadline.map(|deadline| deadline.as_secs_f64() * 1e3),
            sent: self.sent,
            unsent: self.unsent,
            goodput_per_second: tally::rate(self.answers.ok() - self.late, length),
            late: self.late,
            refused: self.refused.iter().map(|(status, count)| (status.to_string(), *count)).collect(),
            refusal_latency_ms: self.refusals.latency(),
            waited: self.waited,
            most_in_flight: self.most_in_flight,
            schedule_lag_ms: self.lag.latency(),
        }
    }
}
