//! The repository's index: every version of every model and how far it has come.

use serde::Serialize;

use crate::service::{ModelState, Models};

/// The state of a version that answers.
const READY: &str = "READY";

#[derive(Serialize)]
pub struct Entry<'a> {
    pub name: &'a str,
    pub version: String,
    pub state: &'static str,
    pub reason: &'a str,
}

/// Which versions are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Every one.
    All,
    /// Those that answer.
    Ready,
}

/// The index of `models`.
pub fn index(models: &Models, listed: Listed) -> Vec<Entry<'_>> {
    let entries = models.all().map(|(name, version, state)| {
        let (state, reason) = match state {
            ModelState::Ready(_) => (READY, ""),
            ModelState::Loading => ("LOADING", ""),
            ModelState::Failed(reason) => ("UNAVAILABLE", reason.as_str()),
        };
        Entry { name: name.as_str(), version: version.to_string(), state, reason }
    });
    entries.filter(|entry| listed == Listed::All || entry.state == READY).collect()
}
