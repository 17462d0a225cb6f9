//! Open Inference Protocol v2 over REST: inference, and what the server, its models and their
//! statistics are.
//!
//! Each file is a topic: handlers and the JSON that they answer with. Invariant: facts come from the
//! registry as it is now, and an extension is named only when it is served.

mod config;
mod health;
mod infer;
mod load;
mod models;
mod repository;
mod statistics;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};

pub use infer::decode_inference;
pub(super) use infer::handle as infer;

use super::access::{Doors, guarded, open, restricted};
use super::problem::Failure;
use super::target::Target;
use super::{Api, answer};
use crate::service::{Model, Scope, ServiceError, description};

/// The routes of the admin listener; `routes.rs` has their labels.
pub(super) fn admin_routes(api: &Arc<Api>) -> Doors {
    let admin = |methods| restricted(api, methods);
    Doors::default()
        .route("/v2/repository/index", admin(post(repository::full_index)))
        .route("/v2/repository/models/{model}/load", admin(post(load::load)))
        .route("/v2/repository/models/{model}/unload", admin(post(load::unload)))
}

/// The routes below `/v2`; `routes.rs` has their labels.
pub(super) fn routes(api: &Arc<Api>) -> Doors {
    let told = |methods| guarded(api, Scope::Metadata, methods);
    let infer = || guarded(api, Scope::Predict, post(infer::infer));
    Doors::default()
        .route("/v2", told(get(server)))
        .route("/v2/", told(get(server)))
        .route("/v2/health/live", open(get(health::live)))
        .route("/v2/health/ready", open(get(health::ready)))
        .route("/v2/models", told(get(models::list)))
        .route("/v2/models/stats", told(get(statistics::all)))
        .route("/v2/models/{model}", told(get(models::metadata)))
        .route("/v2/models/{model}/versions/{version}", told(get(models::metadata)))
        .route("/v2/models/{model}/ready", told(get(health::model)))
        .route("/v2/models/{model}/versions/{version}/ready", told(get(health::model)))
        .route("/v2/models/{model}/config", told(get(config::config)))
        .route("/v2/models/{model}/versions/{version}/config", told(get(config::config)))
        .route("/v2/models/{model}/stats", told(get(statistics::of_model)))
        .route("/v2/models/{model}/versions/{version}/stats", told(get(statistics::of_model)))
        .route("/v2/models/{model}/infer", infer())
        .route("/v2/models/{model}/versions/{version}/infer", infer())
        .route("/v2/repository/index", told(post(repository::index)))
}

/// `GET /v2`: what serves.
async fn server() -> Result<Response, Failure> {
    Ok(answer::json_of(&description::server())?)
}

/// The model that a path names.
fn resolve(State(api): &State<Arc<Api>>, target: &Target) -> Result<Arc<Model>, ServiceError> {
    api.service.resolve(target.model.as_deref(), target.version.as_deref())
}
