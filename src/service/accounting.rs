//! What is known of an inference while it goes on, and its account at the end: however it ends
//! (answer, error, caller gone) it is accounted exactly once, by [`Accounting::finish`] or by its drop.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::{CPU, ErrorCode, Model, PredictRequest, Predicted, Schedule, ServiceError, Timeline};
use crate::scheduler::{BatchSummary, FailureKind, Finished, JobFailure, Ticket};
use crate::task::Filled;
use crate::telemetry::{InferenceRecord, InferenceTrace, Outcome, Stage};
use crate::tensor::{Tensor, non_finite_rows};

/// Tensors ready to run.
pub(super) struct Work {
    /// In the signature's order.
    pub(super) inputs: Vec<Tensor>,
    /// Optional ones that are given, by their index in the signature.
    pub(super) optional: Vec<(usize, Tensor)>,
    pub(super) rows: usize,
    /// Tokens of each row without its padding, where rows may have any width.
    pub(super) row_tokens: Option<Vec<u32>>,
    pub(super) input_length: u64,
}

pub(super) fn late() -> ServiceError {
    ServiceError::new(ErrorCode::DeadlineExceeded, "the deadline passed before there was an answer")
}

/// A runtime's words with every number masked: some of them quote inputs, which no log may hold.
fn without_numbers(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    for character in text.chars() {
        if !character.is_ascii_digit() {
            masked.push(character);
        } else if !masked.ends_with('#') {
            masked.push('#');
        }
    }
    masked
}

/// What is known of a prediction while it goes on, and its account at the end.
pub(super) struct Accounting {
    pub(super) model: Arc<Model>,
    pub(super) timeline: Timeline,
    pub(super) body_bytes: usize,
    pub(super) schedule: Schedule,
    pub(super) trace: Option<InferenceTrace>,
    request_id: Arc<str>,
    pub(super) waiting: Option<Ticket>,
    batch: Option<BatchSummary>,
    rows: usize,
    input_length: u64,
    input_tokens: Option<u64>,
    /// Instances whose text was cut.
    truncated: usize,
    /// What callers left out of a table; none where tensors or other inputs came.
    filled: Option<Filled>,
    pub(super) confidence: Option<f64>,
    finished: bool,
}

impl Accounting {
    pub(super) fn new(request: PredictRequest) -> Self {
        request.model.metrics.in_flight_add(1);
        Self {
            body_bytes: request.body_bytes,
            timeline: Timeline::new(request.started),
            model: request.model,
            schedule: request.schedule,
            trace: request.trace,
            request_id: request.request_id,
            waiting: None,
            batch: None,
            rows: 0,
            input_length: 0,
            input_tokens: None,
            truncated: 0,
            filled: None,
            confidence: None,
            finished: false,
        }
    }

    /// Notes what came in.
    pub(super) fn describe(&mut self, work: &Work, tokens: Option<u64>) {
        self.rows = work.rows;
        self.input_length = work.input_length;
        self.input_tokens = tokens;
        self.model.metrics.input_length(tokens.unwrap_or(work.input_length));
    }

    /// Notes what of its instances does not reach the model: how many texts were cut, and which features
    /// were not given.
    pub(super) fn left_out(&mut self, truncated: usize, filled: Filled) {
        self.truncated = truncated;
        self.filled = Some(filled);
    }

    /// Takes what the body asks: of two limits the shorter counts, of two priorities the body's.
    pub(super) fn reschedule(&mut self, body: Schedule) {
        self.schedule.timeout = [self.schedule.timeout, body.timeout].into_iter().flatten().min();
        self.schedule.priority = body.priority.or(self.schedule.priority);
    }

    /// Accounts for the end.
    pub(super) fn ended<T>(self, result: Result<T, ServiceError>) -> Predicted<T> {
        let timeline = self.finish(result.as_ref().err());
        Predicted { result, timeline }
    }

    /// Takes the scheduler's answer, or its absence by the deadline, into the record.
    pub(super) fn settle(
        &mut self,
        answer: Result<Result<Finished, JobFailure>, tokio::time::error::Elapsed>,
    ) -> Result<Vec<Tensor>, ServiceError> {
        match answer {
            Ok(Ok(finished)) => {
                self.waiting = None;
                self.timeline.record_job(&finished.times, finished.batch.size);
                self.batch = Some(finished.batch);
                self.ran(&finished.outputs);
                Ok(finished.outputs)
            }
            Ok(Err(failure)) => {
                let waited = self.waiting.take();
                match (failure.times, waited) {
                    (Some(times), _) => self.timeline.record_job(&times, 1),
                    (None, Some(ticket)) => {
                        self.timeline.record(Stage::Queue, ticket.enqueued(), Instant::now());
                    }
                    (None, None) => {}
                }
                Err(self.failed(failure.kind))
            }
            Err(_elapsed) => {
                if self.note_where_it_stands() == Stage::Queue {
                    self.model.metrics.queue_expired();
                }
                Err(late())
            }
        }
    }

    /// Counts what the model was given and gave.
    fn ran(&self, outputs: &[Tensor]) {
        let model = &self.model;
        let non_finite = non_finite_rows(outputs, self.rows);
        model.metrics.quality().ran(self.rows, self.truncated, non_finite);
        if let (Some(metrics), Some(filled)) = (&model.features, &self.filled) {
            let states = (filled.given(self.input_length), filled.defaulted(), filled.missing());
            metrics.count(states, filled.by_feature());
        }
    }

    /// Records the stages of a job that is given up, and gives it up.
    fn note_where_it_stands(&mut self) -> Stage {
        let Some(ticket) = self.waiting.take() else { return Stage::Preprocess };
        let now = Instant::now();
        if let Some(since) = ticket.running_since() {
            self.timeline.record(Stage::Queue, ticket.enqueued(), since);
            self.timeline.record(Stage::Execute, since, now);
            Stage::Execute
        } else {
            self.timeline.record(Stage::Queue, ticket.enqueued(), now);
            Stage::Queue
        }
    }

    fn failed(&self, kind: FailureKind) -> ServiceError {
        let metrics = &self.model.metrics;
        let failed = "the model could not be run";
        match kind {
            FailureKind::Expired => {
                metrics.queue_expired();
                late()
            }
            // The runtime's words quote the caller's values: they go nowhere.
            FailureKind::InvalidInput(_) => {
                ServiceError::new(ErrorCode::InvalidInput, "the model rejected these values")
            }
            FailureKind::OutOfMemory(cause) => {
                metrics.error("memory");
                // A host that has no memory for a run will have none for the same again: its shape is at fault. A
                // device's is shared by models and sessions.
                if self.model.facts.device == CPU {
                    return ServiceError::new(ErrorCode::InferenceFailed, failed)
                        .because(without_numbers(&cause));
                }
                let detail = "there was no memory for this run; try again, or send less at once";
                let error = ServiceError::new(ErrorCode::Overloaded, detail).because(without_numbers(&cause));
                error.retry_after(self.model.queue.retry_after())
            }
            FailureKind::Lost(cause) => {
                metrics.error("device");
                let detail = "the device that runs this model failed; the model is being loaded again";
                ServiceError::new(ErrorCode::NotReady, detail).because(without_numbers(&cause))
            }
            FailureKind::Device(cause) => {
                metrics.error("device");
                ServiceError::new(ErrorCode::InferenceFailed, failed).because(without_numbers(&cause))
            }
            FailureKind::Failed(cause) => {
                metrics.error("runtime");
                ServiceError::new(ErrorCode::InferenceFailed, failed).because(without_numbers(&cause))
            }
            FailureKind::Displaced { retry_after_s } => {
                let detail = "more urgent requests took the place in the model's queue";
                ServiceError::new(ErrorCode::Overloaded, detail).retry_after(retry_after_s)
            }
            FailureKind::Panicked => ServiceError::internal("a worker panicked"),
            FailureKind::Cancelled => ServiceError::internal("the run was interrupted"),
        }
    }

    fn finish(mut self, error: Option<&ServiceError>) -> Timeline {
        self.finished = true;
        let outcome = error.map_or(Outcome::Ok, |error| error.code.outcome());
        if let Some(error) = error
            && outcome == Outcome::Rejected
        {
            self.model.metrics.rejected(error.code.text());
        }
        self.account(outcome, error.map(|error| error.code.text()));
        self.timeline.clone()
    }

    fn account(&mut self, outcome: Outcome, error_type: Option<&'static str>) {
        let metrics = &self.model.metrics;
        metrics.in_flight_add(-1);
        metrics.outcome(outcome);
        let took = self.timeline.started().elapsed();
        let mut trace = self.trace.take();
        let span = trace.as_mut().and_then(|trace| trace.keeps(outcome, took));
        for (stage, begun, ended) in self.timeline.stages() {
            metrics.stage(stage, ended.saturating_duration_since(begun), span);
        }
        if outcome == Outcome::Ok {
            metrics.answered(took, span);
        }
        metrics.statistics().request(outcome, self.rows, took, self.timeline.stages());
        let Some(trace) = trace.filter(|_| span.is_some()) else { return };
        let facts = &self.model.facts;
        trace.finish(&InferenceRecord {
            model: facts.name.as_str(),
            version: &facts.version.to_string(),
            digest: &facts.digest,
            device: &facts.device,
            request_id: &self.request_id,
            input_length: self.input_length,
            input_tokens: self.input_tokens,
            input_truncated: self.truncated > 0,
            confidence: self.confidence,
            batch_size: self.batch.as_ref().map_or(0, |batch| batch.size),
            batch_index: self.batch.as_ref().map_or(0, |batch| batch.index),
            queue_depth_at_enqueue: self.batch.as_ref().map_or(0, |batch| batch.depth_at_enqueue),
            stages: &self.timeline.wall_stages(),
            batch: self.batch.as_ref().and_then(|batch| batch.context.clone()),
            error_type,
            ended: SystemTime::now(),
            outcome,
        });
    }
}

impl Drop for Accounting {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let stage = self.note_where_it_stands();
        if std::thread::panicking() {
            self.account(Outcome::Error, Some(ErrorCode::Internal.text()));
        } else {
            self.model.metrics.cancelled(stage);
            self.account(Outcome::Cancelled, Some("client_disconnected"));
        }
    }
}
