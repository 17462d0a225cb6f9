//! One prediction, from decoded body to outputs: preprocess, queue, run, postprocess, account.
//!
//! However it ends (answer, error, caller gone) it is accounted exactly once: by
//! [`Accounting::finish`], or by its drop.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::{ErrorCode, Model, Service, ServiceError, Timeline};
use crate::scheduler::{BatchSummary, FailureKind, Finished, JobFailure, JobRequest, SubmitError, Ticket};
use crate::task::{DecodeLimits, Decoded, InputError, InputErrorCode, OutputError, Predictions, Rows, Task};
use crate::telemetry::{InferenceRecord, InferenceTrace, Outcome, Stage};
use crate::tensor::Tensor;

/// What a protocol hands over for a prediction.
pub struct PredictRequest {
    /// The model, as [`Service::resolve`] gave it.
    pub model: Arc<Model>,
    /// When the first header byte came.
    pub started: Instant,
    /// The caller's own limit, counted from `started`.
    pub timeout: Option<Duration>,
    /// The `model-inference` span, on protocols that are traced.
    pub trace: Option<InferenceTrace>,
    /// For spans and logs.
    pub request_id: Arc<str>,
    /// Bytes that are to be decoded.
    pub body_bytes: usize,
}

/// The end of a prediction and its times, which also an error has.
pub struct Predicted<T> {
    /// The encoded answer, or what went wrong.
    pub result: Result<T, ServiceError>,
    /// For `server-timing`.
    pub timeline: Timeline,
}

impl From<InputError> for ServiceError {
    fn from(error: InputError) -> Self {
        let code = match error.code {
            InputErrorCode::InvalidInput => ErrorCode::InvalidInput,
            InputErrorCode::NumberOutOfRange => ErrorCode::NumberOutOfRange,
            InputErrorCode::InputTooLong => ErrorCode::InputTooLong,
            InputErrorCode::ShapeMismatch => ErrorCode::ShapeMismatch,
            InputErrorCode::UnknownInput => ErrorCode::UnknownInput,
            InputErrorCode::MissingInput => ErrorCode::MissingInput,
            InputErrorCode::BatchTooLarge => ErrorCode::BatchTooLarge,
            InputErrorCode::TooLarge => ErrorCode::PayloadTooLarge,
        };
        let pointer = error.pointer;
        Self { pointer, ..Self::new(code, error.detail) }
    }
}

impl Service {
    /// Runs one prediction: `decode` reads the body, `encode` writes the answer.
    pub async fn predict<T>(
        &self,
        request: PredictRequest,
        decode: impl FnOnce(&Task, &DecodeLimits) -> Result<Decoded, ServiceError>,
        encode: impl FnOnce(&Model, &Predictions<'_>) -> Result<T, ServiceError>,
    ) -> Predicted<T> {
        let mut accounting = Accounting::new(request);
        let result = self.predict_stages(&mut accounting, decode, encode).await;
        accounting.ended(result)
    }

    async fn predict_stages<T>(
        &self,
        accounting: &mut Accounting,
        decode: impl FnOnce(&Task, &DecodeLimits) -> Result<Decoded, ServiceError>,
        encode: impl FnOnce(&Model, &Predictions<'_>) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let model = Arc::clone(&accounting.model);
        let begun = Instant::now();
        let decoded = self.beside(accounting.body_bytes, || decode(&model.task, &self.options.decode)).await;
        let rows = match decoded {
            Ok(decoded) => self.encode_rows(&model, decoded).await,
            Err(error) => Err(error),
        };
        accounting.timeline.record(Stage::Preprocess, begun, Instant::now());
        let mut rows = rows?;
        let inputs = std::mem::take(&mut rows.inputs);
        let work = Work { inputs, optional: Vec::new(), rows: rows.rows, input_length: rows.input_length };
        accounting.describe(&work, rows.tokens, rows.truncated);
        let outputs = self.run(accounting, work).await?;
        let begun = Instant::now();
        let size = outputs.iter().map(|output| output.data().len()).sum();
        let answer = self.beside(size, || answer(accounting, &outputs, &rows, encode)).await;
        accounting.timeline.record(Stage::Postprocess, begun, Instant::now());
        answer
    }

    /// Does `work` where the request is, or, when it is about `size` bytes or elements and that is
    /// much, beside the other requests of this thread, as many at once as there are cores.
    pub(super) async fn beside<T>(&self, size: usize, work: impl FnOnce() -> T) -> T {
        let is_single = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
        if size < HEAVY || is_single {
            return work();
        }
        let _permit = self.encoders.acquire().await;
        tokio::task::block_in_place(work)
    }

    /// Tokenising and the like: small work here, heavy work on the blocking pool, bounded.
    async fn encode_rows(&self, model: &Arc<Model>, decoded: Decoded) -> Result<Rows, ServiceError> {
        let rows = if decoded.is_heavy() {
            let closed = |_| ServiceError::new(ErrorCode::Internal, "the encoders are gone");
            let _permit = self.encoders.acquire().await.map_err(closed)?;
            let model = Arc::clone(model);
            let work = tokio::task::spawn_blocking(move || model.task.encode(decoded));
            work.await.map_err(|error| {
                self.metrics.panicked("encode");
                ServiceError::new(ErrorCode::Internal, "an internal error").because(error.to_string())
            })?
        } else {
            model.task.encode(decoded)
        }?;
        model.facts.signature.check(&rows.inputs).map_err(|error| {
            ServiceError::new(ErrorCode::ShapeMismatch, error.detail).at(format!("/{}", error.input))
        })?;
        Ok(rows)
    }

    /// Queues and runs, or runs at once; until the deadline.
    pub(super) async fn run(
        &self,
        accounting: &mut Accounting,
        work: Work,
    ) -> Result<Vec<Tensor>, ServiceError> {
        let deadline = self.deadline(accounting);
        let queue = &accounting.model.queue;
        let full = |seconds| {
            ServiceError::new(ErrorCode::Overloaded, "the model's queue is full").retry_after(seconds)
        };
        if deadline <= Instant::now() {
            return Err(if queue.is_full(work.rows) { full(queue.retry_after()) } else { late() });
        }
        let job = JobRequest {
            inputs: work.inputs,
            optional: work.optional,
            rows: work.rows,
            deadline,
            trace: accounting.trace.as_ref().and_then(InferenceTrace::context),
            input_length: work.input_length,
        };
        if let Some(answer) = queue.try_run_now(&job) {
            return accounting.settle(Ok(answer));
        }
        let ticket = queue.try_submit(job).map_err(|error| match error {
            SubmitError::Full { retry_after_s } => full(retry_after_s),
            SubmitError::Closed => ServiceError::new(ErrorCode::Draining, "the service is shutting down"),
        })?;
        accounting.waiting = Some(ticket);
        let Some(ticket) = accounting.waiting.as_mut() else { return Err(internal("lost ticket")) };
        let answer = tokio::time::timeout_at(deadline.into(), ticket).await;
        accounting.settle(answer)
    }

    fn deadline(&self, accounting: &Accounting) -> Instant {
        let own = accounting.timeout.unwrap_or(self.options.request_timeout);
        let of_model = accounting.model.facts.timeout.unwrap_or(self.options.request_timeout);
        accounting.timeline.started() + own.min(of_model).min(self.options.request_timeout)
    }
}

/// Bytes to read or elements to write from which on other requests should not wait for it: some
/// tenths of a millisecond.
const HEAVY: usize = 128 << 10;

/// Tensors ready to run.
pub(super) struct Work {
    /// In the signature's order.
    pub(super) inputs: Vec<Tensor>,
    /// Optional ones that are given, by their index in the signature.
    pub(super) optional: Vec<(usize, Tensor)>,
    pub(super) rows: usize,
    pub(super) input_length: u64,
}

fn late() -> ServiceError {
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

fn internal(cause: &str) -> ServiceError {
    ServiceError::new(ErrorCode::Internal, "an internal error").because(cause)
}

fn answer<T>(
    accounting: &mut Accounting,
    outputs: &[Tensor],
    rows: &Rows,
    encode: impl FnOnce(&Model, &Predictions<'_>) -> Result<T, ServiceError>,
) -> Result<T, ServiceError> {
    let model = Arc::clone(&accounting.model);
    let predictions = model.task.predictions(outputs, &rows.reply).map_err(|error| match error {
        OutputError::NonFinite { .. } => {
            model.metrics.error("non_finite");
            let detail = "the model gave NaN or infinity, which JSON cannot carry";
            ServiceError::new(ErrorCode::NonFiniteOutput, detail).because(error.to_string())
        }
        OutputError::Shape(cause) => {
            model.metrics.error("shape");
            let detail = "the model gave outputs of another shape than its signature says";
            ServiceError::new(ErrorCode::InferenceFailed, detail).because(cause)
        }
    })?;
    let encoded = encode(&model, &predictions)?;
    accounting.confidence = predictions.lowest_confidence();
    for (label, confidence) in predictions.labels() {
        model.metrics.prediction(label, confidence);
    }
    Ok(encoded)
}

/// What is known of a prediction while it goes on, and its account at the end.
pub(super) struct Accounting {
    pub(super) model: Arc<Model>,
    pub(super) timeline: Timeline,
    pub(super) body_bytes: usize,
    timeout: Option<Duration>,
    trace: Option<InferenceTrace>,
    request_id: Arc<str>,
    waiting: Option<Ticket>,
    batch: Option<BatchSummary>,
    rows: usize,
    input_length: u64,
    input_tokens: Option<u64>,
    input_truncated: bool,
    confidence: Option<f64>,
    finished: bool,
}

impl Accounting {
    pub(super) fn new(request: PredictRequest) -> Self {
        request.model.metrics.in_flight_add(1);
        Self {
            body_bytes: request.body_bytes,
            timeline: Timeline::new(request.started),
            model: request.model,
            timeout: request.timeout,
            trace: request.trace,
            request_id: request.request_id,
            waiting: None,
            batch: None,
            rows: 0,
            input_length: 0,
            input_tokens: None,
            input_truncated: false,
            confidence: None,
            finished: false,
        }
    }

    /// Notes what came in.
    pub(super) fn describe(&mut self, work: &Work, tokens: Option<u64>, truncated: bool) {
        self.rows = work.rows;
        self.input_length = work.input_length;
        self.input_tokens = tokens;
        self.input_truncated = truncated;
        self.model.metrics.input_length(tokens.unwrap_or(work.input_length));
    }

    /// Takes a limit that the body held.
    pub(super) fn shorten(&mut self, timeout: Option<Duration>) {
        self.timeout = [self.timeout, timeout].into_iter().flatten().min();
    }

    /// Accounts for the end.
    pub(super) fn ended<T>(self, result: Result<T, ServiceError>) -> Predicted<T> {
        let timeline = self.finish(result.as_ref().err());
        Predicted { result, timeline }
    }

    /// Takes the scheduler's answer, or its absence by the deadline, into the record.
    fn settle(
        &mut self,
        answer: Result<Result<Finished, JobFailure>, tokio::time::error::Elapsed>,
    ) -> Result<Vec<Tensor>, ServiceError> {
        match answer {
            Ok(Ok(finished)) => {
                self.waiting = None;
                self.timeline.record_job(&finished.times, finished.batch.size);
                self.batch = Some(finished.batch);
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
            FailureKind::Device(cause) => {
                metrics.error("device");
                ServiceError::new(ErrorCode::InferenceFailed, failed).because(without_numbers(&cause))
            }
            FailureKind::Failed(cause) => {
                metrics.error("runtime");
                ServiceError::new(ErrorCode::InferenceFailed, failed).because(without_numbers(&cause))
            }
            FailureKind::Panicked => internal("a worker panicked"),
            FailureKind::Cancelled => internal("the run was interrupted"),
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
        for (stage, begun, ended) in self.timeline.stages() {
            metrics.stage(stage, ended.saturating_duration_since(begun));
        }
        let took = self.timeline.started().elapsed();
        metrics.statistics().request(outcome, self.rows, took, self.timeline.stages());
        let Some(trace) = self.trace.take() else { return };
        if trace.context().is_none() {
            return;
        }
        let facts = &self.model.facts;
        trace.finish(&InferenceRecord {
            model: facts.name.as_str(),
            version: &facts.version.to_string(),
            digest: &facts.digest,
            device: &facts.device,
            request_id: &self.request_id,
            input_length: self.input_length,
            input_tokens: self.input_tokens,
            input_truncated: self.input_truncated,
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
