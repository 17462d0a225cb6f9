//! The inputs of a warm-up sample that a model's owner describes by type, shape and values.

use std::collections::BTreeMap;
use std::path::Path;

use super::made_inputs::{MOST_ELEMENTS, Values, data};
use crate::model::{Fill, Signature, WarmupSample};
use crate::tensor::{DataType, Tensor, concatenate};

/// No sample's file is larger.
const MOST_BYTES: u64 = 1 << 30;

/// One tensor per input of `signature`, in its order, with the sample's rows.
///
/// # Errors
/// What of the sample is no input of the graph, or can't be read.
pub fn sample_inputs(sample: &WarmupSample, signature: &Signature) -> Result<Vec<Tensor>, String> {
    let mut given: BTreeMap<&str, Tensor> = BTreeMap::new();
    for (name, data_type, shape, fill) in &sample.inputs {
        let problem = |problem: String| format!("input {name:?}: {problem}");
        if signature.inputs.iter().all(|input| *input.name != **name) {
            return Err(problem("the graph has no such input".to_owned()));
        }
        let tensor = one_input(*data_type, shape, fill, sample.rows).map_err(problem)?;
        given.insert(name, tensor);
    }
    let ordered = signature.inputs.iter().map(|input| {
        given.remove(&*input.name).ok_or_else(|| format!("input {:?} is missing", &*input.name))
    });
    let tensors: Vec<Tensor> = ordered.collect::<Result<_, _>>()?;
    signature.check(&tensors).map_err(|error| format!("input {:?}: {}", &*error.input, error.detail))?;
    Ok(tensors)
}

fn one_input(
    data_type: DataType,
    dims: &[usize],
    fill: &Fill,
    rows: Option<usize>,
) -> Result<Tensor, String> {
    let shape: Vec<usize> = rows.map(|_| 1).into_iter().chain(dims.iter().copied()).collect();
    let len = shape.iter().chain(&rows).try_fold(1_usize, |product, &size| product.checked_mul(size));
    let len =
        len.filter(|&len| len <= MOST_ELEMENTS).ok_or("its shape is too large")? / rows.unwrap_or(1).max(1);
    let made =
        |values| Tensor::new(shape.clone(), data(data_type, len, values, false)).map_err(|e| e.to_string());
    let row = match fill {
        Fill::Zero => made(Values::Zeros)?,
        Fill::Varied => made(Values::Varied)?,
        Fill::File(path) => {
            let bytes = read(path)?;
            Tensor::from_raw(data_type, shape.clone(), bytes.into()).map_err(|error| error.to_string())?
        }
    };
    match rows {
        None | Some(1) => Ok(row),
        Some(rows) => concatenate(&vec![&row; rows]).map_err(|error| error.to_string()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.file_name().unwrap_or_default().to_string_lossy();
    let cannot = |error: std::io::Error| format!("{shown}: cannot be read: {}", error.kind());
    let metadata = path.metadata().map_err(cannot)?;
    if !metadata.is_file() || metadata.len() > MOST_BYTES {
        return Err(format!("{shown}: expected a regular file of at most {MOST_BYTES} bytes"));
    }
    std::fs::read(path).map_err(cannot)
}
