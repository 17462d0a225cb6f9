//! The process as the kernel sees it, read from `/proc` at each scrape.
//!
//! Called by [`super::Metrics::render`]. Invariant: what cannot be read keeps its last value;
//! a scrape never fails for it.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::catalogue::Catalogue;
use crate::cores::{self, Cores, Throttling};

/// The kernel's unit of CPU time in `/proc`: `USER_HZ`, 100 on every Linux architecture we build for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Refreshes the `process_*` metrics; scrapes that meet take turns.
#[derive(Debug)]
pub(super) struct Process {
    seen: Mutex<Seen>,
}

/// What the counters stand at.
#[derive(Debug)]
struct Seen {
    cpu_seconds: f64,
    /// Of the cgroup, which may have been there before this process.
    throttling: Option<Throttling>,
}

impl Process {
    /// Counts from here on what is counted of the cgroup.
    pub(super) fn new() -> Self {
        Self { seen: Mutex::new(Seen { cpu_seconds: 0.0, throttling: cores::throttling() }) }
    }

    pub(super) fn refresh(&self, catalogue: &Catalogue) {
        let proc = Path::new("/proc");
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        catalogue.process_cpu_limit.set(Cores::read().limit());
        seen.throttled(catalogue);
        let read = |name: &str| fs::read_to_string(proc.join("self").join(name)).unwrap_or_default();
        if let Some(stat) = Stat::parse(&read("stat")) {
            if stat.cpu_seconds > seen.cpu_seconds {
                catalogue.process_cpu.inc_by(stat.cpu_seconds - seen.cpu_seconds);
                seen.cpu_seconds = stat.cpu_seconds;
            }
            let booted = fs::read_to_string(proc.join("stat")).ok().and_then(|text| boot_seconds(&text));
            if let Some(booted) = booted {
                catalogue.process_start.set(booted + stat.start_seconds);
            }
        }
        let status = read("status");
        if let Some(kib) = field(&status, "VmRSS:") {
            catalogue.process_memory.set(kib * 1024);
        }
        if let Some(threads) = field(&status, "Threads:") {
            catalogue.process_threads.set(threads);
        }
        if let Some(limit) = field(&read("limits"), "Max open files") {
            catalogue.process_max_fds.set(limit);
        }
        if let Ok(entries) = fs::read_dir(proc.join("self/fd")) {
            // The listing itself holds one descriptor.
            catalogue.process_open_fds.set(i64::try_from(entries.count()).unwrap_or(i64::MAX) - 1);
        }
    }
}

impl Seen {
    /// The first reading is where the counters begin: the group may be older than this process.
    fn throttled(&mut self, catalogue: &Catalogue) {
        let Some(now) = cores::throttling() else { return };
        let new = now.since(self.throttling.unwrap_or(now));
        catalogue.process_cpu_periods.inc_by(new.periods);
        catalogue.process_cpu_throttled_periods.inc_by(new.throttled_periods);
        catalogue.process_cpu_throttled.inc_by(new.throttled.as_secs_f64());
        self.throttling = Some(now);
    }
}

struct Stat {
    cpu_seconds: f64,
    start_seconds: f64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name in parentheses may hold anything, spaces and parentheses included.
        let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
        let user: f64 = fields.nth(11)?.parse().ok()?;
        let system: f64 = fields.next()?.parse().ok()?;
        let start: f64 = fields.nth(6)?.parse().ok()?;
        Some(Self {
            cpu_seconds: (user + system) / TICKS_PER_SECOND,
            start_seconds: start / TICKS_PER_SECOND,
        })
    }
}

fn boot_seconds(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// The first number after `name`.
fn field(text: &str, name: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text = "7 (a) b (c) S 1 7 7 0 -1 0 0 0 0 0 250 50 0 0 20 0 4 0 1200 0";
        let stat = Stat::parse(text).unwrap();
        assert!((stat.cpu_seconds - 3.0).abs() < 1e-9);
        assert!((stat.start_seconds - 12.0).abs() < 1e-9);
        assert!(Stat::parse("").is_none());
    }

    #[test]
    fn numbers_are_found_by_name() {
        assert_eq!(field("VmRSS:\t  123 kB\n", "VmRSS:"), Some(123));
        assert_eq!(field("Max open files  1024  4096 files\n", "Max open files"), Some(1024));
        assert_eq!(field("Max open files  unlimited\n", "Max open files"), None);
    }
}
