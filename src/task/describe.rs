//! What a task takes and gives, for `GET /predict/{model}`, with an instance to try.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::outcome::Outcome;
use super::tabular::{Described, Shown};
use super::text::TextInput;
use super::{Task, Tensors, image};
use crate::model::{Dim, TaskKind, TensorSpec};
use crate::tensor::DataType;

/// A bare instance, made from the signature: what a POST takes.
pub struct Example<'a>(pub(super) &'a Task);

impl Serialize for Example<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Task::Tensors(tensors) => {
                for input in tensors.inputs() {
                    let dims = tensors.instance_dims(input);
                    map.serialize_entry(&*input.name, &Ones { data_type: input.data_type, dims })?;
                }
            }
            Task::Tabular(tabular) => {
                for feature in tabular.described() {
                    map.serialize_entry(feature.name, &feature.example())?;
                }
            }
            Task::TextClassification(_) | Task::Embedding(_) => {
                map.serialize_entry("text", "A short example.")?;
            }
            Task::Image(_) => map.serialize_entry("b64", image::EXAMPLE)?,
        }
        map.end()
    }
}

/// A nested array of ones, written without being built.
struct Ones<'a> {
    data_type: DataType,
    dims: &'a [Dim],
}

impl Serialize for Ones<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.dims {
            [] => match self.data_type {
                DataType::Bool => serializer.serialize_bool(true),
                DataType::Bytes => serializer.serialize_str("text"),
                float if float.is_float() => serializer.serialize_f32(1.0),
                _ => serializer.serialize_u8(1),
            },
            [dim, inner @ ..] => {
                let size = match dim {
                    Dim::Fixed(size) => *size,
                    Dim::Free(_) | Dim::AnyRank => 1,
                };
                serializer.collect_seq((0..size).map(|_| Ones { data_type: self.data_type, dims: inner }))
            }
        }
    }
}

/// What a task takes and gives.
#[derive(Serialize)]
pub struct TaskDescription<'a> {
    /// The task's name.
    pub task: TaskKind,
    /// What an instance holds.
    pub inputs: Inputs<'a>,
    /// What a prediction holds.
    pub outputs: Outputs<'a>,
    /// The names of the classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<&'a [String]>,
    /// What may stand in `parameters`.
    pub parameters: &'static [&'static str],
}

/// What an instance holds.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Inputs<'a> {
    /// Named values.
    Features(Vec<FeatureDescription<'a>>),
    /// Named nested arrays.
    Tensors(Vec<TensorDescription<'a>>),
    /// Text.
    Text(TextDescription),
    /// A picture.
    Image(ImageDescription),
}

/// One feature.
#[derive(Serialize)]
pub struct FeatureDescription<'a> {
    /// The name that instances use.
    pub name: &'a str,
    /// The type of a value.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The type of the graph's input behind it.
    pub datatype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<Shown<'a>>,
    /// The strings it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub categories: Option<&'a [String]>,
}

/// One tensor; a dimension of -1 is free.
#[derive(Serialize)]
pub struct TensorDescription<'a> {
    /// The name in the graph.
    pub name: &'a str,
    /// The protocol's name of the element type.
    pub datatype: &'static str,
    /// The shape of one instance.
    pub shape: Vec<i64>,
}

/// What a text may be.
#[derive(Serialize)]
pub struct TextDescription {
    /// Most tokens, special ones included.
    pub max_length: Option<usize>,
    /// Longer texts are cut without being asked.
    pub truncate: bool,
}

/// What a picture may be, and what becomes of it.
#[derive(Serialize)]
pub struct ImageDescription {
    /// Media types of a body that is the picture itself.
    pub media_types: [&'static str; 2],
    /// Height that the graph takes, pixels.
    pub height: usize,
    /// Width that the graph takes, pixels.
    pub width: usize,
    /// 3 for colour, 1 for grey.
    pub channels: usize,
}

/// What a prediction holds.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Outputs<'a> {
    /// Members and what they are.
    Members(Members),
    /// Named nested arrays.
    Tensors {
        /// The tensors of one prediction.
        tensors: Vec<TensorDescription<'a>>,
    },
}

/// The members of a prediction with what they are, in order.
pub struct Members(Vec<(&'static str, String)>);

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, what)| (name, what)))
    }
}

pub(super) fn describe(task: &Task) -> TaskDescription<'_> {
    let (inputs, outputs) = match task {
        Task::Tensors(tensors) => (
            Inputs::Tensors(tensors.inputs().iter().map(|input| tensor(tensors, input)).collect()),
            Outputs::Tensors {
                tensors: tensors.outputs().iter().map(|output| tensor(tensors, output)).collect(),
            },
        ),
        Task::Tabular(tabular) => {
            let features = tabular.described().map(|described| feature(&described)).collect();
            (Inputs::Features(features), answer(tabular.outcome()))
        }
        Task::TextClassification(task) => (text(task.input()), answer(task.outcome())),
        Task::Embedding(embedding) => {
            let vector =
                embedding.width().map_or_else(|| "numbers".to_owned(), |width| format!("{width} numbers"));
            let members = vec![("embedding", vector), ("tokens", "integer".to_owned())];
            (text(embedding.input()), Outputs::Members(Members(members)))
        }
        Task::Image(task) => {
            let [height, width, channels] = task.size();
            let media_types = ["image/png", "image/jpeg"];
            let described = ImageDescription { media_types, height, width, channels };
            (Inputs::Image(described), answer(task.outcome()))
        }
    };
    let parameters: &[&str] = match task.kind() {
        TaskKind::TabularClassification | TaskKind::ImageClassification => &["top_k"],
        TaskKind::TextClassification => &["truncate", "top_k"],
        TaskKind::TextEmbedding => &["truncate"],
        TaskKind::Tensors | TaskKind::TabularRegression => &[],
    };
    TaskDescription { task: task.kind(), inputs, outputs, labels: task.labels(), parameters }
}

/// The members of an answer.
fn answer(outcome: &Outcome) -> Outputs<'static> {
    let members = if !outcome.is_classification() {
        vec![("value", "number".to_owned())]
    } else if outcome.has_scores() {
        let scores = "object of label to number, highest first".to_owned();
        vec![("label", "string".to_owned()), ("confidence", "number".to_owned()), ("scores", scores)]
    } else {
        vec![("label", "string".to_owned())]
    };
    Outputs::Members(Members(members))
}

fn text(input: &TextInput) -> Inputs<'static> {
    Inputs::Text(TextDescription { max_length: input.max_length(), truncate: input.truncates() })
}

fn tensor<'a>(task: &Tensors, spec: &'a TensorSpec) -> TensorDescription<'a> {
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => i64::try_from(*size).unwrap_or(i64::MAX),
        Dim::Free(_) | Dim::AnyRank => -1,
    };
    let shape = task.instance_dims(spec).iter().map(size).collect();
    TensorDescription { name: &spec.name, datatype: spec.data_type.name(), shape }
}

fn feature<'a>(described: &Described<'a>) -> FeatureDescription<'a> {
    FeatureDescription {
        name: described.name,
        kind: written(described.kind),
        datatype: described.target().name(),
        default: described.default_shown(),
        categories: described.categories.map(Vec::as_slice),
    }
}

/// A type as a manifest writes it.
const fn written(kind: DataType) -> &'static str {
    match kind {
        DataType::Bool => "bool",
        DataType::Uint8 => "uint8",
        DataType::Uint16 => "uint16",
        DataType::Uint32 => "uint32",
        DataType::Uint64 => "uint64",
        DataType::Int8 => "int8",
        DataType::Int16 => "int16",
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::Fp16 => "float16",
        DataType::Bf16 => "bfloat16",
        DataType::Fp32 => "float32",
        DataType::Fp64 => "float64",
        DataType::Bytes => "string",
    }
}
