//! The open loop: requests are sent by a schedule of their own, whether or not earlier ones are
//! answered, and their latency counts from the time at which they were to be sent. So a server that
//! stalls is asked on, and its stall is in the latency of everyone who came meanwhile.
//!
//! Bounded in time, number and requests in flight. `over_http.rs` and `in_process.rs` send; when, is
//! `schedule.rs`' to say, and what came of it, `counted.rs` counts.

mod counted;
mod in_process;
mod over_http;
mod schedule;
mod socket;
#[cfg(test)]
mod tests;

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

pub(super) use counted::OpenFigures;
use counted::{Counted, Outcome};
pub(super) use in_process::Asks;
pub(super) use in_process::measure as measure_in_process;
pub(super) use over_http::Client;
use schedule::{Due, Pace, Pacer, Schedule};

use super::arguments::{BenchArguments, Bounds};
use super::drive::Measured;

/// After the schedule's end, answers are awaited so long: beyond a server's own default limit.
const DRAIN: Duration = Duration::from_secs(35);
/// How often the progress bar moves.
const GLANCE: u64 = 100_000_000;

/// One measurement to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pace: Pace,
    rate_of_capacity: Option<f64>,
    deadline: Option<Duration>,
    /// The most in flight at once.
    in_flight: usize,
    bounds: Bounds,
}

/// What was measured: the figures that every run has, and those of its own.
pub(super) type MeasuredOpen<R> = (Measured<R>, OpenFigures);

impl Plan {
    /// A plan for each rate, once the capacity is known.
    ///
    /// # Errors
    /// When a rate is out of bounds.
    pub(super) fn all(
        arguments: &BenchArguments,
        bounds: Bounds,
        capacity: f64,
    ) -> Result<Vec<Self>, String> {
        let plan = |rate: &super::arguments::Rate| {
            let per_second = rate.per_second(capacity)?;
            let pace = Pace { arrivals: arguments.arrivals, seed: arguments.seed, rate: per_second };
            let (deadline, in_flight) = (arguments.deadline, arguments.in_flight());
            Ok(Self { pace, rate_of_capacity: rate.multiple(), deadline, in_flight, bounds })
        };
        arguments.rate.iter().map(plan).collect()
    }

    /// For the progress bar.
    pub(super) fn label(&self) -> String {
        format!("{:.0} requests/s", self.pace.rate)
    }

    pub(super) const fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The load before: the same rate, another seed.
    fn warmup(&self) -> Self {
        let bounds = Bounds { duration: self.bounds.warmup, requests: u64::MAX, ..self.bounds };
        let pace = Pace { seed: self.pace.seed.wrapping_add(1), ..self.pace };
        Self { pace, bounds, ..*self }
    }

    fn end(&self) -> u64 {
        nanos(self.bounds.duration)
    }

    fn pacer(&self) -> Pacer {
        Pacer::new(Schedule::new(self.pace, self.end(), self.bounds.requests), self.deadline.map(nanos))
    }

    fn measured<R>(&self, counted: Counted, readings: (R, R)) -> MeasuredOpen<R> {
        let elapsed = counted.length(self.bounds);
        let figures = counted.figures(self, elapsed);
        (Measured { tally: counted.answers, elapsed, readings }, figures)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn since(begun: Instant) -> u64 {
    nanos(begun.elapsed())
}

/// Timers of this thread may otherwise be 50 us late, which is much beside a small model.
fn wake_in_time() {
    // Refused, the timers are as they were, and the lag in the report shows it.
    let _refused = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
}
