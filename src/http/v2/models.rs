//! `GET /v2/models` and the metadata of one: names, types and whole shapes, the batch dimension
//! included. Invariant: the versions listed are those that answer.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::{ready_versions, resolve, shape};
use crate::http::problem::Failure;
use crate::http::target::Target;
use crate::http::{Api, answer};
use crate::model::{ModelName, TensorSpec};
use crate::service::ModelFacts;

/// The protocol's own word for ONNX graphs.
const PLATFORM: &str = "onnx_onnxv1";

#[derive(Serialize)]
struct Listing<'a> {
    models: Vec<&'a str>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    versions: Vec<String>,
    platform: &'static str,
    inputs: Vec<Tensor<'a>>,
    outputs: Vec<Tensor<'a>>,
    properties: Properties<'a>,
}

#[derive(Serialize)]
struct Tensor<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: Vec<i64>,
}

/// The protocol allows any strings here.
#[derive(Serialize)]
struct Properties<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    task: &'static str,
    sha256: &'a str,
}

/// `GET /v2/models`: the names, whatever their state.
pub(super) async fn list(State(api): State<Arc<Api>>) -> Result<Response, Failure> {
    let models = api.service.models();
    let names = models.names().map(ModelName::as_str);
    Ok(answer::json_of(&Listing { models: names.collect() })?)
}

/// `GET /v2/models/{model}[/versions/{version}]`.
pub(super) async fn metadata(api: State<Arc<Api>>, target: Target) -> Result<Response, Failure> {
    let model = resolve(&api, &target)?;
    let models = api.service.models();
    let versions = ready_versions(&models, model.name()).map(|ready| ready.facts.version.to_string());
    Ok(answer::json_of(&of(&model.facts, versions.collect()))?)
}

fn of(facts: &ModelFacts, versions: Vec<String>) -> Metadata<'_> {
    Metadata {
        name: facts.name.as_str(),
        versions,
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
