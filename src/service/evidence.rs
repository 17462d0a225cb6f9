//! Whether a classifier that nobody declared is one.
//!
//! Names of outputs mislead: a clustering gives a label and "scores" that are distances, of which the
//! lowest wins; a linear classifier gives a distance from its plane and calls it a probability. A few
//! runs tell.

use std::path::Path;

use crate::engine::{self, LoadedGraph, Run};
use crate::model::{Activation, Description, TaskKind};
use crate::task::{Task, TaskSpec};
use crate::tensor::{Data, Tensor};

/// Far out, a distance leaves the range of probabilities, and a probability does not.
const FACTORS: [f32; 3] = [1.0, 100.0, -100.0];

/// Runs made rows through a graph whose task is only assumed, and corrects the assumption.
pub(super) fn weigh(description: &mut Description, (root, folder): (&Path, &Path), graph: &mut LoadedGraph) {
    let manifest = &description.manifest;
    if !description.task_is_assumed || manifest.task != Some(TaskKind::TabularClassification) {
        return;
    }
    let signature = &graph.signature;
    let class_labels = &graph.class_labels;
    let spec = TaskSpec { manifest, signature, batchable: false, root, folder, class_labels };
    let (Ok(task), Some(session)) = (Task::build(&spec), graph.sessions.first_mut()) else { return };
    let rows = engine::different_rows(signature).into_iter().flatten();
    let rows =
        rows.flat_map(|row| FACTORS.map(|factor| row.iter().map(|input| scaled(input, factor)).collect()));
    let outputs: Vec<Vec<Tensor>> = rows.filter_map(|row: Vec<Tensor>| session.run(&row).ok()).collect();
    let is_raw =
        manifest.activation.is_none() && outputs.iter().any(|outputs| task.score_is_no_probability(outputs));
    let mut verdicts = outputs.iter().filter_map(|outputs| task.label_contradicts_scores(outputs)).peekable();
    // A graph that knows its classes is a classifier; Platt's scaling may well contradict its label.
    let contradicts =
        class_labels.is_empty() && verdicts.peek().is_some() && verdicts.all(|contradicts| contradicts);
    if is_raw {
        description.manifest.activation = Some(Activation::Sigmoid);
        description.notes.push(
            "assumed: activation sigmoid: the only score leaves the range of probabilities, so it is a distance, \
             positive for the second class"
                .to_owned(),
        );
    } else if contradicts {
        description.manifest.task = Some(TaskKind::Tensors);
        description.notes.push(
            "assumed: task tensors after all: the graph's own label is never the one with the highest score, so \
             the scores are something else, such as distances"
                .to_owned(),
        );
    }
}

/// `tensor` times `factor`, where it holds singles or doubles.
fn scaled(tensor: &Tensor, factor: f32) -> Tensor {
    let data: Data = match tensor.data() {
        Data::Fp32(values) => values.iter().map(|value| value * factor).collect::<Vec<_>>().into(),
        Data::Fp64(values) => values.iter().map(|value| value * f64::from(factor)).collect::<Vec<_>>().into(),
        _ => return tensor.clone(),
    };
    Tensor::new(tensor.shape().to_vec(), data).unwrap_or_else(|_| tensor.clone())
}
