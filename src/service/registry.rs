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

    /// The model, when it serves.
    pub const fn ready(&self) -> Option<&Arc<Model>> {
        match self {
            Self::Ready(model) => Some(model),
            Self::Loading | Self::Failed(_) => None,
        }
    }
}

/// How it stands with a version that does not serve, and whose absence is meant or told: it counts for
/// nobody's readiness, and no request finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Being loaded beside what serves.
    Loading,
    /// Out of service, and its last requests are still being answered.
    Unloading,
    /// Was unloaded, or could not be loaded, and why.
    Unavailable(String),
}

/// What of a model is to serve from now on.
pub(super) struct Replacement<'a> {
    /// Versions that stay as they are.
    pub(super) kept: &'a [Version],
    /// Versions that are new or take the place of an older load.
    pub(super) fresh: &'a [Arc<Model>],
}

type Versions = BTreeMap<Version, ModelState>;

/// All models at one moment.
#[derive(Clone, Default)]
pub struct Models {
    /// Shared, so that a change copies the versions of no other model.
    by_name: BTreeMap<ModelName, Arc<Versions>>,
    absent: BTreeMap<ModelName, BTreeMap<Version, Absent>>,
    /// True once every configured model was ready for the first time.
    started: bool,
    /// The process ends: nothing is added any more.
    is_closed: bool,
    /// How many changes there have been.
    generation: u64,
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
        versions.values().rev().find_map(ModelState::ready)
    }

    /// The versions of a model that are ready, in order.
    pub fn ready_versions(&self, name: &str) -> impl Iterator<Item = &Arc<Model>> {
        self.versions(name).into_iter().flat_map(|versions| versions.values()).filter_map(ModelState::ready)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &ModelName> {
        self.by_name.keys()
    }

    /// True once every configured model was ready for the first time.
    pub fn started(&self) -> bool {
        self.started
    }

    /// What was unloaded, is being loaded beside what serves, or could not be; ordered by name and version.
    pub fn absent(&self) -> impl Iterator<Item = (&ModelName, Version, &Absent)> {
        self.absent
            .iter()
            .flat_map(|(name, versions)| versions.iter().map(move |(version, state)| (name, *version, state)))
    }

    /// Another number after every change.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn mark(&mut self, name: &ModelName, version: Version, state: Absent) {
        self.absent.entry(name.clone()).or_default().insert(version, state);
    }

    fn unmark(&mut self, name: &ModelName, version: Version) {
        if let Some(versions) = self.absent.get_mut(name) {
            versions.remove(&version);
            if versions.is_empty() {
                self.absent.remove(name);
            }
        }
    }

    fn replace(&mut self, name: &ModelName, replacement: &Replacement<'_>) {
        let before = self.by_name.get(name).cloned().unwrap_or_default();
        let mut after = Versions::new();
        for (version, state) in before.iter() {
            if replacement.kept.contains(version) {
                after.insert(*version, state.clone());
            }
        }
        for model in replacement.fresh {
            after.insert(model.facts.version, ModelState::Ready(Arc::clone(model)));
        }
        self.absent.remove(name);
        for version in before.keys().filter(|version| !after.contains_key(version)) {
            self.mark(name, *version, Absent::Unloading);
        }
        self.by_name.insert(name.clone(), Arc::new(after));
    }

    /// True when there are models and every one is ready.
    pub fn all_ready(&self) -> bool {
        !self.by_name.is_empty() && self.all().all(|(_, _, state)| state.ready().is_some())
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
        self.change(|models| {
            for &(name, version) in versions {
                let known = models.by_name.entry(name.clone()).or_default();
                Arc::make_mut(known).insert(version, state.clone());
            }
            models.started |= models.all_ready();
        });
    }

    /// Notes how it stands with versions that do not serve.
    pub(super) fn mark(&self, name: &ModelName, versions: &[Version], state: &Absent) {
        self.change(|models| {
            for version in versions {
                models.mark(name, *version, state.clone());
            }
        });
    }

    /// Tells nothing of a version any more.
    pub(super) fn unmark(&self, name: &ModelName, version: Version) {
        self.change(|models| models.unmark(name, version));
    }

    /// What was being loaded could not be.
    pub(super) fn end_loading(&self, name: &ModelName, reason: &str) {
        self.change(|models| {
            for state in models.absent.get_mut(name).into_iter().flat_map(BTreeMap::values_mut) {
                if *state == Absent::Loading {
                    *state = Absent::Unavailable(reason.to_owned());
                }
            }
        });
    }

    /// Changes in one step what of a model serves; false when the process ends.
    pub(super) fn replace(&self, name: &ModelName, replacement: &Replacement<'_>) -> bool {
        self.change(|models| models.replace(name, replacement))
    }

    /// Takes a model out of service: its versions are told as being unloaded.
    pub(super) fn remove(&self, name: &ModelName) {
        self.change(|models| {
            let versions = models.by_name.remove(name).unwrap_or_default();
            for version in versions.keys() {
                models.mark(name, *version, Absent::Unloading);
            }
        });
    }

    /// Tells of every change.
    pub fn changes(&self) -> tokio::sync::watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Drops every model: their queues go, so that sessions end before the runtime does.
    pub fn clear(&self) {
        self.models.store(Arc::new(Models { is_closed: true, ..Models::default() }));
        self.changed.send_replace(());
    }

    fn change(&self, change: impl Fn(&mut Models)) -> bool {
        let before = self.models.rcu(|models| {
            let mut changed = Models::clone(models);
            if !models.is_closed {
                change(&mut changed);
                changed.generation += 1;
            }
            changed
        });
        self.changed.send_replace(());
        !before.is_closed
    }
}
