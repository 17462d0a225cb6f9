//! Runs a batch on one session: puts its rows together, runs them, hands each job its own rows.
//!
//! A batch whose run fails is run again member by member, so that a member that the model can't take
//! spoils nobody else's answer. Where the model has buckets, every run is filled up to one.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::buckets::Buckets;
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

/// A session, and the shapes that its runs are filled up to.
pub(super) struct Runner<'a> {
    pub(super) session: &'a mut dyn Run,
    pub(super) buckets: &'a Buckets,
}

/// Runs `members` together, taken from their queue at `dequeued`.
pub(super) fn run_batch(
    runner: &mut Runner<'_>,
    members: &[Taken],
    guard: &Guard,
    dequeued: Instant,
) -> BatchRan {
    let whole = attempt(dequeued, |begun| run_together(runner, members, begun));
    let (assembled, executed) = (whole.assembled, whole.executed);
    let kind = match whole.outputs {
        Ok(parts) => {
            let members = parts.into_iter().map(Ok).collect();
            return BatchRan { members, assembled, executed, was_split: false, panics: 0 };
        }
        Err(kind) => kind,
    };
    let mut panics = usize::from(kind == FailureKind::Panicked);
    if members.len() == 1 || matches!(kind, FailureKind::Cancelled | FailureKind::Lost(_)) {
        let members = members.iter().map(|_| Err(kind.clone())).collect();
        return BatchRan { members, assembled, executed, was_split: false, panics };
    }
    let mut executed = executed;
    let singly = members.iter().map(|member| {
        if guard.is_deserted() {
            return Err(FailureKind::Cancelled);
        }
        let single = std::slice::from_ref(member);
        let ran = attempt(executed, |begun| run_together(runner, single, begun));
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
    runner: &mut Runner<'_>,
    members: &[Taken],
    assembled: &mut Instant,
) -> Result<Vec<Vec<Tensor>>, FailureKind> {
    let Runner { session, buckets } = runner;
    if let [Taken { job, rows }] = members
        && is_whole(job, rows)
        && (!job.request.optional.is_empty() || fits_as_it_is(job, buckets))
    {
        *assembled = Instant::now();
        let outputs = session.run_with(&job.request.inputs, &job.request.optional).map_err(failure)?;
        return Ok(vec![outputs]);
    }
    let broken = |error: AxisError| FailureKind::Failed(error.to_string());
    let inputs = assemble(members, buckets).map_err(broken)?;
    *assembled = Instant::now();
    let outputs = session.run(&inputs).map_err(failure)?;
    let mut sizes: Vec<usize> = members.iter().map(|member| member.rows.len()).collect();
    let rows: usize = sizes.iter().sum();
    match buckets.rows(rows) - rows {
        0 if members.len() == 1 => return Ok(vec![outputs]),
        0 => {}
        // Nobody's rows.
        filling => sizes.push(filling),
    }
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

/// Whether a whole job is of a bucket's shape already.
fn fits_as_it_is(job: &Pending, buckets: &Buckets) -> bool {
    let rows = job.request.rows;
    let has_width = |input: &Tensor| input.shape().get(1).is_none_or(|&width| buckets.width(width) == width);
    let is_wide = job.request.row_tokens.is_none() || job.request.inputs.iter().all(has_width);
    buckets.rows(rows) == rows && is_wide
}

/// The members' rows, one after the other; rows of tokens as wide as the longest of them. Filled up to a
/// bucket by the last row again, which no model can refuse when it has taken it once.
fn assemble(members: &[Taken], buckets: &Buckets) -> Result<Vec<Tensor>, AxisError> {
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
    let width = width.map(|width| buckets.width(width));
    if let Some(&last) = places.last() {
        places.resize(buckets.rows(places.len()), last);
    }
    let one = |input: usize| {
        let rows: Vec<(&Tensor, usize)> =
            places.iter().map(|&(member, row)| (&members[member].job.request.inputs[input], row)).collect();
        gather(&rows, width)
    };
    (0..first.job.request.inputs.len()).map(one).collect()
}

/// The share of a batch that is padding: of its tokens, or of its rows where these have no lengths and
/// batches are filled up. None where nothing is filled.
#[expect(clippy::cast_precision_loss, reason = "token counts are small")]
pub(super) fn padding_ratio(members: &[Taken], buckets: &Buckets) -> Option<f64> {
    let (mut rows, mut tokens, mut widest) = (0, 0, 0);
    if members.iter().any(|member| member.job.request.row_tokens.is_none()) {
        let rows: usize = members.iter().map(|member| member.rows.len()).sum();
        return (!buckets.is_exact()).then(|| 1.0 - rows as f64 / buckets.rows(rows).max(1) as f64);
    }
    for member in members {
        for position in member.rows.clone() {
            let width = member.job.width_at(position)?;
            rows += 1;
            tokens += width;
            widest = widest.max(width);
        }
    }
    let all = buckets.rows(rows) * buckets.width(widest);
    (widest > 0).then(|| 1.0 - tokens as f64 / all as f64)
}

fn failure(error: RunError) -> FailureKind {
    match error {
        RunError::InvalidInput(text) => FailureKind::InvalidInput(text),
        RunError::Interrupted => FailureKind::Cancelled,
        RunError::OutOfMemory(text) => FailureKind::OutOfMemory(text),
        RunError::Device(text) => FailureKind::Device(text),
        RunError::Lost(text) => FailureKind::Lost(text),
        RunError::Failed(text) => FailureKind::Failed(text),
    }
}
