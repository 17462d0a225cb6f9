//! Runs one job on one session: in pieces of at most the model's batch size, joined again.
//!
//! Batching over several requests will assemble its batches here; today a batch is one job.

use std::time::Instant;

use super::job::{FailureKind, Job, JobRequest};
use super::state::ModelFacts;
use crate::engine::{Run, RunError};
use crate::telemetry::Statistics;
use crate::tensor::{AxisError, Tensor, concatenate, split, with_width};

/// The outputs of a job and when they came.
pub(super) struct Ran {
    pub(super) outputs: Result<Vec<Tensor>, FailureKind>,
    pub(super) assembled: Instant,
    pub(super) executed: Instant,
}

/// Runs `job`, taken from the queue at `dequeued`, in pieces of the model's batch size; whole when it
/// has optional inputs. Between pieces it stops when its caller has gone or its deadline has passed.
pub(super) fn run_job(session: &mut dyn Run, job: &Job, facts: &ModelFacts, dequeued: Instant) -> Ran {
    let (rows, max_rows) = (job.request.rows, facts.max_batch_size);
    let statistics = facts.metrics.statistics();
    if rows <= max_rows || !job.request.optional.is_empty() {
        return run_whole(session, &job.request, statistics, dequeued);
    }
    let sizes = piece_sizes(rows, max_rows);
    let assembled = Instant::now();
    let outputs = run_pieces(session, job, &sizes, statistics);
    Ran { outputs, assembled, executed: Instant::now() }
}

/// Runs `request` in one piece; `dequeued` is when its turn came.
pub(super) fn run_whole(
    session: &mut dyn Run,
    request: &JobRequest,
    statistics: &Statistics,
    dequeued: Instant,
) -> Ran {
    let assembled = Instant::now();
    let outputs = session.run_with(&request.inputs, &request.optional).map_err(failure);
    let executed = Instant::now();
    if outputs.is_ok() {
        statistics.execution(request.rows, assembled - dequeued, executed - assembled);
    }
    Ran { outputs, assembled, executed }
}

/// As few pieces as the limit allows, as even as can be.
fn piece_sizes(rows: usize, max_rows: usize) -> Vec<usize> {
    let pieces = rows.div_ceil(max_rows);
    let (small, larger) = (rows / pieces, rows % pieces);
    (0..pieces).map(|index| small + usize::from(index < larger)).collect()
}

/// An output without rows, such as the names of the classes, must be the same for every piece: it is
/// kept once.
fn run_pieces(
    session: &mut dyn Run,
    job: &Job,
    sizes: &[usize],
    statistics: &Statistics,
) -> Result<Vec<Tensor>, FailureKind> {
    let broken = |error: AxisError| FailureKind::Failed(error.to_string());
    let mut free_since = Instant::now();
    let mut inputs = Vec::with_capacity(job.request.inputs.len());
    for input in &job.request.inputs {
        inputs.push(split(input, sizes).map_err(broken)?.into_iter());
    }
    let mut widths = widths(job.request.row_tokens.as_deref(), sizes);
    let mut outputs: Vec<Vec<Tensor>> = Vec::new();
    for size in sizes {
        if job.control.is_abandoned() {
            return Err(FailureKind::Cancelled);
        }
        if job.request.deadline <= Instant::now() {
            return Err(FailureKind::Expired);
        }
        let piece: Vec<Tensor> = inputs.iter_mut().filter_map(Iterator::next).collect();
        let piece = unpadded(piece, widths.next()).map_err(broken)?;
        let begun = Instant::now();
        let results = session.run(&piece).map_err(failure)?;
        let ended = Instant::now();
        statistics.execution(*size, begun - free_since, ended - begun);
        free_since = ended;
        outputs.resize_with(results.len(), Vec::new);
        for (all, result) in outputs.iter_mut().zip(results) {
            if all.first().is_some_and(|first| *first == result && first.rows() != *size) {
                continue;
            }
            let holds_rows = result.rows() == *size && !result.shape().is_empty();
            if !holds_rows && !all.is_empty() {
                let shape = result.shape();
                return Err(FailureKind::Failed(format!("an output of shape {shape:?} for {size} rows")));
            }
            all.push(result);
        }
    }
    let join = |pieces: Vec<Tensor>| {
        let pieces = if job.request.row_tokens.is_some() { widened(&pieces)? } else { pieces };
        concatenate(&pieces.iter().collect::<Vec<_>>())
    };
    outputs.into_iter().map(|pieces| join(pieces).map_err(broken)).collect()
}

/// The most tokens of a row in each piece.
fn widths<'a>(row_tokens: Option<&'a [u32]>, sizes: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
    let mut rest = row_tokens.unwrap_or_default();
    let most = move |size: &usize| {
        let (piece, after) = rest.split_at_checked(*size)?;
        rest = after;
        piece.iter().max().map(|&tokens| tokens as usize)
    };
    sizes.iter().map_while(most)
}

/// A piece without the padding that only other pieces' rows need: a quantised graph's answer may
/// depend on it.
fn unpadded(piece: Vec<Tensor>, width: Option<usize>) -> Result<Vec<Tensor>, AxisError> {
    let Some(width) = width else { return Ok(piece) };
    piece.iter().map(|input| with_width(input, width)).collect()
}

/// Pieces of one output, all as wide as the widest.
fn widened(pieces: &[Tensor]) -> Result<Vec<Tensor>, AxisError> {
    let widest = pieces.iter().filter_map(|piece| piece.shape().get(1)).max();
    pieces.iter().map(|piece| widest.map_or(Ok(piece.clone()), |&widest| with_width(piece, widest))).collect()
}

fn failure(error: RunError) -> FailureKind {
    match error {
        RunError::InvalidInput(text) => FailureKind::InvalidInput(text),
        RunError::Interrupted => FailureKind::Cancelled,
        RunError::Device(text) | RunError::OutOfMemory(text) => FailureKind::Device(text),
        RunError::Failed(text) => FailureKind::Failed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_even_and_add_up() {
        assert_eq!(piece_sizes(33, 32), [17, 16]);
        assert_eq!(piece_sizes(64, 32), [32, 32]);
        assert_eq!(piece_sizes(3, 1), [1, 1, 1]);
        for rows in 1..200 {
            let sizes = piece_sizes(rows, 7);
            assert_eq!(sizes.iter().sum::<usize>(), rows);
            assert!(sizes.iter().all(|&size| (1..=7).contains(&size)));
        }
    }
}
