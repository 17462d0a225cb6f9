//! One prediction, from decoded body to outputs: preprocess, queue, run, postprocess, account.
//!
//! What is known of it meanwhile, and its account at the end, is `accounting.rs`'.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::accounting::{Accounting, Work, late};
use super::{ErrorCode, Model, Service, ServiceError, Timeline};
use crate::scheduler::{JobRequest, SubmitError, Ticket};
use crate::task::{DecodeLimits, Decoded, InputError, InputErrorCode, OutputError, Predictions, Rows, Task};
use crate::telemetry::{InferenceTrace, Stage};
use crate::tensor::Tensor;

/// What a protocol hands over for a prediction.
pub struct PredictRequest {
    /// The model, as [`Service::resolve`] gave it.
    pub model: Arc<Model>,
    /// When the first header byte came.
    pub started: Instant,
    /// What the caller asks of the schedule.
    pub schedule: Schedule,
    /// The `model-inference` span, on protocols that are traced.
    pub trace: Option<InferenceTrace>,
    /// For spans and logs.
    pub request_id: Arc<str>,
    /// Bytes that are to be decoded.
    pub body_bytes: usize,
}

/// What a caller asks of the schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Its own limit, counted from the request's start.
    pub timeout: Option<Duration>,
    /// Its priority, 1 the most urgent; counts where the model has levels.
    pub priority: Option<u64>,
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
        let decoded = decoded.and_then(|decoded| self.foresee(accounting, decoded));
        let rows = match decoded {
            Ok(decoded) => self.encode_rows(&model, decoded).await,
            Err(error) => Err(error),
        };
        accounting.timeline.record(Stage::Preprocess, begun, Instant::now());
        let mut rows = rows?;
        let inputs = std::mem::take(&mut rows.inputs);
        let work = Work {
            inputs,
            optional: Vec::new(),
            rows: rows.rows,
            row_tokens: rows.row_tokens.take(),
            input_length: rows.input_length,
        };
        accounting.describe(&work, rows.tokens);
        accounting.left_out(rows.truncated, std::mem::take(&mut rows.filled));
        let outputs = self.run(accounting, work).await?;
        let begun = Instant::now();
        let size = outputs.iter().map(|output| output.data().len()).sum();
        let answer = self.beside(size, || answer(accounting, &outputs, &rows, encode)).await;
        accounting.timeline.record(Stage::Postprocess, begun, Instant::now());
        answer
    }

    /// Refuses what would be refused anyway before texts are tokenised, which costs more than all else that
    /// a refusal takes. What is wrong with a text comes first where only its tokens tell.
    fn foresee(&self, accounting: &Accounting, decoded: Decoded) -> Result<Decoded, ServiceError> {
        let model = &accounting.model;
        let deadline = self.deadline(accounting);
        let Some(width) = model.task.foreseen_width(&decoded).filter(|_| deadline > Instant::now()) else {
            return Ok(decoded);
        };
        let priority = model.facts.priorities.level(accounting.schedule.priority);
        model.queue.admits((decoded.instances(), width), priority, deadline).map_err(not_taken)?;
        Ok(decoded)
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
                ServiceError::internal(error)
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
        if deadline <= Instant::now() {
            return Err(if queue.is_full(work.rows) { full(queue.retry_after()) } else { late() });
        }
        let job = JobRequest {
            inputs: work.inputs,
            optional: work.optional,
            rows: work.rows,
            row_tokens: work.row_tokens,
            priority: accounting.model.facts.priorities.level(accounting.schedule.priority),
            deadline,
            trace: accounting.trace.as_ref().and_then(InferenceTrace::context),
            input_length: work.input_length,
        };
        if let Some(answer) = queue.try_run_now(&job) {
            return accounting.settle(Ok(answer));
        }
        let mut ticket = queue.try_submit_near(job).map_err(not_taken)?;
        if ticket.leads() {
            gather_company(&ticket).await;
            ticket.help();
        }
        accounting.waiting = Some(ticket);
        let Some(ticket) = accounting.waiting.as_mut() else {
            return Err(ServiceError::internal("lost ticket"));
        };
        let answer = tokio::time::timeout_at(deadline.into(), ticket).await;
        accounting.settle(answer)
    }

    fn deadline(&self, accounting: &Accounting) -> Instant {
        let own = accounting.schedule.timeout.unwrap_or(self.options.request_timeout);
        let of_model = accounting.model.facts.timeout.unwrap_or(self.options.request_timeout);
        accounting.timeline.started() + own.min(of_model).min(self.options.request_timeout)
    }
}

/// Rounds in which others may put their rows beside those of who leads.
const ROUNDS: usize = 16;

/// Lets the thread's other requests, whose bytes are there by now, put their rows beside these, for as
/// long as each round brings new ones.
async fn gather_company(ticket: &Ticket) {
    let mut waiting = 0;
    for _ in 0..ROUNDS {
        tokio::task::yield_now().await;
        let now = ticket.company();
        if now <= waiting {
            return;
        }
        waiting = now;
    }
}

fn full(retry_after_s: u64) -> ServiceError {
    ServiceError::new(ErrorCode::Overloaded, "the model's queue is full").retry_after(retry_after_s)
}

/// Why the scheduler did not take a job, for its caller.
fn not_taken(error: SubmitError) -> ServiceError {
    match error {
        SubmitError::Full { retry_after_s } => full(retry_after_s),
        SubmitError::DeadlineUnmeetable { retry_after_s } => {
            let detail = "the deadline would pass before the request's turn came";
            ServiceError::new(ErrorCode::DeadlineUnmeetable, detail).retry_after(retry_after_s)
        }
        SubmitError::Closed => ServiceError::draining(),
    }
}

/// Bytes to read or elements to write from which on other requests should not wait for it: some
/// tenths of a millisecond.
const HEAVY: usize = 128 << 10;

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
