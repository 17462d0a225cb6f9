//! `POST /v1/models/{model}[/versions/{version}]:predict`: KServe v1, TensorFlow Serving and Vertex AI.
//!
//! `instances` are answered by `predictions`, `inputs` by `outputs`. As with TensorFlow Serving, what has
//! one member only goes without its name.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Request};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::exchange::RequestContext;
use crate::http::media::{self, BodyFormat};
use crate::http::predict::{self, Wire};
use crate::http::target::Target;
use crate::http::{Api, answer, decode};
use crate::model::TaskKind;
use crate::service::{Model, ServiceError};
use crate::task::{DecodeLimits, Decoded, Dialect, Naming, Predictions, Task};

/// Answers a prediction.
pub(super) async fn predict(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    target: Target,
    request: Request<Body>,
) -> Response {
    predict::answer_by::<KServe>(&api, &context, &target, request).await
}

struct KServe;

impl Wire for KServe {
    type Format = BodyFormat;

    fn format(headers: &HeaderMap, _: Option<TaskKind>) -> Result<BodyFormat, ServiceError> {
        media::json_only(headers)
    }

    fn read(
        body: &[u8],
        format: BodyFormat,
        task: &Task,
        limits: &DecodeLimits,
    ) -> Result<Decoded, ServiceError> {
        decode::check_declared(body, format)?;
        decode::decode_form(body, Dialect::KServe, task, limits)
    }

    fn write(_: BodyFormat, _: &Model, predictions: &Predictions<'_>) -> Result<Response, ServiceError> {
        answer::json_of(&Answer(predictions))
    }
}

struct Answer<'a>(&'a Predictions<'a>);

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(predictions) = self;
        let mut map = serializer.serialize_map(Some(1))?;
        if predictions.is_columnar() {
            map.serialize_entry("outputs", &predictions.columns(Naming::Shortest))?;
        } else {
            map.serialize_entry("predictions", &predictions.unnamed())?;
        }
        map.end()
    }
}
