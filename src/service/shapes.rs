//! Which shapes a model has on an accelerator, chosen by what its runs cost.
//!
//! Batches are measured at powers of two on the first session. Throughput rises with the batch up to a knee, beyond
//! which a larger one only makes everybody in it wait: the largest shape is the smallest that comes within some
//! per cent of the best throughput, and that takes no longer than the manifest's `target_latency`. All sizes up to
//! it become buckets, for texts at each of a few widths, and every session runs every one before the model is
//! ready, so that no request meets a shape for the first time.

use std::time::Duration;

use super::batch_bounds::BatchBounds;
use super::warm_up::{filled, shortest_run, width_of_rows};
use crate::engine::{Capturing, RunError, Session};
use crate::model::{Batching, Signature};
use crate::scheduler::{Buckets, Measured};
use crate::task::{Rows, Task};
use crate::tensor::{AxisError, Tensor, gather, split};

/// A throughput of this share of the best is as good: beyond it latency grows faster than throughput.
const KNEE: f64 = 0.95;
/// Sizes without a better throughput after which no larger one is tried.
const FLAT: usize = 2;
/// The narrowest bucket of texts, tokens.
const NARROWEST: usize = 16;
/// The widest bucket where the model itself bounds nothing, tokens.
const WIDEST: usize = 8192;
/// The width of texts at which sizes of batches are compared, tokens.
const USUAL_TOKENS: usize = 128;

/// What was chosen.
pub(super) struct Shapes {
    pub(super) bounds: BatchBounds,
    pub(super) buckets: Buckets,
    pub(super) measured: Vec<Measured>,
    /// Inputs of the smallest shape, which a session that works can run.
    pub(super) probe: Option<Vec<Tensor>>,
    /// Why the model is bad: the device did not even run the smallest shape.
    pub(super) problems: Vec<String>,
}

/// What the choice depends on beside the graph.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) task: &'a Task,
    pub(super) signature: &'a Signature,
    pub(super) batching: &'a Batching,
    pub(super) bounds: BatchBounds,
    /// Rows of tokens may be padded.
    pub(super) pads: bool,
}

impl Asked<'_> {
    fn limit(&self) -> Option<Duration> {
        self.batching.target_latency.map(|target| target.0)
    }
}

/// Measures, chooses, and runs every chosen shape on every session.
pub(super) fn choose(asked: Asked<'_>, sessions: &mut [Session], notes: &mut Vec<String>) -> Shapes {
    let widths = if asked.pads { widths(asked.task) } else { Vec::new() };
    let usual = widths.iter().copied().find(|&width| width >= USUAL_TOKENS).or(widths.last().copied());
    let sizes = sizes(asked.bounds.rows);
    let limit = asked.limit();
    let mut problems = Vec::new();
    let measured = sweep(asked, sessions, (&sizes, usual), (notes, &mut problems));
    // A manifest that says how large batches may be is taken at its word: which of them pay is learnt.
    let is_fixed = asked.batching.max_batch_size.is_some();
    let Some(largest) = largest(&measured, limit, is_fixed) else {
        let bounds = BatchBounds { rows: 1, ..asked.bounds };
        return Shapes { bounds, buckets: Buckets::default(), measured, probe: None, problems };
    };
    let longest = widths.last().copied();
    let tokens =
        asked.bounds.tokens.or(usual.zip(longest).map(|(usual, longest)| longest.max(largest * usual)));
    let bounds = BatchBounds { rows: largest, tokens };
    let buckets = Buckets::new(sizes.iter().copied().filter(|&size| size <= largest), widths);
    let mut shapes = Shapes { bounds, buckets, measured, probe: None, problems };
    shapes.shrink(asked, sessions);
    for session in sessions.iter_mut() {
        session.capture_new_shapes(Capturing::On);
    }
    shapes.warm(asked, sessions, notes);
    for session in sessions.iter_mut() {
        session.capture_new_shapes(Capturing::Off);
    }
    shapes
}

impl Shapes {
    /// Gives back what larger sizes than the largest took of the device. Where that fails, the next runs tell.
    fn shrink(&self, asked: Asked<'_>, sessions: &mut [Session]) {
        let width = self.buckets.widths().first().copied();
        if let (Some((inputs, _)), [first, ..]) = (batch(asked, 1, width), sessions) {
            drop(first.shrink(&inputs));
        }
    }

    /// Runs every shape on every session, the smallest and the largest first: TensorRT builds its engine for the
    /// range of what it has seen, and everything else lies between the two.
    fn warm(&mut self, asked: Asked<'_>, sessions: &mut [Session], notes: &mut Vec<String>) {
        let widths: Vec<Option<usize>> = match self.buckets.widths() {
            [] => vec![None],
            widths => widths.iter().copied().map(Some).collect(),
        };
        let mut shapes: Vec<(usize, Option<usize>)> = Vec::new();
        for &width in &widths {
            let most = width.map_or(self.bounds.rows, |width| self.bounds.rows_of(width));
            let fitting = self.buckets.sizes().iter().copied().filter(|&rows| rows <= most);
            shapes.extend(fitting.map(|rows| (rows, width)));
        }
        let largest = shapes.iter().enumerate().max_by_key(|(_, (rows, width))| rows * width.unwrap_or(1));
        if let Some((largest, _)) = largest {
            let shape = shapes.remove(largest);
            shapes.insert(shapes.len().min(1), shape);
        }
        for (rows, width) in shapes {
            if rows > self.bounds.rows {
                continue;
            }
            let Some((inputs, width)) = batch(asked, rows, width) else { continue };
            let ran: Result<Vec<_>, _> =
                sessions.iter_mut().map(|session| shortest_run(session, &inputs)).collect();
            match ran {
                Ok(took) => {
                    self.measured.extend(took.first().map(|&took| Measured { rows, width, took }));
                    self.probe.get_or_insert(inputs);
                }
                Err(error) => self.cut(rows, &format!("{rows} rows of width {width}: {error}"), notes),
            }
        }
    }

    /// A shape failed on a session: what is as large or larger is not offered.
    fn cut(&mut self, rows: usize, failed: &str, notes: &mut Vec<String>) {
        let smaller: Vec<usize> = self.buckets.sizes().iter().copied().filter(|&size| size < rows).collect();
        match smaller.last() {
            Some(&largest) => {
                notes.push(format!("batches stay at {largest} rows: a run at warm-up failed: {failed}"));
                self.bounds.rows = largest;
                self.buckets = Buckets::new(smaller, self.buckets.widths().iter().copied());
            }
            None => self.problems.push(format!("a run at warm-up failed: {failed}")),
        }
    }
}

/// The inputs of `rows` as they are served: filled up to their bucket.
pub(super) fn as_served(rows: &Rows, buckets: &Buckets) -> Result<Vec<Tensor>, AxisError> {
    if buckets.is_exact() {
        return Ok(rows.inputs.clone());
    }
    let last = rows.rows.saturating_sub(1);
    let places: Vec<usize> = (0..buckets.rows(rows.rows)).map(|place| place.min(last)).collect();
    let one = |input: &Tensor| {
        let own = input.shape().get(1).copied().filter(|_| rows.row_tokens.is_some());
        let picked: Vec<(&Tensor, usize)> = places.iter().map(|&place| (input, place)).collect();
        gather(&picked, own.map(|width| buckets.width(width)))
    };
    rows.inputs.iter().map(one).collect()
}

/// The first `rows` of each output.
pub(super) fn without_filling(outputs: Vec<Tensor>, rows: usize) -> Result<Vec<Tensor>, AxisError> {
    let cut = |output: Tensor| match output.rows().checked_sub(rows) {
        Some(filling) if filling > 0 => Ok(split(&output, &[rows, filling])?.swap_remove(0)),
        _ => Ok(output),
    };
    outputs.into_iter().map(cut).collect()
}

/// Powers of two up to `most`, and `most`.
fn sizes(most: usize) -> Vec<usize> {
    let powers = std::iter::successors(Some(1_usize), |size| size.checked_mul(2));
    powers.take_while(|&size| size < most).chain([most]).collect()
}

/// Powers of two up to the longest text that the model takes, and that one; empty where rows have no tokens.
fn widths(task: &Task) -> Vec<usize> {
    let longest = task.longest_row(WIDEST).and_then(|row| width_of(&row));
    let Some(longest) = longest else { return Vec::new() };
    let powers = std::iter::successors(Some(NARROWEST), |width| width.checked_mul(2));
    powers.take_while(|&width| width < longest).chain([longest]).collect()
}

fn width_of(row: &Rows) -> Option<usize> {
    row.row_tokens.as_deref()?.first().map(|&tokens| tokens as usize)
}

/// Inputs of `rows` rows, of tokens in the given width, and how wide a row of them is.
fn batch(asked: Asked<'_>, rows: usize, width: Option<usize>) -> Option<(Vec<Tensor>, usize)> {
    let Asked { task, signature, .. } = asked;
    let example = match width {
        Some(width) => task.longest_row(width),
        None => task.example_rows().and_then(|examples| examples.into_iter().next()),
    };
    let inputs = filled(example.as_ref(), signature, (rows, width))?;
    let tokens = example.as_ref().and_then(|example| example.row_tokens.as_deref());
    let own = width.unwrap_or_else(|| width_of_rows(signature, tokens, &inputs));
    Some((inputs, own))
}

/// What batches of each size take on the first session, until larger ones fail, bring nothing, or take longer than
/// the target.
fn sweep(
    asked: Asked<'_>,
    sessions: &mut [Session],
    (sizes, width): (&[usize], Option<usize>),
    (notes, problems): (&mut Vec<String>, &mut Vec<String>),
) -> Vec<Measured> {
    let Some(session) = sessions.first_mut() else { return Vec::new() };
    let mut measured: Vec<Measured> = Vec::new();
    let mut since_best = 0;
    for &rows in sizes {
        let Some((inputs, width)) = batch(asked, rows, width) else {
            notes.push("no warm-up inputs could be made from the signature".to_owned());
            break;
        };
        let took = match twice(session, &inputs) {
            Ok(took) => took,
            Err(error) if rows == 1 && error.is_of_device() => {
                problems.push(format!("a run at warm-up failed: {error}"));
                break;
            }
            Err(error) => {
                notes.push(format!("batches stay below {rows} rows: a run at warm-up failed: {error}"));
                break;
            }
        };
        let best = measured.iter().map(throughput).fold(0.0, f64::max);
        measured.push(Measured { rows, width, took });
        since_best = if measured.last().map_or(0.0, throughput) > best { 0 } else { since_best + 1 };
        if since_best >= FLAT || asked.limit().is_some_and(|limit| took > limit) {
            break;
        }
    }
    measured
}

/// The first runs of a shape pay for what later ones use again.
fn twice(session: &mut Session, inputs: &[Tensor]) -> Result<Duration, RunError> {
    shortest_run(session, inputs)?;
    shortest_run(session, inputs)
}

#[expect(clippy::cast_precision_loss, reason = "row counts are small")]
fn throughput(run: &Measured) -> f64 {
    run.rows as f64 / run.took.as_secs_f64().max(1e-9)
}

/// The largest batch: the smallest at the knee of throughput, or where it `is_fixed` the largest measured, that
/// takes no longer than `limit`; none where nothing was measured. One row is always allowed.
fn largest(measured: &[Measured], limit: Option<Duration>, is_fixed: bool) -> Option<usize> {
    let first = measured.first()?;
    let in_time = |run: &&Measured| limit.is_none_or(|limit| run.took <= limit);
    let allowed: Vec<&Measured> = measured.iter().filter(in_time).collect();
    if is_fixed {
        return Some(allowed.last().map_or(first.rows, |run| run.rows));
    }
    let best = allowed.iter().map(|run| throughput(run)).fold(0.0, f64::max);
    let knee = allowed.iter().find(|run| throughput(run) >= best * KNEE);
    Some(knee.map_or(first.rows, |run| run.rows))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::engine::{Run, test_runtime};
    use crate::model::{ModelPath, discover};
    use crate::service::{LoadOptions, LoadedModel, load_version};
    use crate::units::Timespan;

    fn runs(of: &[(usize, u64)]) -> Vec<Measured> {
        let run = |&(rows, micros)| Measured { rows, width: 1, took: Duration::from_micros(micros) };
        of.iter().map(run).collect()
    }

    #[test]
    fn sizes_are_powers_of_two_and_the_largest() {
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(8), [1, 2, 4, 8]);
        assert_eq!(sizes(20), [1, 2, 4, 8, 16, 20]);
    }

    #[test]
    fn the_largest_batch_is_at_the_knee_within_the_target() {
        // Flat to 8, then linear: 16 gives as much a second as 32, at half the latency.
        let measured = runs(&[(1, 1000), (2, 1010), (4, 1050), (8, 1200), (16, 2100), (32, 4150)]);
        assert_eq!(largest(&measured, None, false), Some(16));
        let within = |millis| Some(Duration::from_millis(millis));
        assert_eq!(largest(&measured, within(2), false), Some(8));
        assert_eq!(largest(&measured, None, true), Some(32), "the manifest's word");
        assert_eq!(largest(&measured, within(3), true), Some(16), "and its target");
        assert_eq!(largest(&measured, Some(Duration::from_micros(1)), false), Some(1), "one row has to run");
        assert_eq!(largest(&[], None, false), None);
    }

    fn loaded(folder: &str) -> LoadedModel {
        let path = format!("{}/tests/fixtures/{folder}", env!("CARGO_MANIFEST_DIR"));
        let found = discover(&[ModelPath { name: None, path: path.into() }]);
        let source = found.models.first().expect("a model");
        let loaded = load_version(test_runtime(), source, &source.versions[0], &LoadOptions::default());
        loaded.unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    /// Chooses for a model that the CPU runs, as if it were on an accelerator.
    fn chosen(loaded: &mut LoadedModel, batching: &Batching) -> (Shapes, Vec<String>) {
        let mut notes = Vec::new();
        let rows = batching.max_batch_size.map_or(256, std::num::NonZero::get);
        let asked = Asked {
            task: &loaded.task,
            signature: &loaded.facts.signature,
            batching,
            bounds: BatchBounds { rows, tokens: None },
            pads: loaded.facts.pads,
        };
        (choose(asked, &mut loaded.sessions, &mut notes), notes)
    }

    #[test]
    fn a_model_of_rows_gets_sizes_each_of_which_was_run() {
        let mut loaded = loaded("models/columns.onnx");
        let (shapes, notes) = chosen(&mut loaded, &Batching::default());
        assert!(notes.is_empty(), "{notes:?}");
        let sizes = shapes.buckets.sizes();
        assert_eq!(sizes.last(), Some(&shapes.bounds.rows));
        assert!(shapes.buckets.widths().is_empty());
        let run: Vec<usize> = shapes.measured.iter().map(|run| run.rows).collect();
        assert!(sizes.iter().all(|size| run.contains(size)), "{sizes:?} {run:?}");
        let probe = shapes.probe.expect("inputs that run");
        assert!(loaded.sessions[0].run(&probe).is_ok());
        assert_eq!(probe[0].rows(), 1);
    }

    #[test]
    fn a_model_of_texts_gets_widths_up_to_its_longest_text() {
        let mut loaded = loaded("exports/hf-bert/model");
        assert!(loaded.facts.pads, "{:?}", loaded.facts.notes);
        let batching = Batching { max_batch_size: NonZeroUsize::new(6), ..Batching::default() };
        let (shapes, notes) = chosen(&mut loaded, &batching);
        assert!(notes.is_empty(), "{notes:?}");
        assert_eq!(shapes.buckets.sizes(), [1, 2, 4, 6], "the manifest's word");
        let widths = shapes.buckets.widths();
        assert_eq!(widths[0], 16);
        let longest = loaded.task.longest_row(usize::MAX).unwrap().row_tokens.unwrap()[0] as usize;
        assert_eq!(widths.last(), Some(&longest));
        let tokens = shapes.bounds.tokens.expect("a bound");
        for run in &shapes.measured {
            assert!(run.rows * run.width <= tokens || run.rows == 1, "{run:?} of at most {tokens}");
        }
        let widest = shapes.measured.iter().filter(|run| run.width == longest);
        assert!(widest.map(|run| run.rows).max() >= Some(1));
    }

    #[test]
    fn a_target_that_nothing_meets_leaves_batches_of_one() {
        let mut loaded = loaded("models/encoder.onnx");
        let target = Some(Timespan(Duration::from_nanos(1)));
        let batching = Batching { target_latency: target, ..Batching::default() };
        let (shapes, _) = chosen(&mut loaded, &batching);
        assert_eq!((shapes.bounds.rows, shapes.buckets.sizes()), (1, &[1][..]));
    }
}
