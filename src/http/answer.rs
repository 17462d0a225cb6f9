//! Predictions to JSON, in the list form or bare with the model beside.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::service::{ModelFacts, ServiceError};
use crate::task::Predictions;

/// The model that answered, as it stands in bodies.
#[derive(Serialize)]
struct ModelName<'a> {
    name: &'a str,
    version: String,
}

struct Answer<'a> {
    model: ModelName<'a>,
    predictions: &'a Predictions<'a>,
}

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.predictions.is_bare() {
            self.predictions.serialize_bare_into(&mut map)?;
        } else {
            map.serialize_entry("predictions", self.predictions)?;
        }
        map.serialize_entry("model", &self.model)?;
        map.end()
    }
}

/// Writes predictions as a body.
///
/// # Errors
/// `internal` when they can't be written: a bug.
pub fn encode_prediction(facts: &ModelFacts, predictions: &Predictions<'_>) -> Result<Bytes, ServiceError> {
    let version = facts.version.to_string();
    let answer = Answer { model: ModelName { name: facts.name.as_str(), version }, predictions };
    let mut body = Vec::with_capacity(256);
    serde_json::to_writer(&mut body, &answer).map_err(ServiceError::internal)?;
    Ok(body.into())
}

/// A 200 with a JSON body.
pub(super) fn json(body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A 200 with anything that serialises, as JSON.
///
/// # Errors
/// `internal` when it can't be written: a bug.
pub(super) fn json_of(value: &impl Serialize) -> Result<Response, ServiceError> {
    serde_json::to_vec(value).map(json).map_err(ServiceError::internal)
}
