//! How fast a queue really drains, and how far predictions of it can be trusted.
//!
//! A prediction from what runs cost leaves out whatever else takes time: other models, the cores' other
//! work, the way from one batch to the next. So the pace is measured: work done over time passed, between
//! ends of batches with something waiting all the while. What is admitted is then predicted with a caution
//! that grows with every deadline missed and shrinks with those met.

use std::time::Instant;

/// What remains of older batches in the pace, at each new one: about the last ten count.
const MEMORY: f64 = 0.9;
/// Predictions are never trusted more, or less, than by these factors.
const LEAST: f64 = 1.15;
const MOST: f64 = 4.0;
/// A missed deadline weighs as much as this many met ones.
const MISS: f64 = 1.03;
const MET: f64 = 0.9995;

/// The pace of one queue, and the caution of its admission.
#[derive(Debug)]
pub(super) struct Pace {
    work: f64,
    seconds: f64,
    last: Option<Instant>,
    caution: f64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { work: 0.0, seconds: 0.0, last: None, caution: LEAST }
    }
}

impl Pace {
    /// A batch of so much `work` (seconds, each row by itself) has ended; `goes_on` when more waits.
    pub(super) fn observe(&mut self, work: f64, goes_on: bool, now: Instant) {
        if let Some(last) = self.last {
            self.work = self.work.mul_add(MEMORY, work);
            self.seconds = self.seconds.mul_add(MEMORY, now.saturating_duration_since(last).as_secs_f64());
        }
        self.last = goes_on.then_some(now);
    }

    /// Seconds in which so much `work` is drained; none before the pace is known.
    pub(super) fn seconds(&self, work: f64) -> Option<f64> {
        (self.work > 0.0).then(|| work * self.seconds / self.work)
    }

    /// The factor by which a prediction is to be multiplied.
    pub(super) fn caution(&self) -> f64 {
        self.caution
    }

    /// An admitted job has missed its deadline.
    pub(super) fn missed(&mut self) {
        self.caution = (self.caution * MISS).min(MOST);
    }

    /// An admitted job has met its deadline.
    pub(super) fn met(&mut self) {
        self.caution = (self.caution * MET).max(LEAST);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_work_over_time_while_something_waits() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert_eq!(pace.seconds(1.0), None);
        let at = |millis| start + Duration::from_millis(millis);
        pace.observe(0.2, false, at(0));
        pace.observe(0.2, true, at(5_000));
        assert_eq!(pace.seconds(1.0), None, "nothing waited in between");
        for step in 1..=40 {
            pace.observe(0.2, true, at(5_000 + step * 100));
        }
        let drained = pace.seconds(1.0).unwrap();
        assert!((drained - 0.5).abs() < 1e-9, "{drained}");
        for step in 1..=40 {
            pace.observe(0.2, true, at(9_000 + step * 400));
        }
        assert!((pace.seconds(1.0).unwrap() - 2.0).abs() < 0.1, "it follows");
    }

    #[test]
    fn misses_make_cautious_and_time_makes_bold_again() {
        let mut pace = Pace::default();
        (0..20).for_each(|_| pace.missed());
        assert!(pace.caution() > 1.5 * LEAST);
        (0..10_000).for_each(|_| pace.missed());
        assert!(pace.caution() <= MOST);
        (0..10_000).for_each(|_| pace.met());
        assert!((pace.caution() - LEAST).abs() < 1e-9);
    }
}
