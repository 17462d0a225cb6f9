//! Which answers get a line in the log, beside every fault of ours that has a cause to tell.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Which answers are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// Faults of ours (a status of 500 or more, other than the 503 of refusals), and requests that took longer than this.
    Errors {
        /// From the first header byte until the answer is made.
        slower_than: Duration,
    },
    /// Every answer.
    All,
    /// None.
    Off,
}

/// Why an answer is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// It is a fault of ours.
    Fault,
    /// It was asked for, or has a cause to tell.
    Told,
    /// It took long; so many that did are not told, since the last line of this kind.
    Slow { untold: u64 },
}

impl AccessLog {
    /// Whether and why an answer is logged.
    pub(super) fn line(self, is_fault: bool, took: Duration) -> Option<Line> {
        match self {
            Self::All | Self::Errors { .. } if is_fault => Some(Line::Fault),
            Self::All => Some(Line::Told),
            Self::Errors { slower_than } if took > slower_than => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                SLOW.admit(now.as_secs()).map(|untold| Line::Slow { untold })
            }
            Self::Errors { .. } | Self::Off => None,
        }
    }
}

/// Where everything is slow, lines about it would make it slower: so many a second are enough.
const SLOW_LINES: u64 = 10;

static SLOW: Limit = Limit { window: AtomicU64::new(0), untold: AtomicU64::new(0) };

/// Lets a few through a second, and counts the others.
#[derive(Debug, Default)]
struct Limit {
    /// The second, above the lowest 16 bits, and in these how many came in it.
    window: AtomicU64,
    untold: AtomicU64,
}

impl Limit {
    /// How many were not let through before this one; none where this one is not either.
    fn admit(&self, second: u64) -> Option<u64> {
        const COUNT: u64 = 0xffff;
        let step = |window: u64| {
            let (began, count) = (window >> 16, window & COUNT);
            Some(if began == second { window + u64::from(count < COUNT) } else { second << 16 | 1 })
        };
        let before =
            self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or_else(|same| same);
        let came = if before >> 16 == second { before & COUNT } else { 0 };
        if came < SLOW_LINES {
            return Some(self.untold.swap(0, Ordering::Relaxed));
        }
        self.untold.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_a_second_are_told_and_the_others_counted() {
        let limit = Limit::default();
        let told = |second| (0..25).filter_map(|_| limit.admit(second)).collect::<Vec<u64>>();
        assert_eq!(told(7), [0; 10]);
        assert_eq!(told(8), [[15].as_slice(), &[0; 9]].concat());
        assert_eq!(told(2000)[0], 15);
        for _ in 0..100_000 {
            limit.admit(3000);
        }
        assert!(limit.admit(3001).unwrap() > 99_000, "a second with more than the counter holds");
    }

    #[test]
    fn faults_always_and_slow_ones_by_the_limit() {
        let second = Duration::from_secs(1);
        let errors = AccessLog::Errors { slower_than: second };
        let line = |log: AccessLog, is_fault, took| log.line(is_fault, took);
        assert_eq!(line(errors, true, Duration::ZERO), Some(Line::Fault));
        assert_eq!(line(errors, false, second), None);
        assert!(matches!(line(errors, false, second * 2), Some(Line::Slow { .. })));
        assert_eq!(line(AccessLog::All, false, Duration::ZERO), Some(Line::Told));
        assert_eq!(line(AccessLog::Off, true, second * 2), None);
    }
}
