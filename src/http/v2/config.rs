//! `GET /v2/models/{model}/config`: what Triton's clients read of a model's configuration.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::resolve;
use crate::http::problem::Failure;
use crate::http::target::Target;
use crate::http::{Api, answer};
use crate::service::description;

/// `GET /v2/models/{model}[/versions/{version}]/config`.
pub(super) async fn config(api: State<Arc<Api>>, target: Target) -> Result<Response, Failure> {
    let model = resolve(&api, &target)?;
    Ok(answer::json_of(&description::config(&model.facts))?)
}
