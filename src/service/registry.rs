//! The models by name and version, and how far each has come.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Model;
use crate::model::{ModelName, Version};

/// How far a model has come.
#[derive(Clone)]
pub enum ModelState {
    /// Being loaded.
    Loading,
    /// Serving.
    Ready(Arc<Model>),
    /// Could not be loaded, and why.
    Failed(String),
}

impl ModelState {
    /// The state in bodies.
    pub const fn text(&self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Ready(_) => "ready",
            Self::Failed(_) => "failed",
        }
    }
}

type Versions = BTreeMap<Version, ModelState>;

/// All models at one moment.
#[derive(Clone, Default)]
pub struct Models {
    /// Shared, so that a change copies the versions of no other model.
    by_name: BTreeMap<ModelName, Arc<Versions>>,
    /// True once every configured model was ready for the first time.
    started: bool,
}

impl Models {
    /// Every version of every model, ordered by name and version.
    pub fn all(&self) -> impl Iterator<Item = (&ModelName, Version, &ModelState)> {
        self.by_name
            .iter()
            .flat_map(|(name, versions)| versions.iter().map(move |(version, state)| (name, *version, state)))
    }

    /// The versions of a model.
    pub fn versions(&self, name: &str) -> Option<&Versions> {
        self.by_name.get(name).map(Arc::as_ref)
    }

    /// The highest version that is ready.
    pub fn default_version(versions: &Versions) -> Option<&Arc<Model>> {
        versions.values().rev().find_map(|state| match state {
            ModelState::Ready(model) => Some(model),
            ModelState::Loading | ModelState::Failed(_) => None,
        })
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &ModelName> {
        self.by_name.keys()
    }

    /// True once every configured model was ready for the first time.
    pub fn started(&self) -> bool {
        self.started
    }

    /// True when there are models and every one is ready.
    pub fn all_ready(&self) -> bool {
        !self.by_name.is_empty() && self.all().all(|(_, _, state)| matches!(state, ModelState::Ready(_)))
    }
}

/// The models now; read without locks, replaced as a whole.
#[derive(Default)]
pub struct Registry {
    models: ArcSwap<Models>,
    changed: tokio::sync::watch::Sender<()>,
}

impl Registry {
    /// The models at this moment.
    pub fn models(&self) -> arc_swap::Guard<Arc<Models>> {
        self.models.load()
    }

    /// Notes how far a version has come.
    pub fn set(&self, name: &ModelName, version: Version, state: &ModelState) {
        self.set_all(&[(name, version)], state);
    }

    /// Notes in one step that all of `versions` have come so far.
    pub fn set_all(&self, versions: &[(&ModelName, Version)], state: &ModelState) {
        self.models.rcu(|models| {
            let mut models = Models::clone(models);
            for &(name, version) in versions {
                let known = models.by_name.entry(name.clone()).or_default();
                Arc::make_mut(known).insert(version, state.clone());
            }
            models.started |= models.all_ready();
            models
        });
        self.changed.send_replace(());
    }

    /// Tells of every change.
    pub fn changes(&self) -> tokio::sync::watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Drops every model: their queues go, so that sessions end before the runtime does.
    pub fn clear(&self) {
        self.models.store(Arc::default());
        self.changed.send_replace(());
    }
}
