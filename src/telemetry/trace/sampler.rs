//! The sampler: the configured one, and a marker that overrules it.
//!
//! Batch spans and stage spans carry the marker in their context: whether they are recorded was
//! decided with the requests they belong to. Invariant: without the marker nothing is overruled.

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{ParentBasedSampler, Sampler, SamplingDecision, SamplingResult, ShouldSample};

use crate::telemetry::otel::{RootSampler, SamplerKind};

/// In a context: record this span, whatever the sampler says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decided;

/// The configured sampler, overruled where the decision was taken already.
#[derive(Clone, Debug)]
pub(super) struct ConfiguredSampler(Box<dyn ShouldSample>);

impl ConfiguredSampler {
    pub(super) fn new(kind: SamplerKind) -> Self {
        let root = match kind.root {
            RootSampler::On => Sampler::AlwaysOn,
            RootSampler::Off => Sampler::AlwaysOff,
            RootSampler::Ratio(ratio) => Sampler::TraceIdRatioBased(ratio),
        };
        Self(if kind.parent_based { Box::new(ParentBasedSampler::new(root)) } else { Box::new(root) })
    }
}

impl ShouldSample for ConfiguredSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        match parent {
            Some(context) if context.get::<Decided>().is_some() => SamplingResult {
                decision: SamplingDecision::RecordAndSample,
                attributes: Vec::new(),
                trace_state: context.span().span_context().trace_state().clone(),
            },
            _ => self.0.should_sample(parent, trace_id, name, kind, attributes, links),
        }
    }
}
