//! One device's queues, free permits and runs, as a state that steps from one moment to the next: no
//! clock, no lock, no thread of its own, so that a simulation drives the very same code.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::cost::Measured;
use super::fairness::{self, Candidate};
use super::job::JobRequest;
use super::pending::{Answer, Pending, Place};
use super::policy::{Decision, Pick, Reason};
use super::queue::{Batch, QueueState};
use super::state::ModelFacts;
use super::ticket::SubmitError;
use crate::engine::Run;

/// Queues, permits and runs of one device.
pub(super) struct DeviceState {
    pub(super) queues: Vec<QueueState>,
    /// Places of queues whose model is gone and which run nothing any more.
    vacant: Vec<usize>,
    /// The queues in which jobs wait, in no order: no step costs as many models as are loaded.
    waiting: Vec<usize>,
    pub(super) permits: usize,
    free_permits: usize,
    /// When each run that goes on began; as many places as permits, since a run takes at least one.
    pub(super) running: Vec<Option<Instant>>,
    /// The virtual time of the run that began last.
    virtual_time: f64,
    next_id: u64,
    pub(super) closed: bool,
}

/// What a run has taken, to be given back after it.
pub(super) struct Done {
    pub(super) queue: usize,
    pub(super) session: Box<dyn Run>,
    permits: usize,
    /// Its place in the table of runs.
    place: usize,
    began: Instant,
    /// Seconds that were charged for it beforehand.
    charged: f64,
    /// Seconds that its rows would take, each by itself.
    work: f64,
    /// How many of its jobs missed their deadline.
    pub(super) missed: usize,
    /// The widest row of the batch.
    pub(super) width: usize,
    /// The run, if there was one that went well.
    pub(super) ran: Option<Measured>,
}

/// A batch with the session and permits to run it.
pub(super) struct Work {
    pub(super) batch: Batch,
    pub(super) reason: Reason,
    pub(super) facts: Arc<ModelFacts>,
    pub(super) dequeued: Instant,
    pub(super) done: Done,
}

/// What a worker does next.
pub(super) enum Next {
    Work(Work),
    /// Nothing before this; none = until something comes.
    Idle(Option<Instant>),
}

impl DeviceState {
    pub(super) fn new(permits: usize) -> Self {
        Self {
            queues: Vec::new(),
            vacant: Vec::new(),
            waiting: Vec::new(),
            permits,
            free_permits: permits,
            running: vec![None; permits],
            virtual_time: 0.0,
            next_id: 0,
            closed: false,
        }
    }

    /// Makes room for one more run.
    pub(super) fn add_permit(&mut self) {
        self.permits += 1;
        self.free_permits += 1;
        self.running.push(None);
    }

    /// Adds a queue, in the place of one that is gone where there is one; its index.
    pub(super) fn add(&mut self, queue: QueueState) -> usize {
        if let Some(place) = self.vacant.pop() {
            self.queues[place] = queue;
            return place;
        }
        self.queues.push(queue);
        self.queues.len() - 1
    }

    /// Lets go of a queue that nobody can reach any more: its free sessions, to be dropped outside the
    /// lock. Those that run are given up by [`give_back`](Self::give_back), the last of which makes the
    /// place another's. Ids of jobs are unique over all queues, so a late withdrawal finds nothing there.
    pub(super) fn retire(&mut self, queue: usize) -> Vec<Box<dyn Run>> {
        let sessions = self.queues[queue].retire();
        self.settle();
        self.vacate(queue);
        sessions
    }

    fn vacate(&mut self, queue: usize) {
        if self.queues[queue].is_gone() {
            self.vacant.push(queue);
        }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// True when something waits that is for workers to run.
    pub(super) fn needs_worker(&self) -> bool {
        self.waiting.iter().any(|&queue| self.closed || self.queues[queue].needs_worker)
    }

    /// Puts a job in its queue, or says why not.
    pub(super) fn submit(
        &mut self,
        queue: usize,
        request: JobRequest,
        now: Instant,
    ) -> Result<(Arc<Pending>, oneshot::Receiver<Answer>), SubmitError> {
        let width = self.queues[queue].grouping.width(&request);
        self.admits(queue, (request.rows, width, request.priority), request.deadline, now)?;
        let entry = &mut self.queues[queue];
        entry.make_room(request.rows, now);
        let id = self.next_id;
        self.next_id += 1;
        let (job, reply) = Pending::new(id, request, now, entry.queued_rows());
        entry.push(Arc::clone(&job));
        if !self.waiting.contains(&queue) {
            // Who did nothing for a while has no claim on the time in which it did nothing.
            entry.virtual_time = entry.virtual_time.max(self.virtual_time);
            self.waiting.push(queue);
        }
        Ok((job, reply))
    }

    /// Whether a job of so many rows, of such width and priority, would be taken.
    pub(super) fn admits(
        &self,
        queue: usize,
        (rows, width, priority): (usize, usize, u32),
        deadline: Instant,
        now: Instant,
    ) -> Result<(), SubmitError> {
        let entry = &self.queues[queue];
        if self.closed {
            return Err(SubmitError::Closed);
        }
        if !entry.can_take(rows, priority) {
            return Err(SubmitError::Full { retry_after_s: entry.retry_after(now) });
        }
        if !entry.can_meet((rows, width, priority), deadline, now, self.slots(queue)) {
            return Err(SubmitError::DeadlineUnmeetable { retry_after_s: entry.retry_after(now) });
        }
        Ok(())
    }

    /// How many runs of this queue's model go on at once, on average, while it and all that wait now
    /// share the device.
    #[expect(clippy::cast_precision_loss, reason = "numbers of slots are small")]
    fn slots(&self, queue: usize) -> f64 {
        let entry = &self.queues[queue];
        let others = self.waiting.iter().filter(|&&other| other != queue).count();
        let fair = (self.permits / entry.facts.cost.max(1)).max(1) as f64 / (others + 1) as f64;
        fair.min(entry.sessions as f64)
    }

    /// Takes an abandoned job out of its queue, so that it holds no room.
    pub(super) fn withdraw(&mut self, queue: usize, place: Place, now: Instant) {
        if self.queues[queue].withdraw(place, now) {
            self.settle();
        }
    }

    /// The next batch to run, if one may start now.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let mut wake: Option<Instant> = None;
        let mut passed_over = Vec::new();
        loop {
            let candidates = self.waiting.iter().filter(|queue| !passed_over.contains(*queue));
            let candidates = candidates.filter_map(|&queue| Some((queue, self.candidate(queue)?)));
            let Some(queue) = fairness::pick(candidates, self.free_permits, self.permits) else {
                return Next::Idle(wake);
            };
            let entry = &mut self.queues[queue];
            let free_slots = (self.free_permits / entry.facts.cost).max(1);
            match entry.decide(free_slots, self.closed, now) {
                Some(Decision::Run(picks, reason)) => {
                    if let Some(work) = self.begin(queue, &picks, reason, now) {
                        return Next::Work(work);
                    }
                    passed_over.push(queue);
                }
                Some(Decision::Wait(until)) => {
                    wake = Some(wake.map_or(until, |wake| wake.min(until)));
                    passed_over.push(queue);
                }
                // All that waited had expired.
                None => self.settle(),
            }
        }
    }

    fn candidate(&self, queue: usize) -> Option<Candidate> {
        let entry = &self.queues[queue];
        Some(Candidate {
            virtual_time: entry.virtual_time,
            deadline: entry.deadline()?,
            free_sessions: entry.free_sessions.len(),
            cost: entry.facts.cost,
        })
    }

    /// The next batch of `queue`, to be run in the thread that asks: when a slot is free and nothing
    /// waits on the device whose runs are long. Else workers are to run it.
    pub(super) fn next_near(&mut self, queue: usize, now: Instant) -> Option<Work> {
        self.queues[queue].has_leader = false;
        if self.queues[queue].is_empty() {
            return None;
        }
        let near = self.waiting.iter().all(|&waiting| self.queues[waiting].is_near());
        let entry = &mut self.queues[queue];
        if near && entry.facts.cost <= self.free_permits && !entry.free_sessions.is_empty() {
            // The rest is for who asks next.
            match entry.decide(1, self.closed, now) {
                Some(Decision::Run(picks, reason)) => {
                    entry.company.observe(picks.len());
                    return self.begin(queue, &picks, reason, now);
                }
                Some(Decision::Wait(_)) => {}
                None => {
                    self.settle();
                    return None;
                }
            }
        }
        self.queues[queue].needs_worker = true;
        None
    }

    fn begin(&mut self, queue: usize, picks: &[Pick], reason: Reason, now: Instant) -> Option<Work> {
        let entry = &mut self.queues[queue];
        let session = entry.free_sessions.take()?;
        let batch = entry.take(picks, now);
        self.virtual_time = self.virtual_time.max(entry.virtual_time);
        let facts = Arc::clone(&entry.facts);
        let done = self.occupy((queue, session), (batch.rows, batch.width), now);
        let done = Done { work: batch.work, ..done };
        self.settle();
        Some(Work { batch, reason, facts, dequeued: now, done })
    }

    /// Takes a session and permits for a run where the caller is: only when nothing on the device
    /// waits, the model's runs are short and it does not wait for company.
    pub(super) fn take_now(&mut self, queue: usize, request: &JobRequest, now: Instant) -> Option<Done> {
        let entry = &mut self.queues[queue];
        let limits = entry.facts.limits;
        let fits = request.rows <= limits.max_rows && request.deadline > now;
        let is_idle = !self.closed && self.waiting.is_empty();
        if !(is_idle && fits && entry.facts.cost <= self.free_permits && entry.is_near()) {
            return None;
        }
        if entry.company.is_worth_waiting() {
            return None;
        }
        let session = entry.free_sessions.take()?;
        let width = entry.grouping.width(request);
        Some(self.occupy((queue, session), (request.rows, width), now))
    }

    /// Takes permits and a place in the table of runs, and charges the model for what the run should
    /// take.
    fn occupy(
        &mut self,
        (queue, session): (usize, Box<dyn Run>),
        (rows, width): (usize, usize),
        now: Instant,
    ) -> Done {
        let entry = &mut self.queues[queue];
        let permits = entry.facts.cost;
        let charged = entry.run_began(rows, width, now) * weight(permits);
        entry.virtual_time += charged;
        self.free_permits -= permits;
        // A run has at least one permit, so there is a place for every run.
        let place = self.running.iter().position(Option::is_none).unwrap_or(self.running.len() - 1);
        self.running[place] = Some(now);
        Done { queue, session, permits, place, began: now, charged, work: 0.0, missed: 0, width, ran: None }
    }

    /// Takes back a session and its permits after a run; gives the session of a retired queue, to be
    /// dropped outside the lock.
    pub(super) fn give_back(&mut self, done: Done, now: Instant) -> Option<Box<dyn Run>> {
        self.free_permits += done.permits;
        self.running[done.place] = None;
        let entry = &mut self.queues[done.queue];
        let took = now.saturating_duration_since(done.began);
        entry.virtual_time += took.as_secs_f64() * weight(done.permits) - done.charged;
        entry.run_ended(done.ran, (done.work, done.missed), now);
        let given_up = entry.take_back(done.session);
        if given_up.is_some() {
            self.vacate(done.queue);
        }
        given_up
    }

    /// Forgets the queues in which nothing waits any more.
    fn settle(&mut self) {
        let queues = &mut self.queues;
        self.waiting.retain(|&queue| {
            let entry = &mut queues[queue];
            entry.needs_worker &= !entry.is_empty();
            entry.has_leader &= !entry.is_empty();
            !entry.is_empty()
        });
    }

    /// Runs that have taken longer than `limit`, and all that go on.
    pub(super) fn stuck(&self, limit: Duration, now: Instant) -> (usize, usize) {
        let is_stuck = |since: &&Instant| now.saturating_duration_since(**since) > limit;
        let stuck = self.running.iter().flatten().filter(is_stuck).count();
        (stuck, self.busy())
    }

    pub(super) fn busy(&self) -> usize {
        self.running.iter().flatten().count()
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of permits are small")]
fn weight(permits: usize) -> f64 {
    permits as f64
}
