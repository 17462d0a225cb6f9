//! How large a batch may get: what the manifest says, else a default.

use std::num::NonZero;

use super::CPU;
use crate::model::Manifest;
use crate::task::Task;

/// Default for `batching.max_batch_size`, rows.
const ROWS: usize = 32;
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
    pub(super) fn of(manifest: &Manifest, task: &Task, device: &str) -> Self {
        let tokens = manifest.batching.max_batch_tokens.map(NonZero::get);
        let has_default = device == CPU && task.has_tokens();
        Self {
            rows: manifest.batching.max_batch_size.map_or(ROWS, NonZero::get),
            tokens: tokens.or(has_default.then_some(CPU_TOKENS)),
        }
    }

    /// Rows of `width` tokens that a run takes; one always fits.
    pub(super) fn rows_of(&self, width: usize) -> usize {
        self.tokens.map_or(self.rows, |tokens| self.rows.min(tokens / width.max(1))).max(1)
    }
}
