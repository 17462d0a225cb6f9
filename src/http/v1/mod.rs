//! `/v1`: what clients of KServe v1, TensorFlow Serving, Vertex AI and OpenAI ask for.
//!
//! The three share paths: `GET /v1/models` and `GET /v1/models/{model}` answer with one object that holds
//! the members of all of them, which do not overlap.

mod embeddings;
mod models;
mod predict;
pub(super) mod verb;

use std::sync::Arc;

use axum::routing::{get, post};

pub use embeddings::decode_embeddings;

use super::Api;
use super::access::{Doors, guarded};
use crate::service::Scope;

/// The routes below `/v1`; `routes.rs` has their labels.
pub(super) fn routes(api: &Arc<Api>) -> Doors {
    let told = |methods| guarded(api, Scope::Metadata, methods);
    let predict = || guarded(api, Scope::Predict, post(predict::predict));
    Doors::default()
        .route("/v1/models", told(get(models::list)))
        .route("/v1/models/{model}", told(get(models::model)))
        .route("/v1/models/{model}/versions/{version}", told(get(models::version)))
        .route(&verb::routed("/v1/models/{model}:predict"), predict())
        .route(&verb::routed("/v1/models/{model}/versions/{version}:predict"), predict())
        .route("/v1/embeddings", guarded(api, Scope::Predict, post(embeddings::embed)))
}
