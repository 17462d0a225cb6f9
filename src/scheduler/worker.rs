//! A worker: the thread that holds a slot. Takes work, runs it, answers; a panic in a run fails
//! that job and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::job::{BatchSummary, FailureKind, Finished, Job, JobFailure, JobTimes};
use super::run::{Ran, run_job};
use super::state::{Done, ModelFacts, Shared, Work};
use crate::telemetry::{BatchMember, BatchRecord, SpanContext};

/// Tells the device that this worker has left, also when it leaves by a panic.
struct Alive<'a>(&'a Shared);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.worker_gone();
    }
}

/// Works until the scheduler is closed and nothing is queued.
pub(super) fn run(shared: &Arc<Shared>, index: usize) {
    let _alive = Alive(shared);
    let mut done = None;
    while let Some(work) = shared.next_work(index, done.take()) {
        done = Some(serve(shared, work));
    }
}

fn serve(shared: &Shared, work: Work) -> Done {
    let Work { queue, job, mut session, facts, permits, dequeued } = work;
    let interrupt = session.interrupt();
    if !job.control.begin(interrupt.clone()) {
        return Done { queue, session, permits, ran: None };
    }
    facts.metrics.queue_wait(dequeued.saturating_duration_since(job.enqueued));
    let outcome = catch_unwind(AssertUnwindSafe(|| run_job(session.as_mut(), &job, facts.max_batch_size)));
    job.control.end();
    interrupt.clear();
    let ran = outcome.unwrap_or_else(|_| {
        shared.metrics.panicked("worker");
        let now = Instant::now();
        Ran { outputs: Err(FailureKind::Panicked), assembled: dequeued, executed: now }
    });
    let took = ran.executed.saturating_duration_since(ran.assembled);
    let rows = job.request.rows;
    answer(shared, &facts, job, ran, dequeued);
    Done { queue, session, permits, ran: Some((rows, took)) }
}

fn answer(shared: &Shared, facts: &ModelFacts, job: Job, ran: Ran, dequeued: Instant) {
    let times =
        JobTimes { enqueued: job.enqueued, dequeued, assembled: ran.assembled, executed: ran.executed };
    facts.metrics.batch(job.request.rows, None, times.executed.saturating_duration_since(times.assembled));
    let context = job
        .request
        .trace
        .as_ref()
        .and_then(|_| record_batch(shared, facts, &job, times, ran.outputs.as_ref().err()));
    let reply = match ran.outputs {
        Ok(outputs) => Ok(Finished {
            outputs,
            times,
            batch: BatchSummary {
                size: job.request.rows,
                index: 0,
                context,
                depth_at_enqueue: job.depth_at_enqueue,
            },
        }),
        Err(kind) => Err(JobFailure { kind, times: Some(times) }),
    };
    // Nobody waits any more when the caller has gone; the result is dropped then.
    drop(job.reply.send(reply));
}

fn record_batch(
    shared: &Shared,
    facts: &ModelFacts,
    job: &Job,
    times: JobTimes,
    failure: Option<&FailureKind>,
) -> Option<SpanContext> {
    let (now, wall) = (Instant::now(), SystemTime::now());
    let at = |instant: Instant| wall - now.saturating_duration_since(instant);
    let member =
        BatchMember { context: job.request.trace.clone(), index: 0, input_length: job.request.input_length };
    shared.tracer.record_batch(&BatchRecord {
        model: &facts.model,
        version: &facts.version,
        device: &shared.device,
        provider: facts.provider,
        size: job.request.rows,
        reason: "single",
        padding_ratio: None,
        members: &[member],
        assembled: (at(times.dequeued), at(times.assembled)),
        executed: (at(times.assembled), at(times.executed)),
        scattered: (at(times.executed), wall),
        error_type: failure.map(error_type),
    })
}

fn error_type(failure: &FailureKind) -> &'static str {
    match failure {
        FailureKind::Expired => "deadline_exceeded",
        FailureKind::InvalidInput(_) => "invalid_input",
        FailureKind::Device(_) | FailureKind::Failed(_) => "inference_failed",
        FailureKind::Panicked => "internal",
        FailureKind::Cancelled => "client_disconnected",
    }
}
