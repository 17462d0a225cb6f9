//! One model's queue: jobs that wait, by priority and then in the order in which they came, and what
//! it takes to run them. Used under the device's lock.
//!
//! Invariant: `queued_rows` is the rows of the jobs that wait, and the gauge of it agrees.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::drain_rate::DrainRate;
use super::job::{FailureKind, Job, JobFailure};
use super::state::ModelFacts;
use crate::engine::Run;

/// The queue of one model, its free sessions and its pace.
pub(super) struct QueueState {
    pub(super) facts: Arc<ModelFacts>,
    jobs: VecDeque<Job>,
    queued_rows: usize,
    capacity_rows: usize,
    pub(super) free_sessions: Vec<Box<dyn Run>>,
    pub(super) sessions: usize,
    pub(super) rate: DrainRate,
}

/// A job's place: priority level, the most urgent first, then arrival.
pub(super) type Place = (u32, u64);

fn place(job: &Job) -> Place {
    (job.request.priority, job.id)
}

impl QueueState {
    pub(super) fn new(facts: Arc<ModelFacts>, capacity_rows: usize, sessions: Vec<Box<dyn Run>>) -> Self {
        Self {
            facts,
            jobs: VecDeque::new(),
            queued_rows: 0,
            capacity_rows,
            sessions: sessions.len(),
            free_sessions: sessions,
            rate: DrainRate::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    pub(super) fn queued_rows(&self) -> usize {
        self.queued_rows
    }

    /// Room for `rows` more; an empty queue has room for any job.
    pub(super) fn has_room(&self, rows: usize) -> bool {
        self.queued_rows == 0 || self.queued_rows + rows <= self.capacity_rows
    }

    pub(super) fn retry_after(&self) -> u64 {
        self.rate.retry_after(self.queued_rows, fastrand::f64())
    }

    /// Deadline of the job that is next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.jobs.front().map(|job| job.request.deadline)
    }

    /// Puts a job behind those of its priority.
    pub(super) fn push(&mut self, job: Job) {
        self.queued_rows += job.request.rows;
        self.facts.metrics.queue_depth_add(rows(&job));
        // Nearly always the last place: ids grow, and most callers have one priority.
        match self.jobs.back() {
            Some(last) if place(last) > place(&job) => {
                let behind = self.jobs.partition_point(|other| place(other) < place(&job));
                self.jobs.insert(behind, job);
            }
            _ => self.jobs.push_back(job),
        }
    }

    pub(super) fn pop(&mut self) -> Option<Job> {
        let job = self.jobs.pop_front();
        self.left(job)
    }

    /// Takes out the job at `at`, if it still waits.
    pub(super) fn withdraw(&mut self, at: Place) -> Option<Job> {
        let found = self.jobs.binary_search_by_key(&at, place);
        let job = found.ok().and_then(|position| self.jobs.remove(position));
        self.left(job)
    }

    /// Answers jobs at the head whose deadline has passed. Deeper ones are withdrawn by their own
    /// callers' timers; this catches those whose timer is late, before a slot is spent on them.
    pub(super) fn drop_expired(&mut self, now: Instant) {
        while let Some(job) = self.jobs.pop_front_if(|job| job.request.deadline <= now) {
            let Some(job) = self.left(Some(job)) else { return };
            let failure = JobFailure { kind: FailureKind::Expired, times: None };
            // The caller may have gone in the meantime; then nobody waits for this.
            drop(job.reply.send(Err(failure)));
        }
    }

    /// Keeps the account of a job that left.
    fn left(&mut self, job: Option<Job>) -> Option<Job> {
        if let Some(job) = &job {
            self.queued_rows -= job.request.rows;
            self.facts.metrics.queue_depth_add(-rows(job));
        }
        job
    }
}

fn rows(job: &Job) -> i64 {
    i64::try_from(job.request.rows).unwrap_or(i64::MAX)
}
