//! Admission, queues, batching policy, execution slots and cancellation.
//!
//! `service/` submits jobs and awaits tickets; worker threads hold the slots and run sessions. What
//! decides is pure: whose turn it is (`fairness.rs`), which rows run together (`policy.rs`), what that
//! should cost (`cost.rs`), how many rows may wait (`limit.rs`); `device.rs` steps through it, `state.rs`
//! has the lock and the clock. Nothing here knows JSON or tasks.
//!
//! Invariants: a job is answered exactly once or its ticket is gone; a queue never holds more rows
//! than its capacity (one oversized job on an empty queue excepted); a device never runs more
//! intra-op threads than it has permits.

mod buckets;
mod company;
mod cost;
mod device;
mod fairness;
mod free;
mod group;
mod job;
mod limit;
mod pace;
mod pending;
mod policy;
mod queue;
mod retry;
mod run;
mod state;
mod ticket;
mod worker;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::engine::Run;
use crate::telemetry::{Metrics, ModelMetrics, Tracer};
pub use buckets::Buckets;
pub use cost::Measured;
pub use group::Grouping;
pub use job::{BatchSummary, FailureKind, Finished, JobFailure, JobRequest, JobTimes};
pub use policy::BatchLimits;
use state::{Caller, Shared};
pub use ticket::{SubmitError, Ticket};

/// A set of execution slots: the CPU's cores, or the concurrent runs that one accelerator takes.
#[derive(Clone, Debug)]
pub struct DeviceOptions {
    /// Name in metrics and spans, such as `cpu` or `cuda:0`.
    pub name: String,
    /// What its permits stand for.
    pub kind: DeviceKind,
    /// How many intra-op threads (CPU) or concurrent runs (accelerator) fit. An accelerator that another model
    /// uses already gets as many as the one that wants most.
    pub permits: usize,
}

/// What a device's permits stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// Cores: as many batches as cores at once are the quickest.
    Cores,
    /// Runs under way at once, so that one is copied while another computes: they share the device, and two
    /// halves take no less time than the whole.
    Accelerator,
}

/// What the scheduler must know of a model.
pub struct ModelOptions {
    /// Name in spans.
    pub model: String,
    /// Version in spans.
    pub version: String,
    /// The device whose slots it uses.
    pub device: DeviceOptions,
    /// Execution provider, for spans.
    pub provider: &'static str,
    /// Permits that one run takes.
    pub cost: usize,
    /// Independent sessions: at most this many runs at once.
    pub sessions: Vec<Box<dyn Run>>,
    /// Bounds of a batch.
    pub limits: BatchLimits,
    /// Which of its rows can share one.
    pub grouping: Grouping,
    /// Shapes that its batches are filled up to.
    pub buckets: Buckets,
    /// Runs that were measured at warm-up.
    pub measured: Vec<Measured>,
    /// Most rows that wait.
    pub queue_capacity: usize,
    /// Where its figures go.
    pub metrics: Arc<ModelMetrics>,
}

/// The queues and workers of all devices.
pub struct Scheduler {
    metrics: Arc<Metrics>,
    tracer: Tracer,
    devices: Mutex<Devices>,
}

#[derive(Default)]
struct Devices {
    by_name: Vec<(String, Arc<Shared>)>,
    workers: Vec<JoinHandle<()>>,
}

impl Scheduler {
    /// A scheduler without devices: each is started by its first model.
    pub fn new(metrics: Arc<Metrics>, tracer: Tracer) -> Self {
        Self { metrics, tracer, devices: Mutex::default() }
    }

    fn devices(&self) -> MutexGuard<'_, Devices> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shares(&self) -> Vec<Arc<Shared>> {
        self.devices().by_name.iter().map(|(_, shared)| Arc::clone(shared)).collect()
    }

    /// Gives a model its queue; its device's workers, one thread per permit, are started if they
    /// are not there yet.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn add_model(&self, options: ModelOptions) -> std::io::Result<ModelQueue> {
        let shared = self.device(&options.device)?;
        Ok(ModelQueue::new(&shared, options))
    }

    fn device(&self, device: &DeviceOptions) -> std::io::Result<Arc<Shared>> {
        let mut devices = self.devices();
        let known = devices.by_name.iter().find(|(name, _)| *name == device.name);
        let shared = if let Some((_, shared)) = known {
            Arc::clone(shared)
        } else {
            let shared = Arc::new(Shared::new(device, &self.metrics, &self.tracer));
            devices.by_name.push((device.name.clone(), Arc::clone(&shared)));
            shared
        };
        while let Some(index) = shared.next_permit(device.permits) {
            let working = Arc::clone(&shared);
            let name = format!("{}-worker-{index}", device.name);
            let worker = std::thread::Builder::new().name(name).spawn(move || worker::run(&working));
            devices.workers.push(worker.inspect_err(|_| shared.worker_gone())?);
        }
        Ok(shared)
    }

    /// Workers whose run has taken longer than `limit`, over all devices; updates the gauges too.
    pub fn stuck_workers(&self, limit: Duration, now: Instant) -> usize {
        self.shares().iter().map(|shared| shared.stuck(limit, now)).sum()
    }

    /// Refuses new jobs from now on; what is queued is still run.
    pub fn close(&self) {
        for shared in self.shares() {
            shared.close();
        }
    }

    /// Waits until every worker has emptied its queue and left, at most until `deadline`.
    /// False when one is stuck: then the runtime must not be torn down.
    pub fn join(&self, deadline: Instant) -> bool {
        self.close();
        if !self.shares().iter().all(|shared| shared.wait_until_idle(deadline)) {
            return false;
        }
        let workers = std::mem::take(&mut self.devices().workers);
        workers.into_iter().all(|worker| worker.join().is_ok())
    }
}

/// A model's queue: the way in. Dropping it frees the model's sessions, those that run after their run.
pub struct ModelQueue {
    shared: Arc<Shared>,
    index: usize,
    device: String,
}

impl ModelQueue {
    fn new(shared: &Arc<Shared>, options: ModelOptions) -> Self {
        let device = options.device.name.clone();
        options.metrics.queue_capacity(options.queue_capacity);
        let index = shared.add(options);
        Self { shared: Arc::clone(shared), index, device }
    }

    /// The device that runs it.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Puts a job in the queue, or says at once why not.
    ///
    /// # Errors
    /// When the queue is full or closed, or the job could not end by its deadline behind what waits.
    pub fn try_submit(&self, job: JobRequest) -> Result<Ticket, SubmitError> {
        Shared::submit(&self.shared, self.index, job, Caller::Waits)
    }

    /// Whether a job of `rows` rows, about `width` wide, would be taken now: what is refused before its
    /// rows are made costs less.
    ///
    /// # Errors
    /// Those of `try_submit`.
    pub fn admits(
        &self,
        (rows, width): (usize, usize),
        priority: u32,
        deadline: Instant,
    ) -> Result<(), SubmitError> {
        self.shared.admits(self.index, (rows, width, priority), deadline)
    }

    /// Like [`try_submit`](Self::try_submit), by a caller who will call [`Ticket::help`]: then no worker
    /// is woken for a model whose runs are shorter than the way to another thread and back.
    ///
    /// # Errors
    /// Those of `try_submit`.
    pub fn try_submit_near(&self, job: JobRequest) -> Result<Ticket, SubmitError> {
        Shared::submit(&self.shared, self.index, job, Caller::Helps)
    }

    /// Runs a job at once in the calling thread, when nothing waits on the device, a slot is free, the
    /// model's runs are shorter than the way to another thread and back, and no company is to be expected;
    /// else none.
    pub fn try_run_now(&self, job: &JobRequest) -> Option<Result<Finished, JobFailure>> {
        worker::run_now(&self.shared, self.index, job)
    }

    #[cfg(test)]
    fn learn(&self, runs: &[Measured]) {
        self.shared.learn(self.index, runs);
    }

    /// True when another job of `rows` rows would be refused now.
    pub fn is_full(&self, rows: usize) -> bool {
        self.shared.is_full(self.index, rows)
    }

    /// Whole seconds until the queue is likely to have room: 1 to 60, jittered.
    pub fn retry_after(&self) -> u64 {
        self.shared.retry_after(self.index)
    }
}

impl Drop for ModelQueue {
    fn drop(&mut self) {
        self.shared.retire(self.index);
    }
}
