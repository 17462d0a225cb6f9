//! One model's queue: jobs that wait, by priority and then in the order in which they came, and what
//! is known of running them. Used under the device's lock.
//!
//! Invariant: `queued_rows` is the rows of the jobs that wait, and the gauge of it agrees.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::company::Company;
use super::cost::{CostModel, Measured};
use super::free::FreeSessions;
use super::group::Grouping;
use super::job::FailureKind;
use super::limit::Limit;
use super::pace::Pace;
use super::pending::{Pending, Place};
use super::policy::{self, Decision, Pick, View, Waiting};
use super::retry::retry_after;
use super::state::ModelFacts;
use super::{DeviceKind, ModelOptions};
use crate::engine::Run;

/// How much of what it should take the time left may be for a job to be run at all: what would end
/// after its deadline for certain is not begun.
const HOPELESS: f64 = 0.5;
/// The weight of a batch in what batches have taken lately.
const RECENT: f64 = 0.2;
/// A measured pace is believed to be at most this many times slower than what runs cost.
const SLOWEST: f64 = 8.0;

/// The queue of one model, its free sessions and its pace.
pub(super) struct QueueState {
    pub(super) facts: Arc<ModelFacts>,
    pub(super) grouping: Grouping,
    pub(super) cost: CostModel,
    pub(super) limit: Limit,
    pace: Pace,
    pub(super) free_sessions: FreeSessions,
    pub(super) sessions: usize,
    /// Its model is gone: nothing new comes, and sessions are not kept.
    is_retired: bool,
    /// Permit-seconds that it has had; see `fairness.rs`.
    pub(super) virtual_time: f64,
    /// Whether giving other requests time to come brings any.
    pub(super) company: Company,
    /// Workers are to run what waits here; else who submitted first will ([`is_near`](Self::is_near)).
    pub(super) needs_worker: bool,
    /// Someone has promised to run what waits here, and has not come for it yet.
    pub(super) has_leader: bool,
    jobs: VecDeque<Entry>,
    queued_rows: usize,
    /// Seconds that all waiting rows would take, each alone.
    queued_seconds: f64,
    batches: u32,
    /// What its batches have taken lately.
    batch_seconds: f64,
    /// Ends of the runs that go on, as they were predicted.
    running: Vec<Instant>,
}

/// A job of which something waits.
struct Entry {
    job: Arc<Pending>,
    waiting: Waiting,
    /// Rows of it that were taken.
    taken: usize,
    seconds_per_row: f64,
}

/// What was taken to be run together.
pub(super) struct Batch {
    pub(super) members: Vec<Taken>,
    pub(super) rows: usize,
    /// The widest row.
    pub(super) width: usize,
    /// Seconds that its rows would take, each by itself.
    pub(super) work: f64,
}

/// Rows of a job that were taken to be run.
pub(super) struct Taken {
    pub(super) job: Arc<Pending>,
    pub(super) rows: std::ops::Range<usize>,
}

impl QueueState {
    pub(super) fn new(facts: Arc<ModelFacts>, options: ModelOptions) -> Self {
        let sessions = options.sessions.len();
        let least = 2 * sessions * facts.limits.max_rows;
        Self {
            grouping: options.grouping,
            cost: CostModel::new(&options.measured).with_buckets(options.buckets),
            limit: Limit::new(options.queue_capacity, least),
            pace: Pace::default(),
            free_sessions: FreeSessions::new(options.sessions, facts.device),
            sessions,
            is_retired: false,
            virtual_time: 0.0,
            company: Company::default(),
            needs_worker: false,
            has_leader: false,
            jobs: VecDeque::new(),
            queued_rows: 0,
            queued_seconds: 0.0,
            batches: 0,
            batch_seconds: 0.0,
            running: Vec::with_capacity(sessions),
            facts,
        }
    }

    /// Gives up what waits and the sessions that are free.
    pub(super) fn retire(&mut self) -> Vec<Box<dyn Run>> {
        self.is_retired = true;
        while let Some(entry) = self.jobs.pop_back() {
            self.left(&entry);
            entry.job.fail(FailureKind::Cancelled, None);
        }
        let free = self.free_sessions.drain();
        self.sessions -= free.len();
        free
    }

    /// Keeps a session that has run, or gives it up where the model is gone.
    pub(super) fn take_back(&mut self, session: Box<dyn Run>) -> Option<Box<dyn Run>> {
        if self.is_retired {
            self.sessions -= 1;
            return Some(session);
        }
        self.free_sessions.give_back(session);
        None
    }

    /// The model is gone, and its last run has ended.
    pub(super) fn is_gone(&self) -> bool {
        self.is_retired && self.sessions == 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    pub(super) fn queued_rows(&self) -> usize {
        self.queued_rows
    }

    /// Whether its batches are run where the requests are: a worker's thread is farther than they are long.
    pub(super) fn is_near(&self) -> bool {
        let on_cores = self.facts.device == DeviceKind::Cores;
        on_cores && self.cost.is_short() && self.facts.limits.max_delay.is_zero()
    }

    /// Room for `rows` more; an empty queue has room for any job.
    pub(super) fn has_room(&self, rows: usize) -> bool {
        self.queued_rows == 0 || self.queued_rows + rows <= self.limit.rows()
    }

    /// Whether there is room for `rows` rows of `priority`, or could be at the expense of less urgent jobs
    /// none of which has begun.
    pub(super) fn can_take(&self, rows: usize, priority: u32) -> bool {
        if self.has_room(rows) {
            return true;
        }
        let is_less = |entry: &Entry| entry.job.place().0 > priority && entry.taken == 0;
        let gain: usize = self.jobs.iter().rev().take_while(|entry| is_less(entry)).map(Entry::rows).sum();
        self.queued_rows + rows <= self.limit.rows() + gain
    }

    /// Makes that room: the last of those jobs go first.
    pub(super) fn make_room(&mut self, rows: usize, now: Instant) {
        while !self.has_room(rows) {
            let Some(entry) = self.jobs.pop_back() else { break };
            self.left(&entry);
            let retry_after_s = self.retry_after(now);
            entry.job.fail(FailureKind::Displaced { retry_after_s }, None);
        }
    }

    pub(super) fn retry_after(&self, now: Instant) -> u64 {
        let width = self.jobs.front().map_or(1, |entry| entry.waiting.width);
        retry_after(self.seconds_ahead((0, 0.0, width), u32::MAX, now, 1.0), fastrand::f64())
    }

    /// Whether a job of `rows` rows of `width` would end by `deadline`, when this queue's runs have so
    /// many of the device's slots as `slots` says: behind what runs, and what waits and is not less
    /// urgent. True as long as nothing waits and a session is free.
    pub(super) fn can_meet(
        &self,
        job: (usize, usize, u32),
        deadline: Instant,
        now: Instant,
        slots: f64,
    ) -> bool {
        let (rows, width, priority) = job;
        if self.jobs.is_empty() && !self.free_sessions.is_empty() {
            return true;
        }
        let Some(alone) = self.cost.alone(width) else { return true };
        // Where others wait it runs with others, and a large job fills batches of its own.
        let best = self.cost.best_rows(self.facts.limits.max_rows, width);
        let by_itself = self.cost.seconds(rows.min(best), width).unwrap_or(alone);
        let own = by_itself + self.batch_seconds;
        let more = (rows.saturating_sub(best), alone, width);
        let ahead = self.seconds_ahead(more, priority, now, slots);
        let left = deadline.saturating_duration_since(now).as_secs_f64();
        (ahead + own) * self.pace.caution() <= left
    }

    /// Seconds until everything of at least this urgency that waits now has been taken, and `more` rows
    /// that take so long each and are so wide.
    #[expect(clippy::cast_precision_loss, reason = "row counts are small")]
    fn seconds_ahead(&self, more: (usize, f64, usize), priority: u32, now: Instant, slots: f64) -> f64 {
        let is_last = self.jobs.back().is_none_or(|last| last.job.place().0 <= priority);
        let alone: f64 = if is_last {
            self.queued_seconds
        } else {
            let ahead = self.jobs.partition_point(|entry| entry.job.place().0 <= priority);
            self.jobs.range(..ahead).map(Entry::seconds).sum()
        };
        let alone = (more.0 as f64).mul_add(more.1, alone.max(0.0));
        let running: f64 =
            self.running.iter().map(|end| end.saturating_duration_since(now).as_secs_f64()).sum();
        let share = self.cost.best_share(self.facts.limits.max_rows, more.2);
        let slots = slots.max(f64::MIN_POSITIVE);
        let predicted = alone * share / slots;
        let measured = self.pace.seconds(alone).unwrap_or(predicted);
        running / slots + measured.min(predicted * SLOWEST)
    }

    /// Deadline of the job that is next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.jobs.front().map(|entry| entry.waiting.deadline)
    }

    /// Puts a job behind those of its priority.
    pub(super) fn push(&mut self, job: Arc<Pending>) {
        let request = &job.request;
        let (group, is_alone) = self.grouping.of(request);
        let width = self.grouping.width(request);
        let waiting = Waiting {
            group,
            is_alone,
            rows: request.rows,
            width,
            enqueued: job.enqueued,
            deadline: request.deadline,
        };
        let entry = Entry { taken: 0, seconds_per_row: self.cost.alone(width).unwrap_or(0.0), job, waiting };
        self.queued_rows += entry.rows();
        self.queued_seconds += entry.seconds();
        self.facts.metrics.queue_depth_add(gauge(entry.rows()));
        // Nearly always the last place: ids grow, and most callers have one priority.
        let place = entry.job.place();
        match self.jobs.back() {
            Some(last) if last.job.place() > place => {
                let behind = self.jobs.partition_point(|other| other.job.place() < place);
                self.jobs.insert(behind, entry);
            }
            _ => self.jobs.push_back(entry),
        }
    }

    /// Takes out the job at `at`, if any of it still waits.
    pub(super) fn withdraw(&mut self, at: Place, now: Instant) -> bool {
        let Ok(position) = self.jobs.binary_search_by_key(&at, |entry| entry.job.place()) else {
            return false;
        };
        let Some(entry) = self.jobs.remove(position) else { return false };
        self.left(&entry);
        // Its caller's timer may have been the first to see that its time was over.
        if entry.waiting.deadline <= now {
            self.pace.missed();
        }
        true
    }

    /// What to run next, if anything may run now. Jobs that can't be answered in time any more are
    /// answered so, and leave.
    pub(super) fn decide(&mut self, free_slots: usize, is_closing: bool, now: Instant) -> Option<Decision> {
        self.drop_expired(now);
        let view = View {
            limits: self.facts.limits,
            cost: &self.cost,
            pads: self.grouping.pads,
            queued_rows: self.queued_rows,
            free_slots: self.free_sessions.worth_sharing(free_slots),
            batches: self.batches,
            is_closing,
        };
        policy::form(&view, self.jobs.iter().map(|entry| &entry.waiting), now)
    }

    /// Takes what was decided.
    pub(super) fn take(&mut self, picks: &[Pick], now: Instant) -> Batch {
        self.batches = self.batches.wrapping_add(1);
        let enqueued = self.jobs.front().map_or(now, |head| head.waiting.enqueued);
        let widths = picks.iter().filter_map(|pick| Some(self.jobs.get(pick.position)?.waiting.width));
        let width = widths.max().unwrap_or(1);
        let queued = self.queued_seconds;
        // From behind, so that positions hold.
        let mut members: Vec<Taken> = picks.iter().rev().filter_map(|pick| self.take_rows(*pick)).collect();
        members.reverse();
        let rows = members.iter().map(|part| part.rows.len()).sum();
        if self.jobs.is_empty() {
            self.limit.drained();
        } else {
            let took = Duration::from_secs_f64(self.cost.seconds(rows, width).unwrap_or(0.0));
            self.limit.observe(now.saturating_duration_since(enqueued), took, now);
        }
        self.facts.metrics.queue_limit(self.limit.rows());
        Batch { members, rows, width, work: (queued - self.queued_seconds).max(0.0) }
    }

    fn take_rows(&mut self, pick: Pick) -> Option<Taken> {
        let entry = self.jobs.get_mut(pick.position)?;
        let rows = entry.taken..entry.taken + pick.rows.min(entry.waiting.rows);
        let job = Arc::clone(&entry.job);
        if rows.len() == entry.waiting.rows {
            let entry = self.jobs.remove(pick.position)?;
            self.left(&entry);
        } else {
            let seconds = entry.seconds();
            entry.taken = rows.end;
            entry.waiting.rows -= rows.len();
            entry.waiting.width = entry.job.width_at(rows.end).unwrap_or(entry.waiting.width);
            self.queued_seconds += entry.seconds() - seconds;
            self.queued_rows -= rows.len();
            self.facts.metrics.queue_depth_add(-gauge(rows.len()));
        }
        Some(Taken { job, rows })
    }

    /// A run has begun that should take so long.
    pub(super) fn run_began(&mut self, rows: usize, width: usize, now: Instant) -> f64 {
        let seconds = self.cost.seconds(rows, width).unwrap_or(0.0);
        self.running.push(now + Duration::from_secs_f64(seconds));
        seconds
    }

    /// The run that was expected to end first has ended, of so much work, with what was measured of it and
    /// how many of its jobs missed their deadline.
    pub(super) fn run_ended(&mut self, run: Option<Measured>, (work, missed): (f64, usize), now: Instant) {
        if missed > 0 {
            self.pace.missed();
        }
        self.pace.observe(work, !self.jobs.is_empty(), now);
        let first = self.running.iter().enumerate().min_by_key(|(_, end)| **end).map(|(index, _)| index);
        if let Some(first) = first {
            self.running.swap_remove(first);
        }
        if let Some(run) = run {
            self.batch_seconds += (run.took.as_secs_f64() - self.batch_seconds) * RECENT;
            self.cost.observe(run);
        }
    }

    /// Answers jobs whose deadline has passed, or will have when they have run. Deeper ones are withdrawn
    /// by their own callers' timers; those at the head are dropped here, before a slot is spent on them.
    fn drop_expired(&mut self, now: Instant) {
        while let Some(entry) = self.jobs.front() {
            let run = Duration::from_secs_f64(entry.seconds_per_row * HOPELESS);
            let is_over = entry.job.is_over();
            if !is_over && entry.waiting.deadline > now + run {
                return;
            }
            let Some(entry) = self.jobs.pop_front() else { return };
            self.left(&entry);
            if !is_over {
                self.pace.missed();
                entry.job.fail(FailureKind::Expired, None);
            }
        }
    }

    /// Keeps the account of a job of which nothing waits any more.
    fn left(&mut self, entry: &Entry) {
        self.queued_rows -= entry.rows();
        self.queued_seconds = if self.jobs.is_empty() { 0.0 } else { self.queued_seconds - entry.seconds() };
        self.facts.metrics.queue_depth_add(-gauge(entry.rows()));
    }
}

impl Entry {
    fn rows(&self) -> usize {
        self.waiting.rows
    }

    #[expect(clippy::cast_precision_loss, reason = "row counts are small")]
    fn seconds(&self) -> f64 {
        self.waiting.rows as f64 * self.seconds_per_row
    }
}

fn gauge(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
