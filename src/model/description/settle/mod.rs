//! What can be said of a model only once its graph's signature is known.

use super::{Declared, DescribedColumn, Description};
use crate::model::{
    Dim, Feature, FeatureType, Pooling, Signature, TaskKind, TensorSpec, pooled_output, task_kind,
};
use crate::tensor::DataType;

impl Description {
    /// Completes the manifest from `signature`, and holds what is declared against it.
    ///
    /// # Errors
    /// Everything in which files and graph disagree.
    pub fn settle(&mut self, signature: &Signature) -> Result<(), Vec<String>> {
        let mut problems: Vec<String> = self
            .declared
            .iter()
            .filter_map(|declared| declared.misfit(signature, self.batch_is_left_out))
            .map(|problem| format!("config.pbtxt: {problem}"))
            .collect();
        if let Err(problem) = self.settle_sentence(signature) {
            problems.push(problem);
        }
        self.settle_task(signature);
        self.settle_columns(signature);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn settle_task(&mut self, signature: &Signature) {
        if self.manifest.task.is_some() {
            return;
        }
        if let Some(output) = pooled_output(signature).filter(|_| self.may_embed) {
            let name = &signature.outputs[output].name;
            self.note(format!("recognised: the graph pools itself: output {name}"));
            self.manifest.task = Some(TaskKind::TextEmbedding);
            self.manifest.pooling.get_or_insert(Pooling::None);
            return;
        }
        self.task_is_assumed = true;
        let task = task_kind(&self.manifest, signature);
        let why = match task {
            TaskKind::TabularClassification => "numeric features come in, a label and scores go out",
            _ => "nothing says what its inputs mean; model.toml may name a task",
        };
        self.note(format!("assumed: task {}: {why}", task.name()));
        self.manifest.task = Some(task);
    }

    /// How token vectors become one, unless the manifest says it or the graph does it.
    fn settle_sentence(&mut self, signature: &Signature) -> Result<(), String> {
        let Some(sentence) = self.sentence.take() else { return Ok(()) };
        self.manifest.normalize.get_or_insert(sentence.normalize);
        if self.manifest.pooling.is_some() {
            return Ok(());
        }
        if let Some(output) = pooled_output(signature) {
            let name = &signature.outputs[output].name;
            self.note(format!("recognised: the graph pools itself: output {name}"));
            self.manifest.pooling = Some(Pooling::None);
            return Ok(());
        }
        if !sentence.layers.is_empty() {
            return Err(format!(
                "modules.json: {} follows the encoder and is not in the graph: export the whole model, so that \
                 the graph has an output sentence_embedding (optimum-cli export onnx)",
                sentence.layers.join(", ")
            ));
        }
        let pooling = sentence.pooling.ok_or(
            "1_Pooling/config.json: several pooling modes at once are not supported: export the whole model, so \
             that the graph has an output sentence_embedding (optimum-cli export onnx)",
        )?;
        let length = if sentence.normalize { ", vectors of length one" } else { "" };
        self.note(format!("recognised: pooling {}{length}", pooling.name()));
        self.manifest.pooling = Some(pooling);
        Ok(())
    }

    /// The features' names and types, from the columns that the model was trained with.
    fn settle_columns(&mut self, signature: &Signature) {
        let columns = std::mem::take(&mut self.columns);
        let is_tabular =
            matches!(self.manifest.task, Some(TaskKind::TabularClassification | TaskKind::TabularRegression));
        if columns.is_empty() || self.manifest.features.is_some() {
            return;
        }
        if !is_tabular {
            self.note("ignored: the column names of the signature, which only tabular tasks have a use for");
            return;
        }
        match features(&columns, &signature.inputs) {
            Some(features) => {
                self.note(format!("recognised: {} features by the signature's columns", features.len()));
                self.manifest.features = Some(features);
            }
            None => self.note("ignored: the columns of the signature, which are not those of the graph"),
        }
    }
}

/// A feature for each column, in the order in which the graph takes them; none where they don't fit.
fn features(columns: &[DescribedColumn], inputs: &[TensorSpec]) -> Option<Vec<Feature>> {
    if let [input] = inputs
        && let [_, width] = input.dims.as_slice()
        && !matches!(width, Dim::Fixed(1))
    {
        let fits = *width == Dim::Fixed(columns.len()) || matches!(width, Dim::Free(_));
        return columns.iter().map(|column| column.feature(input.data_type).filter(|_| fits)).collect();
    }
    if columns.len() != inputs.len() {
        return None;
    }
    let of = |input: &TensorSpec| {
        let column = columns.iter().find(|column| *column.name == *input.name)?;
        column.feature(input.data_type)
    };
    inputs.iter().map(of).collect()
}

impl DescribedColumn {
    /// The feature of an input of `target`; none where such values can't go there.
    fn feature(&self, target: DataType) -> Option<Feature> {
        let is_text = |kind| kind == FeatureType::String;
        if self.kind.is_some_and(|kind| is_text(kind) != (target == DataType::Bytes)) {
            return None;
        }
        let is_float =
            |kind| matches!(kind, FeatureType::Float16 | FeatureType::Float32 | FeatureType::Float64);
        // A whole number can stand for a float, and not the other way round.
        let kind = self.kind.filter(|kind| target.is_float() || !is_float(*kind));
        let kind = kind.filter(|kind| target != DataType::Bool || *kind == FeatureType::Bool);
        Some(Feature { name: self.name.clone(), kind, default: None, categories: None })
    }
}

impl Declared {
    /// In what the graph differs, if it does.
    fn misfit(&self, signature: &Signature, batch_is_left_out: bool) -> Option<String> {
        let (kind, specs): (_, Vec<&TensorSpec>) = if self.is_input {
            ("input", signature.inputs.iter().chain(&signature.optional).collect())
        } else {
            ("output", signature.outputs.iter().collect())
        };
        let Some(spec) = specs.iter().find(|spec| *spec.name == *self.name) else {
            let known: Vec<&str> = specs.iter().take(8).map(|spec| &*spec.name).collect();
            return Some(format!("{kind} {:?}: the graph has only {}", self.name, known.join(", ")));
        };
        let name = &self.name;
        if let Some(declared) = self.data_type.filter(|declared| *declared != spec.data_type) {
            return Some(format!("{kind} {name}: declared {declared}, the graph has {}", spec.data_type));
        }
        let declared = self.dims.as_ref()?;
        if spec.is_any_rank() {
            return None;
        }
        let graph = if batch_is_left_out { spec.dims.get(1..).unwrap_or_default() } else { &spec.dims };
        let fits = |(dim, &declared): (&Dim, &i64)| match dim {
            Dim::Fixed(size) => declared == -1 || usize::try_from(declared) == Ok(*size),
            Dim::Free(_) | Dim::AnyRank => true,
        };
        if graph.len() == declared.len() && graph.iter().zip(declared).all(fits) {
            return None;
        }
        let batch =
            if batch_is_left_out { " behind the batch dimension (max_batch_size is set)" } else { "" };
        Some(format!("{kind} {name}: declared dims {declared:?}{batch}, the graph has {}", spec.shape_text()))
    }
}

#[cfg(test)]
mod tests;
