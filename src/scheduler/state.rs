//! One device behind its lock: who submits, who waits for work, who has gone.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::buckets::Buckets;
use super::device::{DeviceState, Done, Next, Work};
use super::job::JobRequest;
use super::pending::Place;
use super::policy::BatchLimits;
use super::queue::QueueState;
use super::ticket::{SubmitError, Ticket};
use super::{DeviceKind, DeviceOptions, ModelOptions};
use crate::telemetry::{Metrics, ModelMetrics, Tracer, WorkerMetrics};

/// What never changes of a model, shared with the workers that run it.
pub(super) struct ModelFacts {
    pub(super) model: String,
    pub(super) version: String,
    pub(super) provider: &'static str,
    pub(super) cost: usize,
    pub(super) device: DeviceKind,
    pub(super) limits: BatchLimits,
    pub(super) buckets: Buckets,
    pub(super) metrics: Arc<ModelMetrics>,
}

/// What who submits a job does besides waiting for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Nothing: workers run it.
    Waits,
    /// Runs what waits, where that is quicker than waking a worker.
    Helps,
}

/// The state under the lock, with what threads do about it.
struct Locked {
    device: DeviceState,
    workers_alive: usize,
    /// Workers that wait for work: a wake-up is a system call, made only when one of them needs it.
    parked: usize,
}

/// One device's state, its lock and those who wait on it.
pub(super) struct Shared {
    locked: Mutex<Locked>,
    work_or_close: Condvar,
    worker_left: Condvar,
    pub(super) device: String,
    kind: DeviceKind,
    pub(super) tracer: Tracer,
    pub(super) metrics: Arc<Metrics>,
    pub(super) worker_metrics: WorkerMetrics,
}

impl Shared {
    pub(super) fn new(device: &DeviceOptions, metrics: &Arc<Metrics>, tracer: &Tracer) -> Self {
        let worker_metrics = metrics.workers(&device.name);
        Self {
            locked: Mutex::new(Locked { device: DeviceState::new(0), workers_alive: 0, parked: 0 }),
            work_or_close: Condvar::new(),
            worker_left: Condvar::new(),
            device: device.name.clone(),
            kind: device.kind,
            tracer: tracer.clone(),
            metrics: Arc::clone(metrics),
            worker_metrics,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Locked> {
        // Nothing that can panic runs under the lock; state stays consistent even if it did.
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more permit, and a worker's place with it, as long as there are fewer than `wanted`: its index.
    pub(super) fn next_permit(&self, wanted: usize) -> Option<usize> {
        let mut locked = self.lock();
        let index = locked.device.permits;
        if index >= wanted {
            return None;
        }
        locked.device.add_permit();
        locked.workers_alive += 1;
        self.show_workers(&locked.device);
        Some(index)
    }

    pub(super) fn add(&self, options: ModelOptions) -> usize {
        let mut locked = self.lock();
        let state = &mut locked.device;
        let facts = Arc::new(ModelFacts {
            model: options.model.clone(),
            version: options.version.clone(),
            provider: options.provider,
            cost: options.cost.clamp(1, state.permits),
            device: self.kind,
            buckets: options.buckets.clone(),
            limits: BatchLimits { max_rows: options.limits.max_rows.max(1), ..options.limits },
            metrics: Arc::clone(&options.metrics),
        });
        state.add(QueueState::new(facts, options))
    }

    /// Lets go of a queue whose model is gone, and of its sessions as soon as none of them runs.
    pub(super) fn retire(&self, queue: usize) {
        let sessions = self.lock().device.retire(queue);
        drop(sessions);
    }

    /// Puts a job in its queue. Where the caller `helps`, and runs are short, no worker is woken for it: the
    /// first such caller is to come back for all ([`take_near`](Self::take_near)), and its ticket says so.
    pub(super) fn submit(
        shared: &Arc<Self>,
        queue: usize,
        request: JobRequest,
        caller: Caller,
    ) -> Result<Ticket, SubmitError> {
        let mut locked = shared.lock();
        let (job, reply) = locked.device.submit(queue, request, Instant::now())?;
        let entry = &mut locked.device.queues[queue];
        let fits = job.request.rows <= entry.facts.limits.max_rows;
        let is_near = caller == Caller::Helps && fits && entry.is_near() && !entry.needs_worker;
        let leads = is_near && !entry.has_leader;
        entry.has_leader |= leads;
        entry.needs_worker |= !is_near;
        let wake = !is_near && locked.parked > 0;
        drop(locked);
        if wake {
            shared.work_or_close.notify_one();
        }
        Ok(Ticket { shared: Arc::clone(shared), queue, job, reply, leads, answered: false })
    }

    /// Whether such a job would be taken now.
    pub(super) fn admits(
        &self,
        queue: usize,
        job: (usize, usize, u32),
        deadline: Instant,
    ) -> Result<(), SubmitError> {
        self.lock().device.admits(queue, job, deadline, Instant::now())
    }

    /// Takes an abandoned job out of its queue, so that it holds no room.
    pub(super) fn withdraw(&self, queue: usize, place: Place) {
        self.lock().device.withdraw(queue, place, Instant::now());
    }

    pub(super) fn is_full(&self, queue: usize, rows: usize) -> bool {
        !self.lock().device.queues[queue].has_room(rows)
    }

    pub(super) fn retry_after(&self, queue: usize) -> u64 {
        self.lock().device.queues[queue].retry_after(Instant::now())
    }

    /// Takes runs into account that took place elsewhere.
    #[cfg(test)]
    pub(super) fn learn(&self, queue: usize, runs: &[super::Measured]) {
        let mut locked = self.lock();
        for run in runs {
            locked.device.queues[queue].cost.observe(*run);
        }
    }

    pub(super) fn close(&self) {
        self.lock().device.closed = true;
        self.work_or_close.notify_all();
    }

    /// Gives back what the last run used, then waits for work; none when the scheduler is closed and
    /// nothing is queued.
    pub(super) fn next_work(&self, done: Option<Done>) -> Option<Work> {
        let mut locked = self.lock();
        let mut now = Instant::now();
        if let Some(session) = done.and_then(|done| locked.device.give_back(done, now)) {
            // Freeing a session takes its time.
            drop(locked);
            drop(session);
            locked = self.lock();
            now = Instant::now();
        }
        loop {
            let until = match locked.device.next(now) {
                Next::Work(work) => {
                    self.show_workers(&locked.device);
                    // A wake-up may have been spent on a job that could not start then.
                    self.unlock_and_wake(locked);
                    return Some(work);
                }
                Next::Idle(until) => until,
            };
            self.show_workers(&locked.device);
            if locked.device.closed && !locked.device.has_work() {
                return None;
            }
            locked.parked += 1;
            locked = self.park(locked, until);
            locked.parked -= 1;
            now = Instant::now();
        }
    }

    fn park<'a>(&self, locked: MutexGuard<'a, Locked>, until: Option<Instant>) -> MutexGuard<'a, Locked> {
        let Some(until) = until else {
            return self.work_or_close.wait(locked).unwrap_or_else(PoisonError::into_inner);
        };
        let left = until.saturating_duration_since(Instant::now());
        self.work_or_close.wait_timeout(locked, left).unwrap_or_else(PoisonError::into_inner).0
    }

    /// A session and permits for `request`, to be run where the caller is: only when nothing on the
    /// device waits and the model's runs are short.
    pub(super) fn take_now(
        &self,
        queue: usize,
        request: &JobRequest,
    ) -> Option<(Arc<ModelFacts>, Instant, Done)> {
        let mut locked = self.lock();
        let now = Instant::now();
        let done = locked.device.take_now(queue, request, now)?;
        self.show_workers(&locked.device);
        Some((Arc::clone(&locked.device.queues[queue].facts), now, done))
    }

    /// Gives back what a run in the caller's thread used.
    pub(super) fn return_now(&self, done: Done) {
        let mut locked = self.lock();
        let given_up = locked.device.give_back(done, Instant::now());
        self.show_workers(&locked.device);
        self.unlock_and_wake(locked);
        drop(given_up);
    }

    /// The next batch of a queue, to be run in the caller's thread and given back by
    /// [`return_now`](Self::return_now); none when nothing waits any more, or workers will run it.
    pub(super) fn take_near(&self, queue: usize) -> Option<Work> {
        let mut locked = self.lock();
        let work = locked.device.next_near(queue, Instant::now());
        if work.is_some() {
            self.show_workers(&locked.device);
        }
        self.unlock_and_wake(locked);
        work
    }

    /// Rows that wait in a queue.
    pub(super) fn queued_rows(&self, queue: usize) -> usize {
        self.lock().device.queues[queue].queued_rows()
    }

    /// Gives back what a batch in the caller's thread used; true when something waits that nobody has
    /// promised to run.
    pub(super) fn return_near(&self, done: Done) -> bool {
        let mut locked = self.lock();
        let queue = done.queue;
        let given_up = locked.device.give_back(done, Instant::now());
        let entry = &locked.device.queues[queue];
        let waits = !entry.is_empty() && !entry.has_leader && !entry.needs_worker;
        self.show_workers(&locked.device);
        self.unlock_and_wake(locked);
        drop(given_up);
        waits
    }

    /// Leaves what waits in a queue to the workers.
    pub(super) fn hand_over(&self, queue: usize) {
        let mut locked = self.lock();
        let entry = &mut locked.device.queues[queue];
        entry.needs_worker = !entry.is_empty();
        self.unlock_and_wake(locked);
    }

    /// Wakes a worker if one is needed and one sleeps.
    fn unlock_and_wake(&self, locked: MutexGuard<'_, Locked>) {
        let wake = locked.parked > 0 && (locked.device.needs_worker() || locked.device.closed);
        drop(locked);
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
        let mut locked = self.lock();
        while locked.workers_alive > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            locked = self.worker_left.wait_timeout(locked, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub(super) fn stuck(&self, limit: Duration, now: Instant) -> usize {
        let locked = self.lock();
        let (stuck, busy) = locked.device.stuck(limit, now);
        self.worker_metrics.set(locked.device.permits - busy, busy - stuck, stuck);
        stuck
    }

    fn show_workers(&self, device: &DeviceState) {
        let busy = device.busy();
        self.worker_metrics.set(device.permits - busy, busy, 0);
    }
}
