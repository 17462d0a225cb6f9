//! A worker: the thread that holds a slot. Takes work, runs it, answers; a panic in a run fails
//! that job and nothing else. Short runs on an idle device are done in the caller's thread instead
//! ([`run_now`]), accounted for alike.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::job::{BatchSummary, FailureKind, Finished, Job, JobFailure, JobRequest, JobTimes};
use super::run::{Ran, run_job, run_whole};
use super::state::{Done, ModelFacts, NowWork, Shared, Work};
use crate::telemetry::{BatchMember, BatchRecord, SpanContext};

/// Tells the device that this worker has left, also when it leaves by a panic.
struct Alive<'a>(&'a Shared);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.worker_gone();
    }
}

/// Works until the scheduler is closed and nothing is queued.
pub(super) fn run(shared: &Arc<Shared>) {
    let _alive = Alive(shared);
    let mut done = None;
    while let Some(work) = shared.next_work(done.take()) {
        done = Some(serve(shared, work));
    }
}

fn serve(shared: &Shared, work: Work) -> Done {
    let Work { job, facts, dequeued, mut done } = work;
    let interrupt = done.session.interrupt();
    if !job.control.begin(interrupt.clone()) {
        return done;
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| run_job(done.session.as_mut(), &job, &facts, dequeued)));
    job.control.end();
    interrupt.clear();
    let Job { request, enqueued, depth_at_enqueue, reply, .. } = job;
    let account = Account { shared, facts: &facts, request: &request, depth_at_enqueue };
    let (answer, took) = account.answer(outcome.ok(), enqueued, dequeued);
    // Nobody waits any more when the caller has gone; the result is dropped then.
    drop(reply.send(answer));
    done.ran = Some((request.rows, took));
    done
}

/// Runs a job in the caller's thread, where the device allows that now.
///
/// For a model whose run is shorter than the way to another thread and back.
pub(super) fn run_now(
    shared: &Shared,
    queue: usize,
    request: &JobRequest,
) -> Option<Result<Finished, JobFailure>> {
    let NowWork { facts, now, mut done } = shared.take_now(queue, request)?;
    let statistics = facts.metrics.statistics();
    let outcome =
        catch_unwind(AssertUnwindSafe(|| run_whole(done.session.as_mut(), request, statistics, now)));
    let account = Account { shared, facts: &facts, request, depth_at_enqueue: 0 };
    let (answer, took) = account.answer(outcome.ok(), now, now);
    done.ran = Some((request.rows, took));
    shared.return_now(done);
    Some(answer)
}

/// What metrics, spans and the caller are told of a run.
struct Account<'a> {
    shared: &'a Shared,
    facts: &'a ModelFacts,
    request: &'a JobRequest,
    depth_at_enqueue: usize,
}

impl Account<'_> {
    /// The caller's answer, and how long the run took; `ran` is none when it panicked.
    fn answer(
        &self,
        ran: Option<Ran>,
        enqueued: Instant,
        dequeued: Instant,
    ) -> (Result<Finished, JobFailure>, Duration) {
        let ran = ran.unwrap_or_else(|| {
            self.shared.metrics.panicked("worker");
            Ran { outputs: Err(FailureKind::Panicked), assembled: dequeued, executed: Instant::now() }
        });
        let times = JobTimes { enqueued, dequeued, assembled: ran.assembled, executed: ran.executed };
        let took = times.executed.saturating_duration_since(times.assembled);
        let (metrics, size) = (&self.facts.metrics, self.request.rows);
        metrics.queue_wait(dequeued.saturating_duration_since(enqueued));
        metrics.batch(size, None, took);
        let context = self.record_batch(times, ran.outputs.as_ref().err());
        let depth_at_enqueue = self.depth_at_enqueue;
        let answer = match ran.outputs {
            Ok(outputs) => {
                let batch = BatchSummary { size, index: 0, context, depth_at_enqueue };
                Ok(Finished { outputs, times, batch })
            }
            Err(kind) => Err(JobFailure { kind, times: Some(times) }),
        };
        (answer, took)
    }

    fn record_batch(&self, times: JobTimes, failure: Option<&FailureKind>) -> Option<SpanContext> {
        let context = Some(self.request.trace.clone()?);
        let (now, wall) = (Instant::now(), SystemTime::now());
        let at = |instant: Instant| wall - now.saturating_duration_since(instant);
        let member = BatchMember { context, index: 0, input_length: self.request.input_length };
        self.shared.tracer.record_batch(&BatchRecord {
            model: &self.facts.model,
            version: &self.facts.version,
            device: &self.shared.device,
            provider: self.facts.provider,
            size: self.request.rows,
            reason: "single",
            padding_ratio: None,
            members: &[member],
            assembled: (at(times.dequeued), at(times.assembled)),
            executed: (at(times.assembled), at(times.executed)),
            scattered: (at(times.executed), wall),
            error_type: failure.map(error_type),
        })
    }
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
