//! What a freshly loaded model must show before it serves: rows that don't depend on each other,
//! runs that succeed, golden samples that come out right.

use std::path::Path;

use super::batch_bounds::BatchBounds;
use super::shapes::{self, Asked, Shapes};
use super::{golden, warm_up};
use crate::engine::{self, BatchCheck, LoadedGraph};
use crate::model::{Description, Manifest, ProviderKind, Tolerance};
use crate::scheduler::{Buckets, Measured};
use crate::task::{DecodeLimits, Rows, Task, TaskSpec};
use crate::tensor::{Tensor, split, with_width};

/// What verification found.
pub(super) struct Verified {
    pub(super) task: Task,
    /// Whether rows may share a batch, why or why not, and whether rows of tokens may be padded for it.
    pub(super) of_batches: (bool, String, bool),
    pub(super) bounds: BatchBounds,
    pub(super) buckets: Buckets,
    /// What runs took.
    pub(super) measured: Vec<Measured>,
    /// Inputs that a session that works can run.
    pub(super) probe: Option<Vec<Tensor>>,
    pub(super) golden: usize,
    pub(super) notes: Vec<String>,
}

/// One instance is decoded at a time here, and manifests are ours: generous limits.
pub(super) const LIMITS: DecodeLimits =
    DecodeLimits { max_instances: 1, max_depth: 64, max_bytes: u64::MAX, max_pixels: u64::MAX };

/// Builds the task, decides whether rows may share a batch, warms every session up and checks the
/// golden samples.
pub(super) fn verify(
    description: &Description,
    (root, folder): (&Path, &Path),
    graph: &mut LoadedGraph,
) -> Result<Verified, Vec<String>> {
    let manifest = &description.manifest;
    let by_shape = manifest.batching.enabled.unwrap_or_else(|| graph.signature.batchable_by_shape());
    let build = |graph: &LoadedGraph, batchable: bool| {
        let spec = TaskSpec {
            manifest,
            signature: &graph.signature,
            batchable,
            root,
            folder,
            class_labels: &graph.class_labels,
        };
        Task::build(&spec).map_err(|error| vec![error.to_string()])
    };
    let mut task = build(graph, by_shape)?;
    let (mut warm_rows, mut problems) = warmup_rows(&task, manifest);
    let (batchable, batchable_reason) = if by_shape {
        check_rows(&task, graph, &warm_rows).map_err(|problem| vec![problem])?
    } else if manifest.batching.enabled == Some(false) {
        (false, "switched off by batching.enabled".to_owned())
    } else {
        (false, "an input or output has no free first dimension of one common name".to_owned())
    };
    if batchable != by_shape {
        task = build(graph, batchable)?;
        (warm_rows, problems) = warmup_rows(&task, manifest);
    }
    let mut notes = Vec::new();
    let bounds = BatchBounds::of(manifest, &task, (graph.provider, &graph.device));
    let bounds = if batchable { bounds } else { BatchBounds { rows: 1, ..bounds } };
    let pads = batchable && padding_is_harmless(&task, graph, &mut notes).map_err(|problem| vec![problem])?;
    let batching = &manifest.batching;
    let Shapes { bounds, buckets, mut measured, probe, problems: failed } =
        if graph.is_on_accelerator() && batchable {
            let signature = &graph.signature;
            let asked = Asked { task: &task, signature, batching, bounds, pads };
            shapes::choose(asked, &mut graph.sessions, &mut notes)
        } else {
            let measured = warm_up::made(&task, graph, bounds, &mut notes);
            let probe = graph.is_on_accelerator().then(|| engine::made_inputs(&graph.signature, 1)).flatten();
            Shapes { bounds, buckets: Buckets::default(), measured, probe, problems: Vec::new() }
        };
    problems.extend(failed);
    let (of_given, failed) = warm_up::given(graph, &warm_rows, &buckets);
    measured.extend(of_given);
    problems.extend(failed);
    problems.extend(description.warmup.iter().filter_map(|sample| warm_up::sample(graph, sample).err()));
    problems.extend(golden::check(&task, manifest, graph, &buckets));
    if problems.is_empty() {
        let golden = manifest.golden.len();
        let of_batches = (batchable, batchable_reason, pads);
        Ok(Verified { task, of_batches, bounds, buckets, measured, probe, golden, notes })
    } else {
        Err(problems)
    }
}

/// The rows of the `[warmup]` inputs, and those that could not be made.
fn warmup_rows(task: &Task, manifest: &Manifest) -> (Vec<Rows>, Vec<String>) {
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    for (index, input) in manifest.warmup.inputs.iter().enumerate() {
        match task.rows_of(input.clone(), &LIMITS) {
            Ok(made) => rows.push(made),
            Err(problem) => problems.push(format!("warmup.inputs[{index}]: {problem}")),
        }
    }
    (rows, problems)
}

/// Whether two different rows give alone what they give together.
fn check_rows(task: &Task, graph: &mut LoadedGraph, given: &[Rows]) -> Result<(bool, String), String> {
    let pair = match given {
        [first, second, ..] => Some([first.inputs.clone(), second.inputs.clone()]),
        _ => task
            .example_rows()
            .and_then(|examples| examples.iter().find_map(two_rows))
            .or_else(|| engine::different_rows(&graph.signature)),
    };
    let Some(pair) = pair else {
        return Ok((false, "no two rows could be made to check that rows are independent".to_owned()));
    };
    let Some(session) = graph.sessions.first_mut() else {
        return Ok((false, "no session".to_owned()));
    };
    Ok(match engine::rows_are_independent(session, &pair, &Tolerance::default(), graph.provider) {
        Ok(BatchCheck::Independent) => (true, "two different rows agree alone and batched".to_owned()),
        Ok(BatchCheck::Dependent { output, detail }) => {
            let name = output.and_then(|index| graph.signature.outputs.get(index));
            let name = name.map_or("an output", |spec| &*spec.name);
            (false, format!("{name} of a row depends on the other rows: {detail}"))
        }
        Err(error) if error.is_of_device() && graph.provider != ProviderKind::Cpu => {
            return Err(format!("a run at warm-up failed: {error}"));
        }
        Err(_) => {
            let reason = "made inputs fail; two entries in warmup.inputs would allow the check";
            (false, reason.to_owned())
        }
    })
}

/// Whether rows of tokens may be padded to the longest of their batch: a real example alone gives what
/// it gives padded. False where rows have no lengths.
fn padding_is_harmless(
    task: &Task,
    graph: &mut LoadedGraph,
    notes: &mut Vec<String>,
) -> Result<bool, String> {
    let examples = task.example_rows().unwrap_or_default();
    let Some((narrow, padded)) = examples.iter().find_map(narrow_and_padded) else { return Ok(false) };
    let Some(session) = graph.sessions.first_mut() else { return Ok(false) };
    let rows = (narrow.as_slice(), padded.as_slice());
    Ok(match engine::padding_changes(session, rows, &Tolerance::default(), graph.provider) {
        Ok(None) => true,
        Ok(Some(difference)) => {
            notes.push(format!(
                "texts of different lengths are run apart: padding changes an output, {difference}"
            ));
            false
        }
        Err(error) if error.is_of_device() && graph.provider != ProviderKind::Cpu => {
            return Err(format!("a run at warm-up failed: {error}"));
        }
        Err(_) => false,
    })
}

/// The shorter row of an example of two rows of tokens, at its own width and as wide as the other.
fn narrow_and_padded(example: &Rows) -> Option<(Vec<Tensor>, Vec<Tensor>)> {
    let tokens = example.row_tokens.as_deref().filter(|tokens| tokens.len() == 2)?;
    let shorter = usize::from(tokens[1] < tokens[0]);
    let [first, second] = two_rows(example)?;
    let padded = if shorter == 0 { first } else { second };
    let width = tokens[shorter] as usize;
    let narrow = padded.iter().map(|input| with_width(input, width).ok()).collect::<Option<Vec<_>>>()?;
    (narrow != padded).then_some((narrow, padded))
}

/// The two rows of an example of two, each by itself and as wide as the other.
fn two_rows(example: &Rows) -> Option<[Vec<Tensor>; 2]> {
    let mut halves = [Vec::new(), Vec::new()];
    for input in &example.inputs {
        let [first, second] = <[Tensor; 2]>::try_from(split(input, &[1, 1]).ok()?).ok()?;
        halves[0].push(first);
        halves[1].push(second);
    }
    Some(halves)
}
