//! How many rows a queue takes in: less than its capacity while a queue stands that does not drain.
//!
//! A gradient limit in the manner of Netflix's concurrency-limits and Envoy's adaptive concurrency
//! (limit := limit * target / measured + headroom), fed as CoDel does (Nichols and Jacobson 2012): by
//! the least that anything waited in a whole window, so that a burst, which drains, is no reason to
//! refuse, and a queue that never empties is. Recovery needs no probing: when the queue was empty
//! once, the load has gone and the limit is the capacity again.

use std::time::{Duration, Instant};

/// A wait that is never reason to refuse.
const LEAST_TARGET: Duration = Duration::from_millis(100);
/// Nor is that of so many of the model's batches.
const BATCHES: u32 = 8;
/// The shortest time over which the least wait is taken.
const WINDOW: Duration = Duration::from_millis(500);
/// A window changes the limit by no more than this factor downwards.
const STEEPEST: f64 = 0.3;

/// The limit, and what it is learnt from.
#[derive(Debug)]
pub(super) struct Limit {
    capacity: usize,
    rows: usize,
    least: usize,
    window: Option<(Instant, Duration)>,
}

impl Limit {
    /// No limit but the capacity; never fewer rows than `least`, which keep every session busy.
    pub(super) fn new(capacity: usize, least: usize) -> Self {
        Self { capacity, rows: capacity, least: least.min(capacity), window: None }
    }

    /// Rows that may wait now.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The queue is empty: the load has gone.
    pub(super) fn drained(&mut self) {
        self.rows = self.capacity;
        self.window = None;
    }

    /// A batch was taken at `now` whose oldest job had `waited`, and which takes `batch`.
    pub(super) fn observe(&mut self, waited: Duration, batch: Duration, now: Instant) {
        let (began, least) = *self.window.get_or_insert((now, waited));
        let least = least.min(waited);
        self.window = Some((began, least));
        let target = LEAST_TARGET.max(batch * BATCHES);
        if now.saturating_duration_since(began) < WINDOW.max(target) {
            return;
        }
        self.window = None;
        #[expect(clippy::cast_precision_loss, reason = "row counts are small")]
        let rows = self.rows as f64;
        let gradient = (target.as_secs_f64() / least.as_secs_f64().max(1e-9)).clamp(STEEPEST, 1.0);
        let next = rows.mul_add(gradient, rows.sqrt());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive row count")]
        let next = next as usize;
        self.rows = next.clamp(self.least.max(1).min(self.capacity), self.capacity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a batch each 10 ms for `seconds` whose oldest waited as `wait` says at that time.
    fn feed(limit: &mut Limit, start: Instant, seconds: u32, wait: impl Fn(u32) -> u64) -> Instant {
        let mut now = start;
        for step in 0..seconds * 100 {
            now = start + Duration::from_millis(10) * step;
            limit.observe(Duration::from_millis(wait(step)), Duration::from_millis(10), now);
        }
        now
    }

    #[test]
    fn a_standing_queue_shrinks_it_a_burst_does_not_and_an_empty_queue_restores_it() {
        let mut limit = Limit::new(2048, 16);
        let now = feed(&mut limit, Instant::now(), 10, |step| if step % 50 == 0 { 3 } else { 700 });
        assert_eq!(limit.rows(), 2048, "it drains in between");
        let now = feed(&mut limit, now, 20, |_| 1000);
        assert!(limit.rows() < 100, "{}", limit.rows());
        let low = limit.rows();
        feed(&mut limit, now, 5, |_| 90);
        assert!(limit.rows() > low, "below the target it grows");
        limit.drained();
        assert_eq!(limit.rows(), 2048);
    }

    #[test]
    fn it_never_starves_the_sessions() {
        let mut limit = Limit::new(2048, 64);
        feed(&mut limit, Instant::now(), 60, |_| 60_000);
        assert!(limit.rows() >= 64);
        let mut small = Limit::new(4, 64);
        feed(&mut small, Instant::now(), 60, |_| 60_000);
        assert_eq!(small.rows(), 4);
    }
}
