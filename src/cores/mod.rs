//! How many cores this process may use, and how often it was stopped for having used them up.
//!
//! A leaf: `engine/` plans sessions by it, `cli/` gives the scheduler as many permits, `telemetry/` and
//! `check` tell it. Reads the kernel's files at each call, so a limit changed later is seen; what
//! cannot be read counts as no limit.

mod cgroup;
mod findings;

use std::fs;
use std::path::Path;
use std::time::Duration;

use cgroup::Group;
pub use findings::{SessionThreads, findings};

/// The cores of the machine, and what limits them for this process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cores {
    /// Online on the machine.
    pub online: usize,
    /// In the process's CPU set: its cgroup's, narrowed by its affinity.
    pub allowed: usize,
    /// The smallest CPU quota of its cgroup and of those above, in cores.
    pub quota: Option<f64>,
}

/// What the scheduler of the kernel counted of a group with a quota, since the group was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttling {
    /// Periods in which the group wanted to run.
    pub periods: u64,
    /// Those in which it used up its quota and had to wait.
    pub throttled_periods: u64,
    /// How long its threads waited, summed over the cores.
    pub throttled: Duration,
}

impl Throttling {
    /// What came on top since `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            periods: self.periods.saturating_sub(earlier.periods),
            throttled_periods: self.throttled_periods.saturating_sub(earlier.throttled_periods),
            throttled: self.throttled.saturating_sub(earlier.throttled),
        }
    }
}

impl Cores {
    /// As it is now.
    pub fn read() -> Self {
        Self::read_under(Path::new("/"))
    }

    fn read_under(root: &Path) -> Self {
        let file = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        let status = file("proc/self/status");
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let allowed = list.and_then(count_of_list);
        let online = count_of_list(&file("sys/devices/system/cpu/online"));
        let online = online.or(allowed).unwrap_or(1);
        let quota = Group::find(root).and_then(|group| group.tightest()).map(|limit| limit.cores);
        Self { online, allowed: allowed.unwrap_or(online).min(online), quota }
    }

    /// Cores' worth of CPU time a second that the process may use.
    pub fn limit(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "machines have fewer than 2^52 cores")]
        let allowed = self.allowed as f64;
        self.quota.map_or(allowed, |quota| quota.min(allowed))
    }

    /// Threads that may compute at once: whole cores, at least one. What is left of a core under a
    /// quota goes to the threads that talk to clients.
    pub fn threads(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and the number of cores"
        )]
        let whole = self.limit().floor().max(1.0) as usize;
        whole
    }
}

/// What the kernel has counted of this process's group with the smallest quota; none without a quota.
pub fn throttling() -> Option<Throttling> {
    Group::find(Path::new("/"))?.tightest()?.throttling()
}

/// How many numbers a list such as `0-3,8` has.
fn count_of_list(list: &str) -> Option<usize> {
    list.trim().split(',').try_fold(0_usize, |count, range| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to) = (from.trim().parse::<usize>().ok()?, to.trim().parse::<usize>().ok()?);
        count.checked_add(to.checked_sub(from)?.checked_add(1)?)
    })
}

#[cfg(test)]
mod tests;
