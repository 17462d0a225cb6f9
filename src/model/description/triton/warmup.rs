//! `model_warmup`: runs that a model must pass before it serves.

use std::path::PathBuf;

use super::data_type;
use crate::model::description::Place;
use crate::model::description::text_format::Message;
use crate::model::resolve_inside;
use crate::tensor::DataType;

/// One entry of `model_warmup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmupSample {
    /// Its name, for messages.
    pub name: String,
    /// Each input is repeated so often along a first dimension; none where shapes are whole already.
    pub rows: Option<usize>,
    /// How often it is run on each session.
    pub count: usize,
    /// Name, element type, shape of one row and values of each input.
    pub inputs: Vec<(String, DataType, Vec<usize>, Fill)>,
}

/// Where the values of an input come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Zeros; strings are empty.
    Zero,
    /// Any values, the same in every start.
    Varied,
    /// The raw bytes of a file, laid out as the Open Inference Protocol's binary tensors.
    File(PathBuf),
}

pub(super) fn sample(
    mut message: Message,
    is_batched: bool,
    place: &Place<'_>,
) -> Result<WarmupSample, String> {
    let name = message.take_text("name")?.unwrap_or_default();
    let problem = |problem: String| format!("model_warmup {name:?}: {problem}");
    let rows = message.take_number::<u32>("batch_size").map_err(problem)?.unwrap_or(0) as usize;
    let count = message.take_number::<u32>("count").map_err(problem)?.unwrap_or(1).max(1) as usize;
    let mut inputs = Vec::new();
    for mut entry in message.take_messages("inputs").map_err(problem)? {
        let key = entry.take_text("key").map_err(problem)?.unwrap_or_default();
        let value = entry.take_messages("value").map_err(problem)?.pop();
        let value = value.ok_or_else(|| problem(format!("input {key:?} has no value")))?;
        inputs.push(
            input(key.clone(), value, place).map_err(|text| problem(format!("input {key:?}: {text}")))?,
        );
    }
    if let [unknown, ..] = message.left().as_slice() {
        return Err(problem(format!("unknown field {unknown:?}")));
    }
    Ok(WarmupSample { rows: is_batched.then_some(rows.max(1)), name, count, inputs })
}

fn input(
    name: String,
    mut message: Message,
    place: &Place<'_>,
) -> Result<(String, DataType, Vec<usize>, Fill), String> {
    let kind = message.take_text("data_type")?.unwrap_or_default();
    let kind =
        data_type(&kind).ok_or_else(|| format!("data_type: expected TYPE_FP32 or another, got {kind:?}"))?;
    let dims: Vec<usize> = message.take_numbers("dims")?;
    let fill = if let Some(file) = message.take_text("input_data_file")? {
        let path = format!("warmup/{file}");
        Fill::File(resolve_inside(place.root, place.base, &path)?)
    } else if message.take_text("random_data")?.as_deref() == Some("true") {
        Fill::Varied
    } else if message.take_text("zero_data")?.as_deref() == Some("true") {
        Fill::Zero
    } else {
        return Err("expected zero_data, random_data or input_data_file".to_owned());
    };
    Ok((name, kind, dims, fill))
}
