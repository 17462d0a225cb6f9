//! One device behind its lock: who submits, who waits for work, who has gone.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::device::{DeviceState, Done, Next, Work};
use super::job::JobRequest;
use super::pending::Place;
use super::policy::BatchLimits;
use super::queue::QueueState;
use super::ticket::{SubmitError, Ticket};
use super::{DeviceOptions, ModelOptions};
use crate::telemetry::{Metrics, ModelMetrics, Tracer, WorkerMetrics};

/// What never changes of a model, shared with the workers that run it.
pub(super) struct ModelFacts {
    pub(super) model: String,
    pub(super) version: String,
    pub(super) provider: &'static str,
    pub(super) cost: usize,
    pub(super) limits: BatchLimits,
    pub(super) metrics: Arc<ModelMetrics>,
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
    pub(super) tracer: Tracer,
    pub(super) metrics: Arc<Metrics>,
    pub(super) worker_metrics: WorkerMetrics,
}

impl Shared {
    pub(super) fn new(device: &DeviceOptions, metrics: &Arc<Metrics>, tracer: &Tracer) -> Self {
        let worker_metrics = metrics.workers(&device.name);
        worker_metrics.set(device.permits, 0, 0);
        let state = DeviceState::new(device.permits);
        Self {
            locked: Mutex::new(Locked { device: state, workers_alive: device.permits, parked: 0 }),
            work_or_close: Condvar::new(),
            worker_left: Condvar::new(),
            device: device.name.clone(),
            tracer: tracer.clone(),
            metrics: Arc::clone(metrics),
            worker_metrics,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Locked> {
        // Nothing that can panic runs under the lock; state stays consistent even if it did.
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, options: ModelOptions) -> usize {
        let mut locked = self.lock();
        let state = &mut locked.device;
        let facts = Arc::new(ModelFacts {
            model: options.model.clone(),
            version: options.version.clone(),
            provider: options.provider,
            cost: options.cost.clamp(1, state.permits),
            limits: BatchLimits { max_rows: options.limits.max_rows.max(1), ..options.limits },
            metrics: Arc::clone(&options.metrics),
        });
        state.queues.push(QueueState::new(facts, options));
        state.queues.len() - 1
    }

    pub(super) fn submit(
        shared: &Arc<Self>,
        queue: usize,
        request: JobRequest,
    ) -> Result<Ticket, SubmitError> {
        let mut locked = shared.lock();
        let (job, reply) = locked.device.submit(queue, request, Instant::now())?;
        let is_parked = locked.parked > 0;
        drop(locked);
        if is_parked {
            shared.work_or_close.notify_one();
        }
        Ok(Ticket { shared: Arc::clone(shared), queue, job, reply, answered: false })
    }

    /// Takes an abandoned job out of its queue, so that it holds no room.
    pub(super) fn withdraw(&self, queue: usize, place: Place) {
        self.lock().device.withdraw(queue, place);
    }

    pub(super) fn is_full(&self, queue: usize, rows: usize) -> bool {
        !self.lock().device.queues[queue].has_room(rows)
    }

    pub(super) fn retry_after(&self, queue: usize) -> u64 {
        self.lock().device.queues[queue].retry_after()
    }

    /// Takes runs into account that took place elsewhere.
    #[cfg(test)]
    pub(super) fn learn(&self, queue: usize, runs: &[super::Measured]) {
        let mut locked = self.lock();
        runs.iter().for_each(|run| locked.device.queues[queue].cost.observe(*run));
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
        if let Some(done) = done {
            locked.device.give_back(done, now);
        }
        loop {
            let until = match locked.device.next(now) {
                Next::Work(work) => {
                    self.show_workers(&locked.device);
                    // A wake-up may have been spent on a job that could not start then.
                    let wake = locked.parked > 0 && locked.device.has_work();
                    drop(locked);
                    if wake {
                        self.work_or_close.notify_one();
                    }
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
        locked.device.give_back(done, Instant::now());
        self.show_workers(&locked.device);
        let wake = locked.parked > 0 && (locked.device.has_work() || locked.device.closed);
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
