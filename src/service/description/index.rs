//! The repository's index: every version of every model and how far it has come.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{ModelName, Version};
use crate::service::{Absent, ModelState, Models};

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

/// How much a caller is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    States,
    Everything,
}

/// The index of `models` for anybody: of what could not be loaded again no reasons, which name files.
pub fn index(models: &Models, listed: Listed) -> Vec<Entry<'_>> {
    entries(models, (listed, Told::States), &[])
}

/// The index for who may load and unload: with reasons, and `there`, what the configured paths hold.
pub fn full_index<'a>(
    models: &'a Models,
    listed: Listed,
    there: &'a [(ModelName, Version)],
) -> Vec<Entry<'a>> {
    entries(models, (listed, Told::Everything), there)
}

fn entries<'a>(
    models: &'a Models,
    (listed, told): (Listed, Told),
    there: &'a [(ModelName, Version)],
) -> Vec<Entry<'a>> {
    let mut entries: BTreeMap<(&str, Version), Entry<'a>> = BTreeMap::new();
    let mut tell = |name: &'a ModelName, version: Version, state: &'static str, reason: &'a str| {
        let entry = Entry { name: name.as_str(), version: version.to_string(), state, reason };
        entries.entry((name.as_str(), version)).or_insert(entry);
    };
    for (name, version, state) in models.all() {
        match state {
            ModelState::Ready(_) => tell(name, version, READY, ""),
            ModelState::Loading => tell(name, version, "LOADING", ""),
            ModelState::Failed(reason) => tell(name, version, "UNAVAILABLE", reason),
        }
    }
    for (name, version, state) in models.absent() {
        match state {
            Absent::Loading => tell(name, version, "LOADING", ""),
            Absent::Unloading => tell(name, version, "UNLOADING", ""),
            Absent::Unavailable(reason) => {
                let is_plain = told == Told::Everything || reason == "unloaded";
                tell(name, version, "UNAVAILABLE", if is_plain { reason } else { "could not be loaded" });
            }
        }
    }
    for (name, version) in there {
        tell(name, *version, "UNAVAILABLE", "not loaded");
    }
    entries.into_values().filter(|entry| listed == Listed::All || entry.state == READY).collect()
}
