//! How many sessions a model gets, and how many threads each.
//!
//! On an accelerator two sessions a device, where their weights are not too large: each has a stream of its own, so
//! that the copies of one batch hide behind the other's kernels.
//!
//! On the CPU sessions times threads is the number of cores that the process may use: one thread a
//! session wastes least, and many sessions run many batches at once. A large graph gets fewer
//! sessions with more threads, since each session may hold its own copy of the weights: whether they can be
//! shared is known only after the load.

use std::num::NonZeroUsize;

use crate::model::{Execution, ProviderKind};

/// What all sessions of one model may hold of its weights, unless the manifest sets `instances`.
const WEIGHTS_BUDGET_BYTES: u64 = 2 << 30;

/// Batches under way at once on a device: one is copied while another computes.
const ON_DEVICE: usize = 2;

/// Sessions and threads of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Sessions, for each device.
    pub(super) instances: usize,
    /// Threads that one session uses inside a run.
    pub(super) intra_threads: usize,
}

impl Plan {
    /// What `execution` says, completed for a graph of `graph_bytes` on `cores` cores.
    pub(super) fn new(execution: &Execution, provider: ProviderKind, graph_bytes: u64, cores: usize) -> Self {
        let intra = execution.intra_threads.map(NonZeroUsize::get);
        let on_device = matches!(provider, ProviderKind::Cuda | ProviderKind::Tensorrt);
        let affordable = WEIGHTS_BUDGET_BYTES / graph_bytes.max(1);
        let affordable = usize::try_from(affordable).unwrap_or(usize::MAX);
        let instances = match execution.instances {
            Some(instances) => instances.get(),
            None if on_device => affordable.clamp(1, ON_DEVICE),
            None => (cores / intra.unwrap_or(1)).min(affordable).max(1),
        };
        let spare = if on_device { 1 } else { (cores / instances).max(1) };
        Self { instances, intra_threads: intra.unwrap_or(spare) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(instances: usize, intra: usize, bytes: u64, cores: usize) -> (usize, usize) {
        let execution = Execution {
            instances: NonZeroUsize::new(instances),
            intra_threads: NonZeroUsize::new(intra),
            ..Execution::default()
        };
        let plan = Plan::new(&execution, ProviderKind::Cpu, bytes, cores);
        (plan.instances, plan.intra_threads)
    }

    #[test]
    fn sessions_times_threads_is_the_cores() {
        assert_eq!(plan(0, 0, 1000, 4), (4, 1));
        assert_eq!(plan(0, 2, 1000, 4), (2, 2));
        assert_eq!(plan(1, 0, 1000, 4), (1, 4));
        assert_eq!(plan(3, 5, 1000, 4), (3, 5));
        assert_eq!(plan(0, 8, 1000, 4), (1, 8));
    }

    #[test]
    fn large_graphs_get_fewer_sessions_with_more_threads() {
        assert_eq!(plan(0, 0, 1 << 30, 8), (2, 4));
        assert_eq!(plan(0, 0, 1 << 40, 8), (1, 8));
    }

    #[test]
    fn devices_get_two_sessions_and_of_large_graphs_one() {
        let of = |bytes| Plan::new(&Execution::default(), ProviderKind::Cuda, bytes, 8);
        assert_eq!(of(1000), Plan { instances: 2, intra_threads: 1 });
        assert_eq!(of(2 << 30), Plan { instances: 1, intra_threads: 1 });
    }
}
