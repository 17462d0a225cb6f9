//! `GET /predict...`: which models there are, and what one takes and gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::problem::Failure;
use super::target::Target;
use super::{Api, answer};
use crate::service::Model;
use crate::task::{Example, TaskDescription};

#[derive(Serialize)]
struct Listing {
    models: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    name: String,
    version: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    predict: String,
}

#[derive(Serialize)]
pub(super) struct Description<'a> {
    model: Name<'a>,
    versions: Vec<String>,
    #[serde(rename = "description", skip_serializing_if = "Option::is_none")]
    about: Option<&'a str>,
    #[serde(flatten)]
    task: TaskDescription<'a>,
    execution: Execution<'a>,
    sha256: &'a str,
    example: Example<'a>,
}

#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
    version: String,
}

#[derive(Serialize)]
struct Execution<'a> {
    provider: &'a str,
    device: &'a str,
    instances: usize,
    intra_threads: usize,
    batchable: bool,
    max_batch_size: usize,
    /// Nodes of the graph by the provider that runs them.
    nodes: &'a BTreeMap<String, usize>,
    #[serde(skip_serializing_if = "<[usize]>::is_empty")]
    batch_sizes: &'a [usize],
    #[serde(skip_serializing_if = "<[usize]>::is_empty")]
    batch_widths: &'a [usize],
}

/// `GET /predict`: every model, with the path to POST to.
pub(super) async fn list(State(api): State<Arc<Api>>) -> Result<Response, Failure> {
    let models = api.service.models();
    let listed = models.all().map(|(name, version, state)| {
        let facts = state.ready().map(|model| &model.facts);
        Listed {
            predict: format!("/predict/{name}/versions/{version}"),
            name: name.to_string(),
            version: version.to_string(),
            state: state.text(),
            task: facts.map(|facts| facts.task.name()),
            description: facts.and_then(|facts| facts.description.clone()),
        }
    });
    Ok(answer::json_of(&Listing { models: listed.collect() })?)
}

/// `GET /predict/{model}[/versions/{version}]`: what it takes and gives, with an example.
pub(super) async fn describe(State(api): State<Arc<Api>>, target: Target) -> Response {
    api.service
        .resolve(target.model.as_deref(), target.version.as_deref())
        .and_then(|model| answer::json_of(&description(&api, &model)))
        .unwrap_or_else(|error| Failure::from(error).into_response())
}

/// The description as it is sent, which the OpenAPI description is made of.
pub(super) fn description<'a>(api: &Api, model: &'a Model) -> Description<'a> {
    let models = api.service.models();
    let versions = models.versions(model.name());
    let facts = &model.facts;
    Description {
        model: Name { name: model.name(), version: facts.version.to_string() },
        versions: versions.into_iter().flat_map(|all| all.keys().map(ToString::to_string)).collect(),
        about: facts.description.as_deref(),
        task: model.task.describe(),
        execution: Execution {
            provider: facts.provider,
            device: &facts.device,
            instances: facts.instances,
            intra_threads: facts.intra_threads,
            batchable: facts.batchable,
            max_batch_size: facts.max_batch_size,
            nodes: &facts.placement,
            batch_sizes: facts.buckets.sizes(),
            batch_widths: facts.buckets.widths(),
        },
        sha256: &facts.digest,
        example: model.task.example(),
    }
}
