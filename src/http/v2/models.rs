//! `GET /v2/models` and the metadata of one.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::resolve;
use crate::http::problem::Failure;
use crate::http::target::Target;
use crate::http::{Api, answer};
use crate::model::ModelName;
use crate::service::description;

#[derive(Serialize)]
struct Listing<'a> {
    models: Vec<&'a str>,
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
    Ok(answer::json_of(&description::metadata(&api.service.models(), &model))?)
}
