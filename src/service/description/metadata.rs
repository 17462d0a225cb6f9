//! The metadata of a model: names, types and whole shapes, the batch dimension included. Invariant: the
//! versions listed are those that answer.

use serde::Serialize;

use super::shape;
use crate::model::TensorSpec;
use crate::service::{Model, Models};

/// The protocol's own word for ONNX graphs.
const PLATFORM: &str = "onnx_onnxv1";

#[derive(Serialize)]
pub struct Metadata<'a> {
    pub name: &'a str,
    pub versions: Vec<String>,
    pub platform: &'static str,
    pub inputs: Vec<Tensor<'a>>,
    pub outputs: Vec<Tensor<'a>>,
    pub properties: Properties<'a>,
}

#[derive(Serialize)]
pub struct Tensor<'a> {
    pub name: &'a str,
    pub datatype: &'static str,
    pub shape: Vec<i64>,
}

/// The protocol allows any strings here.
#[derive(Serialize)]
pub struct Properties<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    pub task: &'static str,
    pub sha256: &'a str,
}

/// The metadata of `model`, one of `models`.
pub fn metadata<'a>(models: &Models, model: &'a Model) -> Metadata<'a> {
    let facts = &model.facts;
    let versions = models.ready_versions(model.name()).map(|ready| ready.facts.version.to_string());
    Metadata {
        name: facts.name.as_str(),
        versions: versions.collect(),
        platform: PLATFORM,
        inputs: facts.signature.inputs.iter().chain(&facts.signature.optional).map(tensor).collect(),
        outputs: facts.signature.outputs.iter().map(tensor).collect(),
        properties: Properties {
            description: facts.description.as_deref(),
            task: facts.task.name(),
            sha256: &facts.digest,
        },
    }
}

fn tensor(spec: &TensorSpec) -> Tensor<'_> {
    Tensor { name: &spec.name, datatype: spec.data_type.name(), shape: shape(&spec.dims) }
}
