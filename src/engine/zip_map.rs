//! The one output that is not a tensor and still served: ZipMap's, a map from class to score a row,
//! which skl2onnx makes by default. It is read as the tensor of scores that it was made of.

use std::collections::HashMap;
use std::hash::Hash;

use ort::value::{DynValue, IntoTensorElementType, MapValueType, TensorElementType, ValueType};

use super::RunError;
use crate::model::Dim;
use crate::tensor::Tensor;

/// True of a sequence of maps from class to FP32.
pub(super) fn is_zip_map(value_type: &ValueType) -> bool {
    use TensorElementType::{Float32, Int64, String};
    let ValueType::Sequence(element) = value_type else { return false };
    matches!(**element, ValueType::Map { key: Int64 | String, value: Float32 })
}

/// The dimensions of the scores: any number of rows, one column a class.
pub(super) fn dims(class_labels: &[String]) -> Vec<Dim> {
    vec![Dim::Free(None), Dim::Fixed(class_labels.len())]
}

/// The scores in `value`, one column for each of `class_labels`, in their order.
pub(super) fn scores(value: &DynValue, class_labels: &[String]) -> Result<Tensor, RunError> {
    let ValueType::Sequence(element) = value.dtype() else {
        return Err(RunError::Failed(format!("an output is a {}", value.dtype())));
    };
    match **element {
        ValueType::Map { key: TensorElementType::Int64, .. } => read::<i64>(value, class_labels),
        _ => read::<String>(value, class_labels),
    }
}

fn read<K>(value: &DynValue, class_labels: &[String]) -> Result<Tensor, RunError>
where
    K: IntoTensorElementType + std::fmt::Debug + ToString + Clone + Hash + Eq + 'static,
{
    let failed = |error: ort::Error| RunError::Failed(error.to_string());
    let columns: HashMap<&str, usize> =
        class_labels.iter().enumerate().map(|(column, label)| (label.as_str(), column)).collect();
    let rows = value.try_extract_sequence::<MapValueType<K, f32>>().map_err(failed)?;
    let mut scores = vec![0.0_f32; rows.len() * class_labels.len()];
    for (row, map) in rows.iter().enumerate() {
        for (class, score) in map.try_extract_key_values::<K, f32>().map_err(failed)? {
            let class = class.to_string();
            let column = columns.get(class.as_str()).ok_or_else(|| {
                RunError::Failed(format!("class {class:?} is not among the graph's class labels"))
            })?;
            scores[row * class_labels.len() + column] = score;
        }
    }
    Tensor::new(vec![rows.len(), class_labels.len()], scores)
        .map_err(|error| RunError::Failed(error.to_string()))
}
