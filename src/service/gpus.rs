//! The GPUs that models run on: watched as soon as one serves there, and taken at their word when they say that they
//! are lost.

use std::sync::{Arc, Weak};

use super::recovery::Loss;
use super::{Model, ModelState, Service};
use crate::engine;
use crate::gpu::Visible;
use crate::telemetry::GpuWatch;

/// Critical errors after which the device, or all that is in its memory, is lost until it is reset. Others are of
/// the program that caused them, which may be another process. NVIDIA, "Xid Errors": uncorrectable memory (48, 64, 95,
/// 140), a halted microcontroller (62), a broken link between GPUs (74), off the bus (79), its system processor
/// (119, 120).
const FATAL: [u64; 9] = [48, 62, 64, 74, 79, 95, 119, 120, 140];

impl Service {
    /// Watches the GPUs of models that serve from now on. `visible` is what CUDA was told in the environment.
    pub fn watch_gpus(self: &Arc<Self>, visible: Visible) {
        let service = Arc::downgrade(self);
        let on_xid = move |index, xid| {
            tracing::error!(device = format!("cuda:{index}"), xid, "critical error of a GPU");
            if FATAL.contains(&xid)
                && let Some(service) = Weak::upgrade(&service)
            {
                engine::device_lost();
                service.gpu_lost(index);
            }
        };
        // Called once, before any model is loaded; a second call has no effect.
        drop(self.gpus.set(GpuWatch::new(&self.metrics, visible, on_xid)));
    }

    /// A model begins to serve on these.
    pub(super) fn gpus_in_use(&self, devices: &[u32]) {
        let Some(watch) = self.gpus.get() else { return };
        for index in devices.iter().filter_map(|&index| usize::try_from(index).ok()) {
            watch.watch(index);
        }
    }

    /// Takes every model out of service that runs on this device: loading it again shows whether it works.
    fn gpu_lost(&self, index: usize) {
        let models = self.registry.models();
        let runs_there = |model: &&Arc<Model>| {
            model.facts.cuda_devices.iter().any(|&device| usize::try_from(device) == Ok(index))
        };
        for model in models.all().filter_map(|(_, _, state)| ModelState::ready(state)).filter(runs_there) {
            let loss = Loss { name: model.facts.name.clone(), version: model.facts.version };
            // Who mends listens for as long as the service is there.
            drop(self.losses.0.send(loss));
        }
    }
}
