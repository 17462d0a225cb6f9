//! `GET /v2/models/.../stats`: Triton's statistics extension, which load generators subtract before
//! and after. Invariant: only versions that are ready are listed, each once.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::resolve;
use crate::http::problem::Failure;
use crate::http::target::Target;
use crate::http::{Api, answer};
use crate::service::{Model, description};

/// `GET /v2/models/stats`.
pub(super) async fn all(State(api): State<Arc<Api>>) -> Result<Response, Failure> {
    let models = api.service.models();
    respond(models.all().filter_map(|(_, _, state)| state.ready()))
}

/// `GET /v2/models/{model}[/versions/{version}]/stats`: without a version, of all that are ready.
pub(super) async fn of_model(api: State<Arc<Api>>, target: Target) -> Result<Response, Failure> {
    let model = resolve(&api, &target)?;
    if target.version.is_some() {
        return respond(std::iter::once(&model));
    }
    respond(api.service.models().ready_versions(model.name()))
}

fn respond<'a>(models: impl Iterator<Item = &'a Arc<Model>>) -> Result<Response, Failure> {
    Ok(answer::json_of(&description::statistics(models))?)
}
