//! Warm-up: every session runs at batch 1 and at its largest batch before it serves, and the first one
//! at sizes between, which shows the scheduler what runs cost.

use std::time::{Duration, Instant};

use super::batch_bounds::BatchBounds;
use super::shapes::as_served;
use crate::engine::{self, LoadedGraph, Run, RunError};
use crate::model::{Dim, Signature, WarmupSample};
use crate::scheduler::{Buckets, Measured};
use crate::task::{Rows, Task};
use crate::tensor::{Tensor, concatenate, with_width};

/// Sizes between the smallest and the largest, and second runs, are left out when the warm-up has taken
/// this long.
const LONG: Duration = Duration::from_secs(3);
/// A size is run until its runs have taken this long, at most [`REPEATS`] times: the first run of a size
/// pays for memory that later ones reuse.
const ENOUGH: Duration = Duration::from_millis(20);
const REPEATS: usize = 5;
/// Of short texts batches of so many rows are run.
const SHORT_ROWS: usize = 8;
/// The length of texts at which all sizes of batches are run.
const USUAL_TOKENS: usize = 32;
/// All sizes are gone through so often: other work of a moment then spoils one run, not a size.
const PASSES: usize = 3;

/// Runs inputs made from the signature, or real examples: what batches of them take. Texts are run at two
/// lengths and as long as they may be, because what company brings depends on the tokens in a run.
/// Failure is only worth a note: many valid graphs refuse made inputs.
pub(super) fn made(
    task: &Task,
    graph: &mut LoadedGraph,
    bounds: BatchBounds,
    notes: &mut Vec<String>,
) -> Vec<Measured> {
    let short = task.example_rows().and_then(|examples| examples.into_iter().next());
    let Some(usual) = task.longest_row(USUAL_TOKENS) else {
        return sweep(graph, short.as_ref(), (&[1, bounds.rows], bounds.rows), notes);
    };
    let mut measured = sweep(graph, short.as_ref(), (&[1], bounds.rows.min(SHORT_ROWS)), notes);
    measured.extend(sweep(graph, Some(&usual), (&[1], bounds.rows_of(USUAL_TOKENS)), notes));
    measured.extend(widest(task, graph, bounds, notes));
    measured
}

/// Runs rows like `example`: batches of `every` size on each session, and the first session, as long as
/// there is time, at the powers of two up to `largest`; the shortest run of each size.
fn sweep(
    graph: &mut LoadedGraph,
    example: Option<&Rows>,
    (every, largest): (&[usize], usize),
    notes: &mut Vec<String>,
) -> Vec<Measured> {
    let started = Instant::now();
    let mut sizes: Vec<usize> = every.to_vec();
    let powers = std::iter::successors(Some(1_usize), |size| size.checked_mul(2));
    sizes.extend(powers.take_while(|&size| size <= largest).filter(|size| !every.contains(size)));
    let mut measured: Vec<Measured> = Vec::new();
    for (pass, &size) in (0..PASSES).flat_map(|pass| sizes.iter().map(move |size| (pass, size))) {
        let is_for_all = pass == 0 && every.contains(&size);
        if !is_for_all && started.elapsed() > LONG {
            break;
        }
        let Some(inputs) = made_inputs(example, &graph.signature, size) else {
            notes.push("no warm-up inputs could be made from the signature".to_owned());
            break;
        };
        let tokens = example.and_then(|example| example.row_tokens.as_deref());
        let width = width_of_rows(&graph.signature, tokens, &inputs);
        let count = if is_for_all { graph.sessions.len() } else { 1 };
        let mut shortest: Result<_, RunError> = Ok(Duration::MAX);
        for session in graph.sessions.iter_mut().take(count) {
            shortest = shortest.and_then(|shortest| Ok(shortest.min(shortest_run(session, &inputs)?)));
        }
        let Ok(took) = shortest else {
            notes.push(format!("a warm-up run with made inputs failed at batch {size}"));
            break;
        };
        match measured.iter_mut().find(|known| known.rows == size) {
            Some(known) => known.took = known.took.min(took),
            None => measured.push(Measured { rows: size, width, took }),
        }
    }
    measured
}

/// A row by itself on the first session.
fn alone(row: &Rows, graph: &mut LoadedGraph) -> Option<Measured> {
    let tokens = row.row_tokens.as_deref();
    let width = width_of_rows(&graph.signature, tokens, &row.inputs);
    let took = shortest_run(graph.sessions.first_mut()?, &row.inputs).ok()?;
    Some(Measured { rows: 1, width, took })
}

/// Runs the longest row that `bounds` allow by itself, and as many of them as fit on every session, all
/// sessions at once as they may come to run: what memory a session holds depends on the largest run that
/// it has seen, and is found out now and not amid requests. What the row by itself took.
fn widest(
    task: &Task,
    graph: &mut LoadedGraph,
    bounds: BatchBounds,
    notes: &mut Vec<String>,
) -> Option<Measured> {
    let row = task.longest_row(bounds.tokens?)?;
    let width = row.row_tokens.as_deref().and_then(<[u32]>::first).map_or(1, |&tokens| tokens as usize);
    let rows = bounds.rows_of(width);
    let Some(batch) = repeated(&row, rows) else {
        notes.push(format!("no warm-up batch of {rows} x {width} tokens could be made"));
        return None;
    };
    let alone = alone(&row, graph);
    let failed = std::thread::scope(|scope| {
        let runs: Vec<_> =
            graph.sessions.iter_mut().map(|session| scope.spawn(|| session.run(&batch).is_err())).collect();
        runs.into_iter().any(|run| run.join().unwrap_or(true))
    });
    if failed {
        notes.push(format!("a warm-up run of {rows} x {width} tokens failed"));
    }
    alone
}

/// The least of some runs.
pub(super) fn shortest_run(session: &mut engine::Session, inputs: &[Tensor]) -> Result<Duration, RunError> {
    let (mut shortest, mut all) = (Duration::MAX, Duration::ZERO);
    for _ in 0..REPEATS {
        let begun = Instant::now();
        session.run(inputs)?;
        let took = begun.elapsed();
        shortest = shortest.min(took);
        all += took;
        if all >= ENOUGH {
            break;
        }
    }
    Ok(shortest)
}

/// True where a dimension of a row may have any size.
pub(super) fn has_free_shape(signature: &Signature) -> bool {
    let is_free = |(position, dim): (usize, &Dim)| match dim {
        Dim::Fixed(_) => false,
        Dim::Free(_) => position > 0,
        Dim::AnyRank => true,
    };
    signature.inputs.iter().any(|input| input.dims.iter().enumerate().any(is_free))
}

/// How wide a row is: its tokens, its elements where shapes are free, else 1.
pub(super) fn width_of_rows(signature: &Signature, row_tokens: Option<&[u32]>, inputs: &[Tensor]) -> usize {
    if !has_free_shape(signature) {
        return 1;
    }
    let longest = row_tokens.and_then(|tokens| tokens.iter().max());
    let elements = inputs.iter().map(Tensor::row_len).max().unwrap_or(1);
    longest.map_or(elements, |&tokens| tokens as usize).max(1)
}

fn made_inputs(example: Option<&Rows>, signature: &Signature, rows: usize) -> Option<Vec<Tensor>> {
    let Some(example) = example else { return engine::made_inputs(signature, rows) };
    repeated(example, rows)
}

/// `rows` rows like the example, or made from the signature; with a width, rows of tokens that wide.
pub(super) fn filled(
    example: Option<&Rows>,
    signature: &Signature,
    (rows, width): (usize, Option<usize>),
) -> Option<Vec<Tensor>> {
    let inputs = made_inputs(example, signature, rows)?;
    let Some(width) = width else { return Some(inputs) };
    inputs.iter().map(|input| with_width(input, width).ok()).collect()
}

fn repeated(example: &Rows, rows: usize) -> Option<Vec<Tensor>> {
    let repeat = |input: &Tensor| concatenate(&vec![input; rows]).ok();
    example.inputs.iter().map(repeat).collect()
}

/// Runs the `[warmup]` inputs on every session; what they took, and what went wrong.
pub(super) fn given(
    graph: &mut LoadedGraph,
    given: &[Rows],
    buckets: &Buckets,
) -> (Vec<Measured>, Vec<String>) {
    let (mut problems, mut measured) = (Vec::new(), Vec::new());
    for session in &mut graph.sessions {
        for (index, rows) in given.iter().enumerate() {
            let inputs = match as_served(rows, buckets) {
                Ok(inputs) => inputs,
                Err(error) => {
                    problems.push(format!("warmup.inputs[{index}]: {error}"));
                    continue;
                }
            };
            match shortest_run(session, &inputs) {
                Ok(took) => {
                    let width = width_of_rows(&graph.signature, rows.row_tokens.as_deref(), &rows.inputs);
                    measured.push(Measured { rows: rows.rows, width, took });
                }
                Err(error) => problems.push(format!("warmup.inputs[{index}]: the run failed: {error}")),
            }
        }
        if !problems.is_empty() {
            break;
        }
    }
    (measured, problems)
}

/// Runs a sample of `config.pbtxt` on every session.
pub(super) fn sample(graph: &mut LoadedGraph, sample: &WarmupSample) -> Result<(), String> {
    let problem = |problem: String| format!("config.pbtxt: model_warmup {:?}: {problem}", sample.name);
    let inputs = engine::sample_inputs(sample, &graph.signature).map_err(problem)?;
    for session in &mut graph.sessions {
        for _ in 0..sample.count {
            session.run(&inputs).map_err(|error| problem(format!("the run failed: {error}")))?;
        }
    }
    Ok(())
}
