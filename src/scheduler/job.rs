//! A request's rows on their way through a queue, and what comes back.

use std::time::Instant;

use crate::telemetry::SpanContext;
use crate::tensor::Tensor;

/// A request's rows, ready to run.
#[derive(Debug)]
pub struct JobRequest {
    /// Inputs in the signature's order.
    pub inputs: Vec<Tensor>,
    /// Optional inputs, each with its index in the signature's. A job with any runs in one piece,
    /// alone: they hold for all of its rows and for nobody else's.
    pub optional: Vec<(usize, Tensor)>,
    /// Rows along the first axis of every input; 1 for a model without a batch axis.
    pub rows: usize,
    /// How much of each row's width is no padding, where inputs are rows of tokens of any number.
    pub row_tokens: Option<Vec<u32>>,
    /// Its level among the jobs of its model: lower ones run first.
    pub priority: u32,
    /// Not run after this.
    pub deadline: Instant,
    /// The request's `model-inference` span, when it is sampled.
    pub trace: Option<SpanContext>,
    /// For the link from the batch's span.
    pub input_length: u64,
}

/// When a job passed each point. Stages lie between neighbours: queue, batch, execute.
#[derive(Clone, Copy, Debug)]
pub struct JobTimes {
    /// Put into the queue.
    pub enqueued: Instant,
    /// Taken by a worker.
    pub dequeued: Instant,
    /// The batch stands; the runtime is called.
    pub assembled: Instant,
    /// The runtime has returned.
    pub executed: Instant,
}

/// The batch that a job was part of; the last one where it was cut over several.
#[derive(Clone, Debug)]
pub struct BatchSummary {
    /// Rows run together.
    pub size: usize,
    /// The job's place among the batch's jobs.
    pub index: usize,
    /// The batch's span, when it is exported.
    pub context: Option<SpanContext>,
    /// Rows that waited when the job came.
    pub depth_at_enqueue: usize,
}

/// A job that was run.
#[derive(Debug)]
pub struct Finished {
    /// Outputs in the signature's order, the job's rows only.
    pub outputs: Vec<Tensor>,
    /// When it passed each point.
    pub times: JobTimes,
    /// The batch that it was part of.
    pub batch: BatchSummary,
}

/// A job that was not run to the end, and how far it came.
#[derive(Debug)]
pub struct JobFailure {
    /// Why.
    pub kind: FailureKind,
    /// When it passed each point, if it was run.
    pub times: Option<JobTimes>,
}

/// Why a job gave no outputs. The texts are for our logs, never for callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureKind {
    /// Its deadline passed before it was run.
    Expired,
    /// The runtime says that the model does not take these values.
    InvalidInput(String),
    /// There was no memory for the run.
    OutOfMemory(String),
    /// The device failed in this run.
    Device(String),
    /// The device is lost.
    Lost(String),
    /// The runtime failed.
    Failed(String),
    /// Our code panicked while it ran.
    Panicked,
    /// The run was interrupted, or the scheduler went away.
    Cancelled,
    /// Its place was given to a more urgent job.
    Displaced {
        /// Try again after so many seconds: 1 to 60, jittered.
        retry_after_s: u64,
    },
}
