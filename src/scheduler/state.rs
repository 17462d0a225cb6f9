//! The state of one device behind its lock: queues, free sessions, free permits, running workers.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::job::{Job, JobRequest};
use super::policy::{self, QueueView};
use super::queue::{Place, QueueState};
use super::ticket::{Control, SubmitError, Ticket};
use super::{DeviceOptions, ModelOptions};
use crate::engine::Run;
use crate::telemetry::{Metrics, ModelMetrics, Tracer, WorkerMetrics};

/// What never changes of a model, shared with the workers that run it.
pub(super) struct ModelFacts {
    pub(super) model: String,
    pub(super) version: String,
    pub(super) provider: &'static str,
    pub(super) cost: usize,
    pub(super) max_batch_size: usize,
    pub(super) metrics: Arc<ModelMetrics>,
}

/// Queues, permits and workers of one device.
pub(super) struct DeviceState {
    queues: Vec<QueueState>,
    /// The queues in which jobs wait, in no order: no step costs as many models as are loaded.
    waiting: Vec<usize>,
    permits: usize,
    free_permits: usize,
    /// When each run that goes on began; as many places as permits, since a run takes at least one.
    running: Vec<Option<Instant>>,
    workers_alive: usize,
    /// Workers that wait for work: a wake-up is a system call, made only when one of them needs it.
    parked: usize,
    next_id: u64,
    closed: bool,
}

impl DeviceState {
    pub(super) fn new(permits: usize) -> Self {
        Self {
            queues: Vec::new(),
            waiting: Vec::new(),
            permits,
            free_permits: permits,
            running: vec![None; permits],
            workers_alive: permits,
            parked: 0,
            next_id: 0,
            closed: false,
        }
    }
}

/// A job with the session and permits to run it.
pub(super) struct Work {
    pub(super) job: Job,
    pub(super) facts: Arc<ModelFacts>,
    pub(super) dequeued: Instant,
    pub(super) done: Done,
}

/// One device's state, its lock and those who wait on it.
pub(super) struct Shared {
    state: Mutex<DeviceState>,
    work_or_close: Condvar,
    worker_left: Condvar,
    pub(super) device: String,
    pub(super) tracer: Tracer,
    pub(super) metrics: Arc<Metrics>,
    pub(super) worker_metrics: WorkerMetrics,
}

impl Shared {
    pub(super) fn new(
        state: DeviceState,
        device: &DeviceOptions,
        metrics: &Arc<Metrics>,
        tracer: &Tracer,
    ) -> Self {
        let worker_metrics = metrics.workers(&device.name);
        worker_metrics.set(state.permits, 0, 0);
        Self {
            state: Mutex::new(state),
            work_or_close: Condvar::new(),
            worker_left: Condvar::new(),
            device: device.name.clone(),
            tracer: tracer.clone(),
            metrics: Arc::clone(metrics),
            worker_metrics,
        }
    }

    fn lock(&self) -> MutexGuard<'_, DeviceState> {
        // Nothing that can panic runs under the lock; state stays consistent even if it did.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, options: ModelOptions) -> usize {
        let mut state = self.lock();
        let facts = Arc::new(ModelFacts {
            model: options.model,
            version: options.version,
            provider: options.provider,
            cost: options.cost.clamp(1, state.permits),
            max_batch_size: options.max_batch_size.max(1),
            metrics: options.metrics,
        });
        state.queues.push(QueueState::new(facts, options.queue_capacity, options.sessions));
        state.queues.len() - 1
    }

    pub(super) fn submit(
        shared: &Arc<Self>,
        queue: usize,
        request: JobRequest,
    ) -> Result<Ticket, SubmitError> {
        let (reply, receiver) = oneshot::channel();
        let control = Arc::new(Control::default());
        let enqueued = Instant::now();
        let mut state = shared.lock();
        if state.closed {
            return Err(SubmitError::Closed);
        }
        let id = state.next_id;
        state.next_id += 1;
        let entry = &mut state.queues[queue];
        if !entry.has_room(request.rows) {
            return Err(SubmitError::Full { retry_after_s: entry.retry_after() });
        }
        let depth_at_enqueue = entry.queued_rows();
        let place = (request.priority, id);
        entry.push(Job { id, request, enqueued, depth_at_enqueue, control: Arc::clone(&control), reply });
        if !state.waiting.contains(&queue) {
            state.waiting.push(queue);
        }
        let is_parked = state.parked > 0;
        drop(state);
        if is_parked {
            shared.work_or_close.notify_one();
        }
        Ok(Ticket {
            shared: Arc::clone(shared),
            queue,
            place,
            enqueued,
            control,
            reply: receiver,
            answered: false,
        })
    }

    /// Takes an abandoned job out of its queue, so that it holds no room.
    pub(super) fn withdraw(&self, queue: usize, place: Place) {
        let mut state = self.lock();
        if state.queues[queue].withdraw(place).is_some() {
            state.settle();
        }
    }

    pub(super) fn is_full(&self, queue: usize, rows: usize) -> bool {
        !self.lock().queues[queue].has_room(rows)
    }

    pub(super) fn retry_after(&self, queue: usize) -> u64 {
        self.lock().queues[queue].retry_after()
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work_or_close.notify_all();
    }

    /// Gives back what the last run used, then waits for work; none when the scheduler is closed and
    /// nothing is queued.
    pub(super) fn next_work(&self, done: Option<Done>) -> Option<Work> {
        let mut state = self.lock();
        if let Some(done) = done {
            state.give_back(done);
        }
        loop {
            let now = Instant::now();
            state.drop_expired(now);
            if let Some(work) = state.take(now) {
                self.show_workers(&state);
                // A wake-up may have been spent on a job that could not start then.
                let wake = state.parked > 0 && state.has_work();
                drop(state);
                if wake {
                    self.work_or_close.notify_one();
                }
                return Some(work);
            }
            if state.closed && !state.has_work() {
                return None;
            }
            self.show_workers(&state);
            state.parked += 1;
            state = self.work_or_close.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.parked -= 1;
        }
    }

    /// A session and permits for `request`, to be run where the caller is: only when nothing on the
    /// device waits and the model's runs are short.
    pub(super) fn take_now(&self, queue: usize, request: &JobRequest) -> Option<NowWork> {
        let mut state = self.lock();
        let idle = !state.closed && !state.has_work();
        let now = Instant::now();
        let entry = &mut state.queues[queue];
        let fits = request.rows <= entry.facts.max_batch_size && request.deadline > now;
        if !(idle && fits && entry.rate.is_short()) {
            return None;
        }
        let facts = Arc::clone(&entry.facts);
        let permits = facts.cost;
        if permits > state.free_permits {
            return None;
        }
        let session = state.queues[queue].free_sessions.pop()?;
        let place = state.occupy(permits, now);
        self.show_workers(&state);
        Some(NowWork { facts, now, done: Done { queue, session, permits, place, ran: None } })
    }

    /// Gives back what a run in the caller's thread used.
    pub(super) fn return_now(&self, done: Done) {
        let mut state = self.lock();
        state.give_back(done);
        self.show_workers(&state);
        let wake = state.parked > 0 && (state.has_work() || state.closed);
        drop(state);
        if wake {
            self.work_or_close.notify_one();
        }
    }

    pub(super) fn worker_gone(&self) {
        self.lock().workers_alive -= 1;
        self.worker_left.notify_all();
        self.work_or_close.notify_all();
    }

    pub(super) fn wait_until_idle(&self, deadline: Instant) -> bool {
        let mut state = self.lock();
        while state.workers_alive > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.worker_left.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub(super) fn stuck(&self, limit: Duration, now: Instant) -> usize {
        let state = self.lock();
        let is_stuck = |since: &&Instant| now.saturating_duration_since(**since) > limit;
        let stuck = state.running.iter().flatten().filter(is_stuck).count();
        let busy = state.running.iter().flatten().count();
        self.worker_metrics.set(state.permits - busy, busy - stuck, stuck);
        stuck
    }

    fn show_workers(&self, state: &DeviceState) {
        let busy = state.running.iter().flatten().count();
        self.worker_metrics.set(state.permits - busy, busy, 0);
    }
}

/// What a run has taken, to be given back after it.
pub(super) struct Done {
    pub(super) queue: usize,
    pub(super) session: Box<dyn Run>,
    pub(super) permits: usize,
    /// Its place in the table of runs.
    pub(super) place: usize,
    /// Rows and time of the run, if there was one.
    pub(super) ran: Option<(usize, Duration)>,
}

/// What a run in the caller's thread has taken.
pub(super) struct NowWork {
    pub(super) facts: Arc<ModelFacts>,
    pub(super) now: Instant,
    pub(super) done: Done,
}

impl DeviceState {
    fn has_work(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Forgets the queues in which nothing waits any more.
    fn settle(&mut self) {
        self.waiting.retain(|&queue| !self.queues[queue].is_empty());
    }

    /// Takes back a session and its permits after a run.
    fn give_back(&mut self, done: Done) {
        self.free_permits += done.permits;
        self.running[done.place] = None;
        let entry = &mut self.queues[done.queue];
        entry.free_sessions.push(done.session);
        if let Some((rows, took)) = done.ran {
            entry.rate.observe(rows, took, entry.sessions);
        }
    }

    fn drop_expired(&mut self, now: Instant) {
        for &queue in &self.waiting {
            self.queues[queue].drop_expired(now);
        }
        self.settle();
    }

    /// Takes permits and a place in the table of runs.
    fn occupy(&mut self, permits: usize, now: Instant) -> usize {
        self.free_permits -= permits;
        // A run has at least one permit, so there is a place for every run.
        let place = self.running.iter().position(Option::is_none).unwrap_or(self.running.len() - 1);
        self.running[place] = Some(now);
        place
    }

    fn take(&mut self, now: Instant) -> Option<Work> {
        let views = self.waiting.iter().map(|&queue| {
            let entry = &self.queues[queue];
            let deadline = entry.deadline();
            (queue, QueueView { deadline, free_sessions: entry.free_sessions.len(), cost: entry.facts.cost })
        });
        let queue = policy::pick(views, self.free_permits, self.permits)?;
        let entry = &mut self.queues[queue];
        let job = entry.pop()?;
        let session = entry.free_sessions.pop()?;
        let facts = Arc::clone(&entry.facts);
        self.settle();
        let place = self.occupy(facts.cost, now);
        let done = Done { queue, session, permits: facts.cost, place, ran: None };
        Some(Work { job, facts, dequeued: now, done })
    }
}
