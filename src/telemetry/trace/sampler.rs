//! Which traces are recorded: by the caller's decision, and by a share that can be changed at run time.
//!
//! Batch and stage spans ask nobody: they go with the requests they belong to. Source: the specification's
//! `ParentBased` and `TraceIdRatioBased`, the latter by the lower 63 bits of the id as the SDKs have it, so that
//! services that sample the same share keep the same traces.

use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::trace::TraceId;

use crate::telemetry::otel::{RootSampler, SamplerKind};

/// 2^63: one more than the greatest number that an id gives.
const ALL: f64 = 9_223_372_036_854_775_808.0;

/// The configured sampler.
#[derive(Debug)]
pub(super) struct Sampler {
    is_parent_based: bool,
    /// The share's bits.
    ratio: AtomicU64,
}

impl Sampler {
    pub(super) fn new(kind: SamplerKind) -> Self {
        let ratio: f64 = match kind.root {
            RootSampler::On => 1.0,
            RootSampler::Off => 0.0,
            RootSampler::Ratio(ratio) => ratio,
        };
        Self { is_parent_based: kind.parent_based, ratio: AtomicU64::new(ratio.to_bits()) }
    }

    /// Whether a trace is recorded; `asked` is the caller's decision, where it took one.
    pub(super) fn decides(&self, asked: Option<bool>, trace: TraceId) -> bool {
        match asked {
            Some(asked) if self.is_parent_based => asked,
            _ => within(self.ratio(), trace),
        }
    }

    /// The share of traces that is recorded where no caller has decided, 0 to 1.
    pub(super) fn ratio(&self) -> f64 {
        f64::from_bits(self.ratio.load(Ordering::Relaxed))
    }

    pub(super) fn is_parent_based(&self) -> bool {
        self.is_parent_based
    }

    /// Changes the share.
    pub(super) fn set_ratio(&self, ratio: f64) {
        self.ratio.store(ratio.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
    }
}

fn within(ratio: f64, trace: TraceId) -> bool {
    let low = u128::from_be_bytes(trace.to_bytes()) & u128::from(u64::MAX);
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
    let place = (low >> 1) as f64;
    place < ratio * ALL || ratio >= 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(ratio: f64) -> Sampler {
        Sampler::new(SamplerKind { parent_based: true, root: RootSampler::Ratio(ratio) })
    }

    #[test]
    fn a_share_is_kept_and_can_be_changed() {
        let sampler = sampler(0.25);
        let kept = |sampler: &Sampler| {
            (0..20_000).filter(|_| sampler.decides(None, TraceId::from(fastrand::u128(1..)))).count()
        };
        let quarter = kept(&sampler);
        assert!((4_500..5_500).contains(&quarter), "{quarter}");
        for (ratio, expected) in [(0.0, 0), (1.0, 20_000), (7.0, 20_000), (-1.0, 0)] {
            sampler.set_ratio(ratio);
            assert_eq!(kept(&sampler), expected, "{ratio}");
        }
    }

    #[test]
    fn the_same_ids_are_kept_as_by_the_sdk() {
        use opentelemetry_sdk::trace::{SamplingDecision, ShouldSample};
        let sdk = opentelemetry_sdk::trace::Sampler::TraceIdRatioBased(0.3);
        for _ in 0..10_000 {
            let id = TraceId::from(fastrand::u128(1..));
            let kind = opentelemetry::trace::SpanKind::Server;
            let theirs = sdk.should_sample(None, id, "", &kind, &[], &[]).decision;
            assert_eq!(sampler(0.3).decides(None, id), theirs == SamplingDecision::RecordAndSample, "{id}");
        }
    }
}
