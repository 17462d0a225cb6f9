//! How fast a queue really drains, and how far predictions of it can be trusted.
//!
//! A prediction from what runs cost leaves out whatever else takes time: other models, the cores' other
//! work, the way from one batch to the next. So the pace is measured: work done over time passed, between
//! ends of batches with something waiting all the while. What is admitted is then predicted with a caution
//! that grows with every batch by whose end deadlines were missed, and shrinks with the others.

use std::time::Instant;

/// What remains of older batches in the pace, at each new one: about the last ten count.
const MEMORY: f64 = 0.9;
/// Predictions are never trusted more, or less, than by these factors.
const LEAST: f64 = 1.4;
const MOST: f64 = 4.0;
/// What a batch makes of the caution by whose end a deadline was missed, and what one without does.
const MISSED: f64 = 1.1;
const MET: f64 = 0.995;

/// The pace of one queue, and the caution of its admission.
#[derive(Debug)]
pub(super) struct Pace {
    work: f64,
    seconds: f64,
    last: Option<Instant>,
    caution: f64,
    missed: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { work: 0.0, seconds: 0.0, last: None, caution: LEAST, missed: false }
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
        // All that waited too long are one miss: they had one cause.
        let factor = if std::mem::take(&mut self.missed) { MISSED } else { MET };
        self.caution = (self.caution * factor).clamp(LEAST, MOST);
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
        self.missed = true;
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
        let (mut pace, now) = (Pace::default(), Instant::now());
        let batch = |pace: &mut Pace, misses: usize| {
            (0..misses).for_each(|_| pace.missed());
            pace.observe(1.0, true, now);
        };
        batch(&mut pace, 100);
        assert!(pace.caution() < 1.2 * LEAST, "one cause, one step");
        (0..5).for_each(|_| batch(&mut pace, 1));
        assert!(pace.caution() > 1.5 * LEAST);
        (0..100).for_each(|_| batch(&mut pace, 1));
        assert!(pace.caution() <= MOST);
        (0..1_000).for_each(|_| batch(&mut pace, 0));
        assert!((pace.caution() - LEAST).abs() < 1e-9);
    }
}
