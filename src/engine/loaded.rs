//! A graph that was loaded, and what is to be told about it.

use std::time::Duration;

use super::placement::Placement;
use super::session::Session;
use crate::model::{ProviderKind, Signature};

/// A graph, loaded.
#[derive(Debug)]
pub struct LoadedGraph {
    /// Inputs and outputs.
    pub signature: Signature,
    /// At least one; each runs one batch at a time.
    pub sessions: Vec<Session>,
    /// The provider that is first in line for every node.
    pub provider: ProviderKind,
    /// What was asked for and could not be had, where the manifest allows a fallback.
    pub providers_note: Vec<String>,
    /// Where `provider` runs: `cpu`, `cuda:0`, `cuda:0+1`.
    pub device: String,
    /// CUDA's numbers of the devices; empty elsewhere.
    pub cuda_devices: Vec<u32>,
    /// How many of the graph's nodes each provider runs; empty where the runtime does not say.
    pub placement: Placement,
    /// Class labels found in the graph's classifiers; else empty.
    pub class_labels: Vec<String>,
    /// What the author wrote into the graph.
    pub metadata: GraphMetadata,
    /// Threads of one session inside a run.
    pub intra_threads: usize,
    /// How long loading took.
    pub load_time: Duration,
    /// By how much the process grew meanwhile; none where that is not known.
    pub memory_bytes: Option<i64>,
    /// The size of the file of weights that all sessions map, bytes; none where each has its own copy.
    pub shared_weights_bytes: Option<u64>,
}

impl LoadedGraph {
    /// True where its runs don't share the host's cores.
    pub const fn is_on_accelerator(&self) -> bool {
        matches!(self.provider, ProviderKind::Cuda | ProviderKind::Tensorrt)
    }
}

/// What a graph's author wrote about it; empty texts are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphMetadata {
    /// The tool that made the file.
    pub producer: Option<String>,
    /// The author's name space.
    pub domain: Option<String>,
    /// What the model is.
    pub description: Option<String>,
    /// The author's version.
    pub version: Option<i64>,
}

/// What of the graph an accelerator has no kernel for.
pub(super) fn left_to_the_cpu(provider: ProviderKind, placement: &Placement) -> Option<String> {
    let on_accelerator = matches!(provider, ProviderKind::Cuda | ProviderKind::Tensorrt);
    let cpu = *placement.get(ProviderKind::Cpu.name())?;
    let all: usize = placement.values().sum();
    let told = || {
        format!(
            "{cpu} of {all} nodes run on the CPU: {provider} has no kernel for them, or none that would pay"
        )
    };
    on_accelerator.then(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_an_accelerator_leaves_to_the_cpu_are_told() {
        let placed =
            |nodes: &[(&str, usize)]| nodes.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        let both: Placement = placed(&[("cuda", 280), ("cpu", 3)]);
        let said = left_to_the_cpu(ProviderKind::Cuda, &both).unwrap();
        assert!(said.starts_with("3 of 283 nodes run on the CPU: cuda has no kernel"), "{said}");
        assert_eq!(left_to_the_cpu(ProviderKind::Cuda, &placed(&[("cuda", 280)])), None);
        assert_eq!(left_to_the_cpu(ProviderKind::Cpu, &placed(&[("cpu", 3)])), None);
    }
}
