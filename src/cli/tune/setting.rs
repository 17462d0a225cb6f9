//! What can be chosen for a model, and which choices are measured.

use std::fmt;

use serde::Serialize;

use crate::model::{Precision, ProviderKind};

/// More rows in a batch than this gained nothing on any CPU that was tried.
const LARGEST_BATCH: usize = 128;

/// What decides the numbers that come out: provider, precision and graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Numerics {
    pub(super) provider: ProviderKind,
    pub(super) precision: Precision,
    /// Which of the variants given; none = the model itself.
    pub(super) variant: Option<usize>,
}

/// Sessions, and threads of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Shape {
    pub(super) instances: usize,
    pub(super) intra_threads: usize,
}

/// One way to run the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Setting {
    #[serde(flatten)]
    pub(super) numerics: Numerics,
    #[serde(flatten)]
    pub(super) shape: Shape,
    pub(super) max_batch_size: usize,
    pub(super) max_batch_tokens: Option<usize>,
}

impl Numerics {
    /// The precision as a manifest writes it.
    pub(super) const fn precision_name(self) -> &'static str {
        match self.precision {
            Precision::Fp32 => "fp32",
            Precision::Bf16 => "bf16",
            Precision::Fp16 => "fp16",
            Precision::Int8 => "int8",
        }
    }
}

impl fmt::Display for Numerics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.provider, self.precision_name())?;
        self.variant.map_or(Ok(()), |index| write!(f, " variant {}", index + 1))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}", self.instances, self.intra_threads)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {} rows", self.numerics, self.shape, self.max_batch_size)?;
        self.max_batch_tokens.map_or(Ok(()), |tokens| write!(f, ", {tokens} tokens"))
    }
}

/// Sessions times threads on `cores` cores, the likeliest first: all cores by single threads, then
/// wider sessions, then half of the sessions (for models that wait for memory rather than cores).
pub(super) fn shapes(cores: usize) -> Vec<Shape> {
    let cores = cores.max(1);
    let widths = || std::iter::successors(Some(1), |width| Some(width * 2)).take_while(move |&n| n <= cores);
    let full = widths().map(|intra_threads| Shape { instances: cores / intra_threads, intra_threads });
    let half = widths().map(|intra_threads| Shape { instances: cores / intra_threads / 2, intra_threads });
    let mut shapes: Vec<Shape> = full.chain(half.filter(|shape| shape.instances > 0)).collect();
    // Widths that are no power of two leave cores idle but for this one.
    let widest = Shape { instances: 1, intra_threads: cores };
    if !shapes.contains(&widest) {
        shapes.push(widest);
    }
    shapes
}

/// Batch sizes of a model whose rows may share a run: powers of two.
pub(super) fn batch_sizes() -> Vec<usize> {
    std::iter::successors(Some(1), |size| Some(size * 2)).take_while(|&size| size <= LARGEST_BATCH).collect()
}

/// The batch size to choose out of rates by batch size: the smallest that comes near the best, since
/// smaller batches answer sooner.
pub(super) fn smallest_near_best(rates: &[(usize, f64)]) -> Option<(usize, f64)> {
    const NEAR: f64 = 0.98;
    let best = rates.iter().map(|(_, rate)| *rate).max_by(f64::total_cmp)?;
    rates.iter().copied().filter(|(_, rate)| *rate >= best * NEAR).min_by_key(|(size, _)| *size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_never_exceed_the_cores_and_are_distinct() {
        for cores in [1, 2, 3, 4, 6, 16, 64] {
            let shapes = shapes(cores);
            assert!(shapes.iter().all(|shape| shape.instances * shape.intra_threads <= cores), "{shapes:?}");
            assert_eq!(shapes[0], Shape { instances: cores, intra_threads: 1 });
            assert!(shapes.contains(&Shape { instances: 1, intra_threads: cores }));
            for (index, shape) in shapes.iter().enumerate() {
                assert!(!shapes[..index].contains(shape), "{cores}: {shape} twice");
            }
        }
    }

    #[test]
    fn batches_are_powers_of_two() {
        assert_eq!(batch_sizes(), [1, 2, 4, 8, 16, 32, 64, 128]);
    }

    #[test]
    fn the_smallest_batch_near_the_best_is_chosen() {
        assert_eq!(smallest_near_best(&[(1, 50.0), (8, 99.0), (32, 100.0)]), Some((8, 99.0)));
        assert_eq!(smallest_near_best(&[(1, 50.0), (8, 97.0), (32, 100.0)]), Some((32, 100.0)));
        assert_eq!(smallest_near_best(&[]), None);
    }
}
