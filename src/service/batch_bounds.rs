//! How large a batch may get: what the manifest says, else a default.

use std::num::NonZero;

use super::CPU;
use crate::model::{Manifest, ProviderKind};
use crate::task::Task;

/// Default for `batching.max_batch_size`, rows.
const ROWS: usize = 32;
/// The largest that is tried on a GPU, of which warm-up chooses the best. TensorRT sets memory aside for the largest
/// shape of an engine.
const ON_CUDA: usize = 256;
const ON_TENSORRT: usize = 64;
/// Default for `batching.max_batch_tokens` of texts on a CPU. A row's share of the cost stops falling far
/// below it (docs/performance/memory.md), and the memory that a session holds grows with it.
const CPU_TOKENS: usize = 2_048;

/// Bounds of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchBounds {
    /// Most rows.
    pub(super) rows: usize,
    /// Most rows times tokens of the longest, where rows have tokens.
    pub(super) tokens: Option<usize>,
}

impl BatchBounds {
    pub(super) fn of(manifest: &Manifest, task: &Task, (provider, device): (ProviderKind, &str)) -> Self {
        let tokens = manifest.batching.max_batch_tokens.map(NonZero::get);
        let has_default = device == CPU && task.has_tokens();
        Self { rows: Self::rows(manifest, provider), tokens: tokens.or(has_default.then_some(CPU_TOKENS)) }
    }

    /// Most rows on this provider.
    pub(super) fn rows(manifest: &Manifest, provider: ProviderKind) -> usize {
        let default = match provider {
            ProviderKind::Cpu | ProviderKind::Openvino => ROWS,
            ProviderKind::Cuda => ON_CUDA,
            ProviderKind::Tensorrt => ON_TENSORRT,
        };
        manifest.batching.max_batch_size.map_or(default, NonZero::get)
    }

    /// Rows of `width` tokens that a run takes; one always fits.
    pub(super) fn rows_of(&self, width: usize) -> usize {
        self.tokens.map_or(self.rows, |tokens| self.rows.min(tokens / width.max(1))).max(1)
    }
}
