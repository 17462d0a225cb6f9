//! `GET /v1/models` and what one model is: the members of KServe's, TensorFlow Serving's and OpenAI's answers
//! in one object.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use crate::http::problem::Failure;
use crate::http::target::Target;
use crate::http::{Api, answer};
use crate::model::{ModelName, Version};
use crate::service::{Model, ModelState, Models};

/// The one who owns the models, where OpenAI's clients look for one.
const OWNER: &str = env!("CARGO_PKG_NAME");

#[derive(Serialize)]
struct Listing<'a> {
    object: &'static str,
    data: Vec<Card<'a>>,
    models: Vec<&'a str>,
}

/// A model as OpenAI's clients know it.
#[derive(Serialize)]
struct Card<'a> {
    id: &'a str,
    object: &'static str,
    /// Seconds since 1970.
    created: u64,
    owned_by: &'static str,
}

#[derive(Serialize)]
struct Status<'a> {
    name: &'a str,
    ready: bool,
    #[serde(rename = "model_version_status")]
    versions: Vec<VersionStatus>,
    #[serde(flatten)]
    card: Card<'a>,
}

#[derive(Serialize)]
struct VersionStatus {
    version: String,
    state: &'static str,
    status: Reason,
}

#[derive(Serialize)]
struct Reason {
    error_code: &'static str,
    error_message: String,
}

fn card(name: &str, since: SystemTime) -> Card<'_> {
    let created = since.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Card { id: name, object: "model", created, owned_by: OWNER }
}

/// Since when a model serves: the latest load of its versions.
fn serves_since(models: &Models, name: &str) -> SystemTime {
    models.ready_versions(name).map(|model| model.facts.loaded_at).max().unwrap_or(UNIX_EPOCH)
}

/// `GET /v1/models`: every model, whatever its state.
pub(super) async fn list(State(api): State<Arc<Api>>) -> Result<Response, Failure> {
    let models = api.service.models();
    let names: Vec<&str> = models.names().map(ModelName::as_str).collect();
    let data = names.iter().map(|name| card(name, serves_since(&models, name))).collect();
    Ok(answer::json_of(&Listing { object: "list", data, models: names })?)
}

/// `GET /v1/models/{model}`: 200 exactly when a prediction would be taken.
pub(super) async fn model(State(api): State<Arc<Api>>, target: Target) -> Result<Response, Failure> {
    status(&api, &target, |_| true)
}

/// `GET /v1/models/{model}/versions/{version}`: the same of one version.
pub(super) async fn version(State(api): State<Arc<Api>>, target: Target) -> Result<Response, Failure> {
    let asked = target.version.as_deref().and_then(Version::parse);
    status(&api, &target, |version| Some(version) == asked)
}

fn status(api: &Api, target: &Target, is_asked: impl Fn(Version) -> bool) -> Result<Response, Failure> {
    let model: Arc<Model> = api.service.resolve(target.model.as_deref(), target.version.as_deref())?;
    api.service.accepting()?;
    let models = api.service.models();
    let versions = models.versions(model.name()).into_iter().flatten();
    let told = versions.filter(|(version, _)| is_asked(**version)).map(|(version, state)| {
        let (state, error_code, error_message) = match state {
            ModelState::Ready(_) => ("AVAILABLE", "OK", String::new()),
            ModelState::Loading => ("LOADING", "OK", String::new()),
            ModelState::Failed(reason) => ("END", "UNKNOWN", reason.clone()),
        };
        VersionStatus { version: version.to_string(), state, status: Reason { error_code, error_message } }
    });
    let status = Status {
        name: model.name(),
        ready: true,
        versions: told.collect(),
        card: card(model.name(), serves_since(&models, model.name())),
    };
    Ok(answer::json_of(&status)?)
}
