//! A job from its admission to its answer, shared by its queue, its caller's ticket and the workers
//! that run its parts.
//!
//! Invariant: answered exactly once, by whoever completes it or makes it fail first. A large job is
//! cut over several batches, which may run at once; its parts are joined when the last one is there.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use super::job::{BatchSummary, FailureKind, Finished, JobFailure, JobRequest, JobTimes};
use crate::engine::Interrupt;
use crate::tensor::{AxisError, Tensor, gather};

pub(super) type Answer = Result<Finished, JobFailure>;

/// A job's place in its queue: priority level, the most urgent first, then arrival.
pub(super) type Place = (u32, u64);

/// A job that waits or runs.
pub(super) struct Pending {
    pub(super) id: u64,
    pub(super) request: JobRequest,
    pub(super) enqueued: Instant,
    pub(super) depth_at_enqueue: usize,
    /// Rows in the order in which they are run: the longest first, so that those that run together are
    /// of about one length. None = as they are.
    order: Option<Box<[u32]>>,
    state: Mutex<State>,
}

struct State {
    reply: Option<oneshot::Sender<Answer>>,
    is_abandoned: bool,
    /// The batches that hold parts of it now.
    running: Vec<Arc<Guard>>,
    began: Option<Instant>,
    parts: Vec<Part>,
    rows_done: usize,
    times: Option<JobTimes>,
}

/// Outputs of some of a job's rows.
struct Part {
    rows: Range<usize>,
    outputs: Vec<Tensor>,
}

/// Who still wants a run: interrupts it when nobody does.
pub(super) struct Guard {
    interrupt: Interrupt,
    /// Members that still wait; 0 once the run is over.
    members: Mutex<usize>,
}

impl Guard {
    pub(super) fn new(interrupt: Interrupt) -> Self {
        Self { interrupt, members: Mutex::new(0) }
    }

    fn members(&self) -> MutexGuard<'_, usize> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self) {
        *self.members() += 1;
    }

    fn leave(&self) {
        let mut members = self.members();
        if *members > 0 {
            *members -= 1;
            if *members == 0 {
                self.interrupt.raise();
            }
        }
    }

    /// True when the last member has left.
    pub(super) fn is_deserted(&self) -> bool {
        *self.members() == 0
    }

    /// The run is over: from now on nobody may interrupt the session for its sake.
    pub(super) fn close(&self) {
        *self.members() = 0;
        self.interrupt.clear();
    }
}

impl Pending {
    pub(super) fn new(
        id: u64,
        request: JobRequest,
        enqueued: Instant,
        depth_at_enqueue: usize,
    ) -> (Arc<Self>, oneshot::Receiver<Answer>) {
        let (reply, receiver) = oneshot::channel();
        let state = State {
            reply: Some(reply),
            is_abandoned: false,
            running: Vec::new(),
            began: None,
            parts: Vec::new(),
            rows_done: 0,
            times: None,
        };
        let order = by_length(&request);
        let pending = Self { id, request, enqueued, depth_at_enqueue, order, state: Mutex::new(state) };
        (Arc::new(pending), receiver)
    }

    pub(super) fn place(&self) -> Place {
        (self.request.priority, self.id)
    }

    /// The width of the row that is the `position`th to run; none where rows have no lengths.
    pub(super) fn width_at(&self, position: usize) -> Option<usize> {
        let tokens = self.request.row_tokens.as_deref()?;
        tokens.get(self.row(position)).map(|&tokens| tokens as usize)
    }

    /// The row, as the request has it, that is the `position`th to run.
    pub(super) fn row(&self, position: usize) -> usize {
        self.order.as_deref().map_or(position, |order| order[position] as usize)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a part of it is about to run; false when nobody waits for it any more.
    pub(super) fn begin(&self, guard: &Arc<Guard>, now: Instant) -> bool {
        let mut state = self.state();
        if state.is_abandoned || state.reply.is_none() {
            return false;
        }
        state.began.get_or_insert(now);
        state.running.push(Arc::clone(guard));
        guard.join();
        true
    }

    /// The caller has gone: the batches that run for nobody else are interrupted.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.is_abandoned = true;
        for guard in state.running.drain(..) {
            guard.leave();
        }
    }

    /// When its first part began to run, while it runs.
    pub(super) fn running_since(&self) -> Option<Instant> {
        self.state().began
    }

    /// True when it was answered or given up: what is left of it need not run.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state();
        state.is_abandoned || state.reply.is_none()
    }

    /// Takes the outputs of the rows that ran at `rows` of its order; answers when they are the last.
    pub(super) fn part_done(
        &self,
        rows: Range<usize>,
        outputs: Vec<Tensor>,
        (times, batch): (JobTimes, BatchSummary),
    ) {
        let mut state = self.state();
        let Some(times) = self.part_ended(&mut state, rows.len(), times) else { return };
        if rows.len() == self.request.rows {
            return Self::answer(state, Ok(Finished { outputs, times, batch }));
        }
        state.parts.push(Part { rows, outputs });
        if state.rows_done < self.request.rows {
            return;
        }
        let parts = std::mem::take(&mut state.parts);
        drop(state);
        let answer = match self.joined(&parts) {
            Ok(outputs) => Ok(Finished { outputs, times, batch }),
            Err(error) => {
                Err(JobFailure { kind: FailureKind::Failed(error.to_string()), times: Some(times) })
            }
        };
        Self::answer(self.state(), answer);
    }

    /// Makes the whole of it fail.
    pub(super) fn fail(&self, kind: FailureKind, times: Option<JobTimes>) {
        let state = self.state();
        let times = times.map(|times| JobTimes { enqueued: self.enqueued, ..state.times.unwrap_or(times) });
        Self::answer(state, Err(JobFailure { kind, times }));
    }

    /// Keeps the account of a part: from the first part's turn to the last part's end. None when
    /// nobody waits any more.
    fn part_ended(&self, state: &mut State, rows: usize, part: JobTimes) -> Option<JobTimes> {
        state.reply.as_ref()?;
        state.rows_done += rows;
        let whole = match state.times {
            None => JobTimes { enqueued: self.enqueued, ..part },
            Some(times) => JobTimes {
                dequeued: times.dequeued.min(part.dequeued),
                assembled: times.assembled.min(part.assembled),
                executed: times.executed.max(part.executed),
                ..times
            },
        };
        state.times = Some(whole);
        Some(whole)
    }

    fn answer(mut state: MutexGuard<'_, State>, answer: Answer) {
        state.running.clear();
        let reply = state.reply.take();
        drop(state);
        if let Some(reply) = reply {
            // Nobody waits any more when the caller has gone; the result is dropped then.
            drop(reply.send(answer));
        }
    }

    /// The outputs of all rows in the request's order. An output without rows, such as the names of the
    /// classes, must be the same for every part: it is kept once.
    fn joined(&self, parts: &[Part]) -> Result<Vec<Tensor>, AxisError> {
        let mut places = vec![(0, 0); self.request.rows];
        for (index, part) in parts.iter().enumerate() {
            for (row, position) in part.rows.clone().enumerate() {
                places[self.row(position)] = (index, row);
            }
        }
        let outputs = parts.iter().map(|part| part.outputs.len()).min().unwrap_or(0);
        let one = |output: usize| {
            let of = |part: &Part| part.outputs[output].clone();
            let first = &parts[0].outputs[output];
            let has_rows = |part: &Part| {
                let tensor = &part.outputs[output];
                !tensor.shape().is_empty() && tensor.rows() == part.rows.len()
            };
            if !parts.iter().all(has_rows) && parts.iter().all(|part| part.outputs[output] == *first) {
                return Ok(first.clone());
            }
            let tensors: Vec<Tensor> = parts.iter().map(of).collect();
            // Rows of text may have run at different widths.
            let widest = tensors.iter().filter_map(|tensor| tensor.shape().get(1).copied()).max();
            let width = widest.filter(|_| self.request.row_tokens.is_some());
            let rows: Vec<(&Tensor, usize)> =
                places.iter().map(|&(part, row)| (&tensors[part], row)).collect();
            gather(&rows, width)
        };
        (0..outputs).map(one).collect()
    }
}

/// Rows by their number of tokens, the longest first; none where that is no matter.
fn by_length(request: &JobRequest) -> Option<Box<[u32]>> {
    let tokens = request.row_tokens.as_deref().filter(|tokens| tokens.len() > 1)?;
    let mut order: Vec<u32> = (0..u32::try_from(tokens.len()).ok()?).collect();
    order.sort_by_key(|&row| std::cmp::Reverse(tokens[row as usize]));
    Some(order.into())
}
