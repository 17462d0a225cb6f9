//! A job's way through the scheduler and back, with a session that does nothing: what a request pays beside
//! its run. All in one thread, as short runs are done, so that the count repeats.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ml_inference_api::engine::{Interrupt, Run, RunError};
use ml_inference_api::scheduler::{
    BatchLimits, Buckets, DeviceKind, DeviceOptions, Grouping, JobRequest, Measured, ModelOptions,
    ModelQueue, Scheduler,
};
use ml_inference_api::telemetry::{BuildInfo, Metrics, Tracer};
use ml_inference_api::tensor::Tensor;

use super::{Bench, Fault, count, models};

/// One job: how many share a batch is learnt from times, which callgrind stretches.
pub(crate) const BENCHES: [Bench; 1] = [("schedule/1", || scheduled(1))];

/// Runs from which the scheduler learns what they take.
const LEARNT: usize = 64;
/// As the server's own default.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Gives back what it is given.
struct Echo;

impl Run for Echo {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        Ok(inputs.to_vec())
    }

    fn interrupt(&self) -> Interrupt {
        Interrupt::from_fn(|_raised| {})
    }
}

/// So many jobs of one row, submitted one after another, run as one batch and answered.
fn scheduled(jobs: usize) -> Result<(), Fault> {
    let metrics = Arc::new(Metrics::new(None, &BuildInfo::default()));
    let scheduler = Scheduler::new(Arc::clone(&metrics), Tracer::disabled());
    let run = |rows| Measured { rows, width: 1, took: Duration::from_micros(1) };
    let measured = vec![run(1), run(32)];
    let queue = scheduler.add_model(ModelOptions {
        model: "m".into(),
        version: "1".into(),
        device: DeviceOptions { name: "cpu".into(), kind: DeviceKind::Cores, permits: 1 },
        provider: "cpu",
        cost: 1,
        sessions: vec![Box::new(Echo)],
        limits: BatchLimits { max_rows: 32, max_tokens: None, max_delay: Duration::ZERO },
        grouping: Grouping { batchable: true, has_free_shape: false, pads: false },
        buckets: Buckets::default(),
        measured,
        queue_capacity: 2048,
        metrics: metrics.model("m", "1", "cpu"),
    })?;
    let row = Tensor::new(vec![1, 30], models::numbers(30))?;
    // By workers, until the scheduler knows that runs are short.
    let executor = tokio::runtime::Builder::new_current_thread().build()?;
    for _ in 0..LEARNT {
        let ticket = queue.try_submit(job(&row)).map_err(|error| format!("a job was refused: {error:?}"))?;
        executor.block_on(ticket).map_err(|failure| format!("a run failed: {failure:?}"))?;
    }
    // The worker gives the session back after its last answer.
    std::thread::sleep(Duration::from_millis(200));
    let make = || Ok((0..jobs).map(|_| job(&row)).collect::<Vec<JobRequest>>());
    count(make, |jobs| pass(&queue, jobs))?;
    if scheduler.join(Instant::now() + TIMEOUT) { Ok(()) } else { Err("a worker did not end".into()) }
}

fn job(row: &Tensor) -> JobRequest {
    JobRequest {
        inputs: vec![row.clone()],
        optional: Vec::new(),
        rows: 1,
        row_tokens: None,
        priority: 0,
        deadline: Instant::now() + TIMEOUT,
        trace: None,
        input_length: 30,
    }
}

fn pass(queue: &ModelQueue, jobs: Vec<JobRequest>) -> Result<usize, Fault> {
    let refused = |error| format!("a job was refused: {error:?}");
    let mut tickets = jobs
        .into_iter()
        .map(|job| queue.try_submit_near(job).map_err(refused))
        .collect::<Result<Vec<_>, String>>()?;
    // The first one comes back and runs all that came after it.
    let first = tickets.first_mut().ok_or("no jobs")?;
    if !first.leads() {
        return Err("the run was left to a worker: too long for this thread".into());
    }
    first.help();
    let mut context = Context::from_waker(Waker::noop());
    let mut outputs = 0;
    for ticket in &mut tickets {
        match Pin::new(ticket).poll(&mut context) {
            Poll::Ready(Ok(finished)) => outputs += finished.outputs.len(),
            Poll::Ready(Err(failure)) => return Err(format!("a run failed: {failure:?}").into()),
            Poll::Pending => return Err("a job was not run".into()),
        }
    }
    Ok(outputs)
}
