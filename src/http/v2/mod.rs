//! The Open Inference Protocol v2 over REST.

mod infer;

use std::sync::Arc;

use axum::Router;
use axum::routing::post;

use super::Api;

/// The protocol's routes.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/v2/models/{model}/infer", post(infer::infer))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer::infer))
}
