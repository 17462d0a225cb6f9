//! Runs a batch on one session: puts its rows together, runs them, hands each job its own rows.
//!
//! A batch whose run fails is run again member by member, so that a member that the model can't take
//! spoils nobody else's answer.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::job::{FailureKind, JobRequest};
use super::pending::{Guard, Pending};
use super::queue::Taken;
use crate::engine::{Run, RunError};
use crate::tensor::{AxisError, Tensor, gather, split};

/// The outputs of a run and when they came.
pub(super) struct Ran<T> {
    pub(super) outputs: T,
    pub(super) assembled: Instant,
    pub(super) executed: Instant,
}

/// What a batch gave.
pub(super) struct BatchRan {
    /// Per member, in their order: its outputs, or why there are none.
    pub(super) members: Vec<Result<Vec<Tensor>, FailureKind>>,
    /// Before the run.
    pub(super) assembled: Instant,
    /// After the last run.
    pub(super) executed: Instant,
    /// It failed as a whole and was run again member by member.
    pub(super) was_split: bool,
    /// Runs that panicked.
    pub(super) panics: usize,
}

/// Runs `members` together, taken from their queue at `dequeued`.
pub(super) fn run_batch(
    session: &mut dyn Run,
    members: &[Taken],
    guard: &Guard,
    dequeued: Instant,
) -> BatchRan {
    let whole = attempt(dequeued, |begun| run_together(session, members, begun));
    let (assembled, executed) = (whole.assembled, whole.executed);
    let kind = match whole.outputs {
        Ok(parts) => {
            let members = parts.into_iter().map(Ok).collect();
            return BatchRan { members, assembled, executed, was_split: false, panics: 0 };
        }
        Err(kind) => kind,
    };
    let mut panics = usize::from(kind == FailureKind::Panicked);
    if members.len() == 1 || kind == FailureKind::Cancelled {
        let members = members.iter().map(|_| Err(kind.clone())).collect();
        return BatchRan { members, assembled, executed, was_split: false, panics };
    }
    let mut executed = executed;
    let singly = members.iter().map(|member| {
        if guard.is_deserted() {
            return Err(FailureKind::Cancelled);
        }
        let single = std::slice::from_ref(member);
        let ran = attempt(executed, |begun| run_together(session, single, begun));
        executed = ran.executed;
        panics += usize::from(matches!(ran.outputs, Err(FailureKind::Panicked)));
        ran.outputs.map(|mut parts| parts.swap_remove(0))
    });
    let members = singly.collect();
    BatchRan { members, assembled, executed, was_split: true, panics }
}

/// Runs `request` by itself, in the caller's thread.
pub(super) fn run_whole(
    session: &mut dyn Run,
    request: &JobRequest,
    begun: Instant,
) -> Ran<Result<Vec<Tensor>, FailureKind>> {
    attempt(begun, |begun| {
        *begun = Instant::now();
        session.run_with(&request.inputs, &request.optional).map_err(failure)
    })
}

/// Does `run`, which notes when its batch stood; a panic in it is a failure like others.
fn attempt<T>(
    begun: Instant,
    run: impl FnOnce(&mut Instant) -> Result<T, FailureKind>,
) -> Ran<Result<T, FailureKind>> {
    let mut assembled = begun;
    let outputs = catch_unwind(AssertUnwindSafe(|| run(&mut assembled)));
    Ran { outputs: outputs.unwrap_or(Err(FailureKind::Panicked)), assembled, executed: Instant::now() }
}

/// Runs the members' rows as one batch; the outputs of each.
fn run_together(
    session: &mut dyn Run,
    members: &[Taken],
    assembled: &mut Instant,
) -> Result<Vec<Vec<Tensor>>, FailureKind> {
    if let [Taken { job, rows }] = members
        && is_whole(job, rows)
    {
        *assembled = Instant::now();
        let outputs = session.run_with(&job.request.inputs, &job.request.optional).map_err(failure)?;
        return Ok(vec![outputs]);
    }
    let broken = |error: AxisError| FailureKind::Failed(error.to_string());
    let inputs = assemble(members).map_err(broken)?;
    *assembled = Instant::now();
    let outputs = session.run(&inputs).map_err(failure)?;
    if let [_single] = members {
        return Ok(vec![outputs]);
    }
    let sizes: Vec<usize> = members.iter().map(|member| member.rows.len()).collect();
    let mut parts: Vec<Vec<Tensor>> = members.iter().map(|_| Vec::with_capacity(outputs.len())).collect();
    for output in &outputs {
        for (part, piece) in parts.iter_mut().zip(split(output, &sizes).map_err(broken)?) {
            part.push(piece);
        }
    }
    Ok(parts)
}

fn is_whole(job: &Pending, rows: &Range<usize>) -> bool {
    rows.len() == job.request.rows
}

/// The members' rows, one after the other; rows of tokens as wide as the longest of them.
fn assemble(members: &[Taken]) -> Result<Vec<Tensor>, AxisError> {
    let Some(first) = members.first() else { return Err(AxisError::Empty) };
    let mut places: Vec<(usize, usize)> = Vec::new();
    let mut width = Some(0);
    for (member, Taken { job, rows }) in members.iter().enumerate() {
        for position in rows.clone() {
            // A whole job's rows stand as its outputs will: in the request's order.
            places.push((member, if is_whole(job, rows) { position } else { job.row(position) }));
        }
        let widest = rows.clone().filter_map(|position| job.width_at(position)).max();
        width = width.zip(widest).map(|(width, widest)| width.max(widest));
    }
    let one = |input: usize| {
        let rows: Vec<(&Tensor, usize)> =
            places.iter().map(|&(member, row)| (&members[member].job.request.inputs[input], row)).collect();
        gather(&rows, width)
    };
    (0..first.job.request.inputs.len()).map(one).collect()
}

/// The share of a batch of tokens that is padding; none where rows have no lengths.
#[expect(clippy::cast_precision_loss, reason = "token counts are small")]
pub(super) fn padding_ratio(members: &[Taken]) -> Option<f64> {
    let (mut rows, mut tokens, mut widest) = (0, 0, 0);
    for member in members {
        for position in member.rows.clone() {
            let width = member.job.width_at(position)?;
            rows += 1;
            tokens += width;
            widest = widest.max(width);
        }
    }
    (widest > 0).then(|| 1.0 - tokens as f64 / (rows * widest) as f64)
}

fn failure(error: RunError) -> FailureKind {
    match error {
        RunError::InvalidInput(text) => FailureKind::InvalidInput(text),
        RunError::Interrupted => FailureKind::Cancelled,
        RunError::Device(text) | RunError::OutOfMemory(text) => FailureKind::Device(text),
        RunError::Failed(text) => FailureKind::Failed(text),
    }
}
