//! Whether the process is alive, has started, and is ready: what probes ask.

use serde::Serialize;

use super::{ErrorCode, ModelState, Service, ServiceError};
use crate::shutdown::Phase;

/// How far one version of a model has come.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct ModelHealth {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// `loading`, `ready` or `failed`.
    pub state: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a probe is told.
#[derive(Clone, Debug)]
pub struct Health {
    /// None = good.
    pub problem: Option<ServiceError>,
    /// Every version of every model.
    pub models: Vec<ModelHealth>,
}

impl Service {
    /// Ready to serve: every model is, and the process is not on its way out.
    pub fn readiness(&self) -> Health {
        let models = self.registry.models();
        let problem = if self.shutdown.phase() > Phase::Serving {
            Some(ServiceError::draining())
        } else if models.all_ready() {
            None
        } else if models.started() && models.names().next().is_none() {
            Some(ServiceError::new(ErrorCode::NotReady, "no model is loaded: all were unloaded"))
        } else {
            Some(ServiceError::new(ErrorCode::NotReady, "not every model is loaded yet"))
        };
        Health { problem, models: self.model_health() }
    }

    /// Alive: true unless a worker is stuck. Depends on no model.
    pub fn liveness(&self) -> Health {
        let stuck = self.stuck_workers();
        let problem = (stuck > 0).then(|| {
            let detail = format!("workers that have not returned from a run: {stuck}");
            ServiceError::new(ErrorCode::NotReady, detail)
        });
        Health { problem, models: self.model_health() }
    }

    /// Started: true for ever once the first load ended well.
    pub fn startup(&self) -> Health {
        let started = self.registry.models().started();
        let problem =
            (!started).then(|| ServiceError::new(ErrorCode::NotReady, "the first load has not ended yet"));
        Health { problem, models: self.model_health() }
    }

    fn model_health(&self) -> Vec<ModelHealth> {
        let models = self.registry.models();
        let health = models.all().map(|(name, version, state)| ModelHealth {
            name: name.to_string(),
            version: version.to_string(),
            state: state.text(),
            reason: match state {
                ModelState::Failed(reason) => Some(reason.clone()),
                ModelState::Loading | ModelState::Ready(_) => None,
            },
        });
        health.collect()
    }
}
