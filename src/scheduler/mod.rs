//! Admission, queues, batching policy, execution slots and cancellation.
//!
//! `service/` submits jobs and awaits tickets; worker threads hold the slots and run sessions.
//! The policy that picks the next job is pure (`policy.rs`). Nothing here knows JSON or tasks.
//!
//! Invariants: a job is answered exactly once or its ticket is gone; a queue never holds more rows
//! than its capacity (one oversized job on an empty queue excepted); a device never runs more
//! intra-op threads than it has permits.

mod drain_rate;
mod job;
mod policy;
mod run;
mod state;
mod ticket;
mod worker;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use std::sync::Mutex;

use crate::engine::Run;
use crate::telemetry::{Metrics, ModelMetrics, Tracer};
pub use job::{BatchSummary, FailureKind, Finished, JobFailure, JobRequest, JobTimes};
use state::{DeviceState, Shared};
pub use ticket::{SubmitError, Ticket};

/// A set of execution slots: the CPU's cores, or the concurrent runs that one accelerator takes.
#[derive(Clone, Debug)]
pub struct DeviceOptions {
    /// Name in metrics and spans, such as `cpu` or `cuda:0`.
    pub name: String,
    /// How many intra-op threads (CPU) or concurrent runs (accelerator) fit.
    pub permits: usize,
}

/// What the scheduler must know of a model.
pub struct ModelOptions {
    /// Name in spans.
    pub model: String,
    /// Version in spans.
    pub version: String,
    /// The device whose slots it uses; one of those given to [`Scheduler::start`].
    pub device: String,
    /// Execution provider, for spans.
    pub provider: &'static str,
    /// Permits that one run takes.
    pub cost: usize,
    /// Independent sessions: at most this many runs at once.
    pub sessions: Vec<Box<dyn Run>>,
    /// Most rows of one run.
    pub max_batch_size: usize,
    /// Most rows that wait.
    pub queue_capacity: usize,
    /// Where its figures go.
    pub metrics: Arc<ModelMetrics>,
}

/// The queues and workers of all devices.
pub struct Scheduler {
    devices: Vec<(String, Arc<Shared>)>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl Scheduler {
    /// Starts one worker thread per permit of every device.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(devices: &[DeviceOptions], metrics: &Arc<Metrics>, tracer: &Tracer) -> std::io::Result<Self> {
        let mut started = Vec::new();
        let mut workers = Vec::new();
        for device in devices {
            let shared = Arc::new(Shared::new(DeviceState::new(device.permits), device, metrics, tracer));
            for index in 0..device.permits {
                let shared = Arc::clone(&shared);
                let name = format!("{}-worker-{index}", device.name);
                workers.push(std::thread::Builder::new().name(name).spawn(move || worker::run(&shared, index))?);
            }
            started.push((device.name.clone(), shared));
        }
        Ok(Self { devices: started, workers: Mutex::new(workers) })
    }

    /// Gives a model its queue.
    ///
    /// # Panics
    /// If the device is not one of those the scheduler was started with: a wiring bug.
    pub fn add_model(&self, options: ModelOptions) -> ModelQueue {
        let (_, shared) = self
            .devices
            .iter()
            .find(|(name, _)| *name == options.device)
            .expect("a model is only given to a device that exists");
        ModelQueue::new(shared, options)
    }

    /// Workers whose run has taken longer than `limit`, over all devices; updates the gauges too.
    pub fn stuck_workers(&self, limit: Duration, now: Instant) -> usize {
        self.devices.iter().map(|(_, shared)| shared.stuck(limit, now)).sum()
    }

    /// Refuses new jobs from now on; what is queued is still run.
    pub fn close(&self) {
        for (_, shared) in &self.devices {
            shared.close();
        }
    }

    /// Waits until every worker has emptied its queue and left, at most until `deadline`.
    /// False when one is stuck: then the runtime must not be torn down.
    pub fn join(&self, deadline: Instant) -> bool {
        self.close();
        let mut workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        for (_, shared) in &self.devices {
            if !shared.wait_until_idle(deadline) {
                return false;
            }
        }
        workers.drain(..).all(|worker| worker.join().is_ok())
    }
}

/// A model's queue: the way in.
pub struct ModelQueue {
    shared: Arc<Shared>,
    index: usize,
    device: String,
}

impl ModelQueue {
    fn new(shared: &Arc<Shared>, options: ModelOptions) -> Self {
        let device = options.device.clone();
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
    /// When the queue is full or closed.
    pub fn try_submit(&self, job: JobRequest) -> Result<Ticket, SubmitError> {
        Shared::submit(&self.shared, self.index, job)
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
