//! A worker: the thread that holds a slot. Takes a batch, runs it, answers its members; a panic in a run
//! fails its job and nothing else. Short runs on an idle device are done in the caller's thread
//! instead ([`run_now`]), accounted for alike.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::cost::Measured;
use super::device::{Done, Work};
use super::job::{BatchSummary, FailureKind, Finished, JobFailure, JobRequest, JobTimes};
use super::pending::Guard;
use super::queue::Taken;
use super::run::{BatchRan, Runner, padding_ratio, run_batch, run_whole};
use super::state::{ModelFacts, Shared};
use crate::telemetry::{BatchMember, BatchRecord, SampledSpan, SpanContext};
use crate::tensor::Tensor;

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
    let Work { batch, reason, facts, dequeued, mut done } = work;
    let guard = Arc::new(Guard::new(done.session.interrupt()));
    let mut members = batch.members;
    // Those whose callers have gone meanwhile are left out.
    members.retain(|member| member.job.begin(&guard, dequeued));
    if members.is_empty() {
        guard.close();
        return done;
    }
    let mut runner = Runner { session: done.session.as_mut(), buckets: &facts.buckets };
    let ran = run_batch(&mut runner, &members, &guard, dequeued);
    guard.close();
    let rows = members.iter().map(|member| member.rows.len()).sum();
    let account = Account { shared, facts: &facts, rows, reason: reason.text(), dequeued };
    if !ran.was_split && ran.members.iter().all(Result::is_ok) {
        let took = ran.executed.saturating_duration_since(ran.assembled);
        done.ran = Some(Measured { rows, width: done.width, took });
    }
    done.missed = members.iter().filter(|member| member.job.request.deadline < ran.executed).count();
    account.answer(&members, ran, done.queue);
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
    let (facts, now, mut done) = shared.take_now(queue, request)?;
    let ran = run_whole(done.session.as_mut(), request, now);
    let rows = request.rows;
    let account = Account { shared, facts: &facts, rows, reason: "single", dequeued: now };
    let times = JobTimes { enqueued: now, dequeued: now, assembled: ran.assembled, executed: ran.executed };
    let member =
        || BatchMember { context: request.trace.clone(), index: 0, input_length: request.input_length };
    let context = request.trace.as_ref().and_then(|_| {
        account.record_spans(&[member()], (ran.assembled, ran.executed), None, ran.outputs.as_ref().err())
    });
    account.count(times, None, ran.outputs.as_ref().err(), context.as_ref());
    account.count_panics(usize::from(matches!(ran.outputs, Err(FailureKind::Panicked))));
    if ran.outputs.is_ok() {
        let took = ran.executed.saturating_duration_since(ran.assembled);
        done.ran = Some(Measured { rows, width: done.width, took });
    }
    facts.metrics.queue_wait(Duration::ZERO, request.trace.as_ref().and_then(SampledSpan::of));
    shared.return_now(done);
    Some(match ran.outputs {
        Ok(outputs) => {
            let batch = BatchSummary { size: rows, index: 0, context, depth_at_enqueue: 0 };
            Ok(Finished { outputs, times, batch })
        }
        Err(kind) => Err(JobFailure { kind, times: Some(times) }),
    })
}

/// Batches that a caller runs at most, its own and those of others.
const HELPS: usize = 2;

/// Runs batches of a queue in the caller's thread, where the device allows that; what is left then is the
/// workers'.
pub(super) fn run_near(shared: &Shared, queue: usize) {
    for _ in 0..HELPS {
        let Some(work) = shared.take_near(queue) else { return };
        if !shared.return_near(serve(shared, work)) {
            return;
        }
    }
    shared.hand_over(queue);
}

/// What metrics, spans and the callers are told of a run.
struct Account<'a> {
    shared: &'a Shared,
    facts: &'a ModelFacts,
    rows: usize,
    reason: &'static str,
    dequeued: Instant,
}

impl Account<'_> {
    /// Answers every member.
    fn answer(&self, members: &[Taken], ran: BatchRan, queue: usize) {
        let (assembled, executed) = (ran.assembled, ran.executed);
        let padding = padding_ratio(members, &self.facts.buckets);
        let failed = ran.members.iter().find_map(|outputs| outputs.as_ref().err());
        let times = JobTimes { enqueued: self.dequeued, dequeued: self.dequeued, assembled, executed };
        let context = self.spans_of(members, (assembled, executed), padding, failed);
        self.count(times, padding, failed, context.as_ref());
        if ran.was_split {
            self.facts.metrics.batch_split();
        }
        self.count_panics(ran.panics);
        let mut index = 0;
        for (member, outputs) in members.iter().zip(ran.members) {
            let job = &member.job;
            let times = JobTimes { enqueued: job.enqueued, ..times };
            if member.rows.start == 0 {
                let waited = self.dequeued.saturating_duration_since(job.enqueued);
                self.facts.metrics.queue_wait(waited, job.request.trace.as_ref().and_then(SampledSpan::of));
            }
            let depth_at_enqueue = job.depth_at_enqueue;
            let summary = BatchSummary { size: self.rows, index, context: context.clone(), depth_at_enqueue };
            index += member.rows.len();
            self.tell(member, outputs, (times, summary), queue);
        }
    }

    fn tell(
        &self,
        member: &Taken,
        outputs: Result<Vec<Tensor>, FailureKind>,
        (times, summary): (JobTimes, BatchSummary),
        queue: usize,
    ) {
        match outputs {
            Ok(outputs) => member.job.part_done(member.rows.clone(), outputs, (times, summary)),
            Err(kind) => {
                member.job.fail(kind, Some(times));
                // What is left of it need not run.
                if member.rows.end < member.job.request.rows {
                    self.shared.withdraw(queue, member.job.place());
                }
            }
        }
    }

    /// Counts the batch, whose span is in `context` where it is exported.
    fn count(
        &self,
        times: JobTimes,
        padding: Option<f64>,
        failed: Option<&FailureKind>,
        context: Option<&SpanContext>,
    ) {
        let metrics = &self.facts.metrics;
        let took = times.executed.saturating_duration_since(times.assembled);
        metrics.batch(self.rows, padding, took, context.and_then(SampledSpan::of));
        if failed.is_none() {
            metrics.statistics().execution(self.rows, times.assembled - times.dequeued, took);
        }
    }

    fn count_panics(&self, panics: usize) {
        for _ in 0..panics {
            self.shared.metrics.panicked("worker");
        }
    }

    fn spans_of(
        &self,
        members: &[Taken],
        times: (Instant, Instant),
        padding: Option<f64>,
        failed: Option<&FailureKind>,
    ) -> Option<SpanContext> {
        if members.iter().all(|member| member.job.request.trace.is_none()) {
            return None;
        }
        let mut index = 0;
        let members: Vec<BatchMember> = members
            .iter()
            .map(|member| {
                let request = &member.job.request;
                let first = index;
                index += member.rows.len();
                let (context, input_length) = (request.trace.clone(), request.input_length);
                BatchMember { context, index: first, input_length }
            })
            .collect();
        self.record_spans(&members, times, padding, failed)
    }

    fn record_spans(
        &self,
        members: &[BatchMember],
        (assembled, executed): (Instant, Instant),
        padding_ratio: Option<f64>,
        failed: Option<&FailureKind>,
    ) -> Option<SpanContext> {
        let (now, wall) = (Instant::now(), SystemTime::now());
        let at = |instant: Instant| wall - now.saturating_duration_since(instant);
        self.shared.tracer.record_batch(&BatchRecord {
            model: &self.facts.model,
            version: &self.facts.version,
            device: &self.shared.device,
            provider: self.facts.provider,
            size: self.rows,
            reason: self.reason,
            padding_ratio,
            members,
            assembled: (at(self.dequeued), at(assembled)),
            executed: (at(assembled), at(executed)),
            scattered: (at(executed), wall),
            error_type: failed.map(error_type),
        })
    }
}

fn error_type(failure: &FailureKind) -> &'static str {
    match failure {
        FailureKind::Expired => "deadline_exceeded",
        FailureKind::InvalidInput(_) => "invalid_input",
        FailureKind::Device(_) | FailureKind::Failed(_) => "inference_failed",
        FailureKind::Lost(_) => "not_ready",
        FailureKind::Panicked => "internal",
        FailureKind::Cancelled => "client_disconnected",
        FailureKind::OutOfMemory(_) | FailureKind::Displaced { .. } => "overloaded",
    }
}
