//! When requests are to be sent, and which of them is due: pure, told the time.

use crate::cli::bench::arguments::Arrivals;

/// The intended times of one measurement, in nanoseconds from its begin; bounded in time and number.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    arrivals: Arrivals,
    random: fastrand::Rng,
    /// Nanoseconds between two arrivals, in the mean.
    gap: f64,
    /// Of the next arrival.
    at: f64,
    end: u64,
    left: u64,
}

/// What a schedule is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) arrivals: Arrivals,
    pub(super) seed: u64,
    /// Requests a second.
    pub(super) rate: f64,
}

impl Schedule {
    /// Arrivals before `end` (nanoseconds), at most `most` of them.
    pub(super) fn new(pace: Pace, end: u64, most: u64) -> Self {
        let random = fastrand::Rng::with_seed(pace.seed);
        let mut schedule =
            Self { arrivals: pace.arrivals, random, gap: 1e9 / pace.rate, at: 0.0, end, left: most };
        if pace.arrivals == Arrivals::Poisson {
            schedule.at = schedule.distance();
        }
        schedule
    }

    fn distance(&mut self) -> f64 {
        match self.arrivals {
            Arrivals::Constant => self.gap,
            // Exponential; `f64` gives [0, 1), so that the logarithm is of (0, 1].
            Arrivals::Poisson => -(1.0 - self.random.f64()).ln() * self.gap,
        }
    }
}

impl Iterator for Schedule {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 0; saturates")]
        let at = self.at as u64;
        if at >= self.end {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        self.at += self.distance();
        Some(at)
    }
}

/// A request that is to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// When it was to be sent.
    pub(super) intended: u64,
    /// It was due before, but nothing was free to send it. Else what is between `intended` and now is
    /// the generator's own lag.
    pub(super) has_waited: bool,
}

/// Walks along a schedule as far as the time has come. Those that wait for something free are not
/// kept anywhere: the schedule itself is their queue.
#[derive(Debug)]
pub(super) struct Pacer {
    schedule: Schedule,
    next: Option<u64>,
    is_blocked: bool,
    /// Those that wait longer are given up, as their callers would: sent, they would only be late.
    deadline: Option<u64>,
    given_up: u64,
}

impl Pacer {
    pub(super) fn new(mut schedule: Schedule, deadline: Option<u64>) -> Self {
        let next = schedule.next();
        Self { schedule, next, is_blocked: false, deadline, given_up: 0 }
    }

    /// The next that is due, where it can be sent.
    pub(super) fn take(&mut self, now: u64, is_free: impl FnOnce() -> bool) -> Option<Due> {
        while self.is_blocked && self.is_hopeless(now) {
            self.given_up += 1;
            self.next = self.schedule.next();
        }
        let Some(intended) = self.next.filter(|at| *at <= now) else {
            self.is_blocked = false;
            return None;
        };
        if !is_free() {
            self.is_blocked = true;
            return None;
        }
        self.next = self.schedule.next();
        Some(Due { intended, has_waited: self.is_blocked })
    }

    /// The next one has had its time before it was sent.
    fn is_hopeless(&self, now: u64) -> bool {
        let times = self.next.zip(self.deadline);
        times.is_some_and(|(intended, deadline)| intended.saturating_add(deadline) <= now)
    }

    /// When to look again if nothing becomes free before; none at the end, and while one waits for
    /// something to become free.
    pub(super) fn wakes_at(&self) -> Option<u64> {
        if self.is_blocked { None } else { self.next }
    }

    /// All have been sent.
    pub(super) fn is_over(&self) -> bool {
        self.next.is_none()
    }

    /// Those that were never sent.
    pub(super) fn unsent(mut self) -> u64 {
        let mut count = self.given_up;
        while self.next.is_some() {
            count += 1;
            self.next = self.schedule.next();
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn times(arrivals: Arrivals, seed: u64, rate: f64, most: u64) -> Vec<u64> {
        Schedule::new(Pace { arrivals, seed, rate }, 10 * SECOND, most).collect()
    }

    #[test]
    fn constant_arrivals_are_at_equal_distances() {
        let times = times(Arrivals::Constant, 1, 100.0, u64::MAX);
        assert_eq!(times.len(), 1000);
        assert!(times.windows(2).all(|pair| (pair[1] - pair[0]).abs_diff(SECOND / 100) <= 1));
        assert_eq!(times[0], 0);
    }

    #[test]
    fn poisson_arrivals_repeat_with_their_seed_and_have_the_spread_of_independent_ones() {
        let one = times(Arrivals::Poisson, 7, 1000.0, u64::MAX);
        assert_eq!(one, times(Arrivals::Poisson, 7, 1000.0, u64::MAX));
        assert_ne!(one, times(Arrivals::Poisson, 8, 1000.0, u64::MAX));
        assert!(one.is_sorted() && one.last() < Some(&(10 * SECOND)));
        // 10,000 expected, standard deviation 100.
        assert!((9_500..10_500).contains(&one.len()), "{}", one.len());
        // The coefficient of variation of exponential distances is 1.
        let gaps: Vec<f64> =
            one.windows(2).map(|pair| f64::from(u32::try_from(pair[1] - pair[0]).unwrap())).collect();
        let count = f64::from(u32::try_from(gaps.len()).unwrap());
        let mean = gaps.iter().sum::<f64>() / count;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count;
        let variation = variance.sqrt() / mean;
        assert!((0.9..1.1).contains(&variation), "{variation}");
    }

    #[test]
    fn a_schedule_ends_after_its_number() {
        assert_eq!(times(Arrivals::Poisson, 1, 1000.0, 3).len(), 3);
    }

    #[test]
    fn those_that_find_nothing_free_have_waited_and_keep_their_time() {
        let pace = Pace { arrivals: Arrivals::Constant, seed: 1, rate: 1000.0 };
        let mut pacer = Pacer::new(Schedule::new(pace, 10_000_000, u64::MAX), None);
        let due = |intended, has_waited| Some(Due { intended, has_waited });
        assert_eq!(pacer.take(10, || true), due(0, false));
        assert_eq!(pacer.take(10, || true), None);
        assert_eq!(pacer.wakes_at(), Some(1_000_000));
        // Two are due, one can be sent.
        assert_eq!(pacer.take(2_500_000, || true), due(1_000_000, false));
        assert_eq!(pacer.take(2_500_000, || false), None);
        assert_eq!(pacer.wakes_at(), None);
        assert_eq!(pacer.take(3_500_000, || true), due(2_000_000, true));
        assert_eq!(pacer.take(3_500_000, || true), due(3_000_000, true));
        // Caught up: the next one has not waited.
        assert_eq!(pacer.take(3_500_000, || true), None);
        assert_eq!(pacer.take(4_000_001, || true), due(4_000_000, false));
        assert!(!pacer.is_over());
        assert_eq!(pacer.unsent(), 5);
    }

    #[test]
    fn those_that_wait_beyond_their_deadline_are_given_up() {
        let pace = Pace { arrivals: Arrivals::Constant, seed: 1, rate: 1000.0 };
        let mut pacer = Pacer::new(Schedule::new(pace, 10_000_000, u64::MAX), Some(2_000_000));
        assert_eq!(pacer.take(0, || false), None);
        // The first four have had their time; the fifth has half of it left.
        let due = Some(Due { intended: 4_000_000, has_waited: true });
        assert_eq!(pacer.take(5_000_000, || true), due);
        // A generator that is late by itself sends what is due all the same.
        assert_eq!(pacer.take(5_000_000, || true).map(|due| due.intended), Some(5_000_000));
        assert_eq!(pacer.take(5_500_000, || true), None);
        let late = Some(Due { intended: 6_000_000, has_waited: false });
        assert_eq!(pacer.take(9_500_000, || true), late);
        assert_eq!(pacer.unsent(), 4 + 3);
    }
}
