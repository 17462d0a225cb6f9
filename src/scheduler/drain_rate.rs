//! What runs have cost lately: how fast a queue empties, and whether runs are short enough to be
//! done where the request is.

use std::time::Duration;

/// The weight of a new observation.
const WEIGHT: f64 = 0.1;
/// A run of at most this is short: less than what handing it to another thread costs the caller.
const SHORT: Duration = Duration::from_micros(100);
/// Runs before anything is concluded.
const ENOUGH: u32 = 16;
/// The weight of a new run in the share of long ones.
const LONG_WEIGHT: f64 = 0.01;
/// Above this share of long runs they are not short any more. A few are long because the thread was
/// taken off its core, which says nothing of the model.
const LONG_SHARE: f64 = 0.05;

/// A moving average of seconds per row, over all of a model's sessions together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DrainRate {
    seconds_per_row: f64,
    long_share: f64,
    runs: u32,
}

impl DrainRate {
    /// Takes a run of `rows` rows into account, one of `parallel` that go on at once.
    pub(super) fn observe(&mut self, rows: usize, took: Duration, parallel: usize) {
        let is_long = f64::from(u8::from(took > SHORT));
        self.long_share = self.long_share.mul_add(1.0 - LONG_WEIGHT, is_long * LONG_WEIGHT);
        self.runs = self.runs.saturating_add(1);
        #[expect(clippy::cast_precision_loss, reason = "row counts are small")]
        let seconds = took.as_secs_f64() / (rows.max(1) * parallel.max(1)) as f64;
        self.seconds_per_row = if self.seconds_per_row == 0.0 {
            seconds
        } else {
            self.seconds_per_row.mul_add(1.0 - WEIGHT, seconds * WEIGHT)
        };
    }

    /// Whether runs have been short, all but a few.
    pub(super) fn is_short(self) -> bool {
        self.runs >= ENOUGH && self.long_share < LONG_SHARE
    }

    /// Whole seconds for `Retry-After` behind `rows` waiting rows: 1 to 60, spread by `jitter` in
    /// 0..1 over half as much again, so that refused callers don't all return at once.
    pub(super) fn retry_after(self, rows: usize, jitter: f64) -> u64 {
        #[expect(clippy::cast_precision_loss, reason = "row counts are small")]
        let wait = self.seconds_per_row * rows as f64;
        let spread = wait.max(1.0) * 0.5f64.mul_add(jitter, 1.0) + jitter;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=60")]
        let seconds = spread.clamp(1.0, 60.0) as u64;
        seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_short_until_too_many_are_not() {
        let mut rate = DrainRate::default();
        for _ in 0..ENOUGH {
            assert!(!rate.is_short());
            rate.observe(1, Duration::from_micros(9), 1);
        }
        assert!(rate.is_short());
        for _ in 0..4 {
            rate.observe(1, Duration::from_millis(5), 1);
        }
        assert!(rate.is_short(), "a few outliers");
        for _ in 0..4 {
            rate.observe(1, Duration::from_millis(5), 1);
        }
        assert!(!rate.is_short());
    }

    #[test]
    fn the_answer_follows_the_rate_and_stays_in_bounds() {
        let mut rate = DrainRate::default();
        assert_eq!(rate.retry_after(0, 0.0), 1);
        rate.observe(10, Duration::from_secs(1), 1);
        assert_eq!(rate.retry_after(100, 0.0), 10);
        assert!((10..=16).contains(&rate.retry_after(100, 0.99)));
        assert_eq!(rate.retry_after(1_000_000, 0.5), 60);
        rate.observe(1, Duration::ZERO, 2);
        assert!(rate.retry_after(100, 0.0) < 10);
    }
}
