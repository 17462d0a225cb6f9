//! What a model is for when its manifest does not say: decided from the graph's signature alone.

use super::{Dim, Manifest, Signature, TaskKind, TensorSpec};
use crate::tensor::DataType;

/// The manifest's task, else what the signature looks like.
pub fn task_kind(manifest: &Manifest, signature: &Signature) -> TaskKind {
    manifest.task.unwrap_or_else(|| {
        if looks_tabular(signature) { TaskKind::TabularClassification } else { TaskKind::Tensors }
    })
}

/// The output that holds one vector a row, by its usual names, and where it stands.
pub fn pooled_output(signature: &Signature) -> Option<usize> {
    const NAMES: [&str; 3] = ["sentence_embedding", "embeddings", "embedding"];
    let fits = |output: &TensorSpec| output.data_type.is_float() && output.dims.len() == 2;
    NAMES
        .iter()
        .find_map(|name| signature.output(name).filter(|(_, output)| fits(output)))
        .map(|(index, _)| index)
}

/// One numeric `[N,F]` input, or only `[N,1]` inputs, with a label and a score output.
fn looks_tabular(signature: &Signature) -> bool {
    let one_matrix = match signature.inputs.as_slice() {
        [input] => {
            input.data_type != DataType::Bytes && is_rows_of(input, |dim| matches!(dim, Dim::Fixed(_)))
        }
        _ => false,
    };
    let columns = !signature.inputs.is_empty()
        && signature.inputs.iter().all(|input| is_rows_of(input, |dim| *dim == Dim::Fixed(1)));
    let is_label = |spec: &TensorSpec| {
        matches!(spec.data_type, DataType::Int64 | DataType::Bytes)
            && matches!(spec.dims.as_slice(), [Dim::Fixed(_) | Dim::Free(_)])
    };
    let is_scores = |spec: &TensorSpec| spec.data_type.is_float() && spec.dims.len() == 2;
    (one_matrix || columns)
        && signature.outputs.iter().any(is_label)
        && signature.outputs.iter().any(is_scores)
}

fn is_rows_of(spec: &TensorSpec, width: impl Fn(&Dim) -> bool) -> bool {
    matches!(spec.dims.as_slice(), [_, dim] if width(dim))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, data_type: DataType, dims: &[Dim]) -> TensorSpec {
        TensorSpec { name: name.into(), data_type, dims: dims.to_vec() }
    }

    #[test]
    fn classifiers_over_features_are_recognised_and_the_rest_is_tensors() {
        let free = || Dim::Free(None);
        let label = spec("label", DataType::Int64, &[free()]);
        let scores = spec("scores", DataType::Fp32, &[free(), Dim::Fixed(2)]);
        let of = |inputs: &[TensorSpec], outputs: &[TensorSpec]| {
            let signature =
                Signature { inputs: inputs.to_vec(), optional: vec![], outputs: outputs.to_vec() };
            task_kind(&Manifest::default(), &signature)
        };
        let matrix = spec("x", DataType::Fp32, &[free(), Dim::Fixed(30)]);
        let both = [label.clone(), scores];
        assert_eq!(of(std::slice::from_ref(&matrix), &both), TaskKind::TabularClassification);
        assert_eq!(of(&[matrix], &[label]), TaskKind::Tensors);
        let column = spec("age", DataType::Bytes, &[free(), Dim::Fixed(1)]);
        assert_eq!(of(&[column.clone(), column], &both), TaskKind::TabularClassification);
        let image = spec("x", DataType::Fp32, &[free(), Dim::Fixed(3), free(), free()]);
        assert_eq!(of(&[image], &both), TaskKind::Tensors);
    }
}
