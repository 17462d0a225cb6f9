//! Whether a short run should give other requests the time to put their rows beside it.
//!
//! A batch of several shares what surrounds a run, and costs each a turn of the thread's loop. Whether others are
//! ready nobody can tell before they have been looked at, so it is learnt: as long as waiting brings
//! company it is done; else only now and then, to notice when that changes.

/// The weight of a batch in what is expected.
const WEIGHT: f64 = 0.1;
/// Jobs in a batch, on average, from which on waiting pays.
const PAYS: f64 = 1.25;
/// Without company, one run in so many waits for some.
const PROBE_EVERY: u32 = 32;

/// What batches brought that were waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Company {
    jobs: f64,
    runs: u32,
}

impl Default for Company {
    fn default() -> Self {
        Self { jobs: 1.0, runs: 0 }
    }
}

impl Company {
    /// Whether the next run should wait for others.
    pub(super) fn is_worth_waiting(&mut self) -> bool {
        self.runs = self.runs.wrapping_add(1);
        self.jobs >= PAYS || self.runs.is_multiple_of(PROBE_EVERY)
    }

    /// A run that waited had so many jobs.
    pub(super) fn observe(&mut self, jobs: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a few jobs")]
        let jobs = jobs as f64;
        self.jobs += (jobs - self.jobs) * WEIGHT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_what_waiting_brings() {
        let mut company = Company::default();
        let waits = |company: &mut Company| (0..320).filter(|_| company.is_worth_waiting()).count();
        assert_eq!(waits(&mut company), 10, "now and then");
        for _ in 0..3 {
            company.observe(20);
        }
        assert_eq!(waits(&mut company), 320);
        for _ in 0..50 {
            company.observe(1);
        }
        assert_eq!(waits(&mut company), 10);
    }
}
