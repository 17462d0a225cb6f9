//! Which model and version a path names.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use std::convert::Infallible;

/// What the path of `/predict[/{model}[/versions/{version}]]` names.
#[derive(Debug, Default)]
pub(super) struct Target {
    /// The model; none = the default one.
    pub(super) model: Option<String>,
    /// The version; none = the default one.
    pub(super) version: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let mut target = Self::default();
        match Path::<Vec<(String, String)>>::from_request_parts(parts, state).await {
            Ok(Path(pairs)) => {
                for (name, value) in pairs {
                    match name.as_str() {
                        "model" => target.model = Some(value),
                        _ => target.version = Some(value),
                    }
                }
            }
            // A path that is no UTF-8 once decoded names no model that there is.
            Err(_) => target.model = Some(String::new()),
        }
        Ok(target)
    }
}
