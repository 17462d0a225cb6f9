//! Histograms, with the last sampled observation of each bucket as its exemplar.
//!
//! The values are the `prometheus` crate's. Invariant: an observation outside of a sampled span costs a branch more than
//! the crate's own, and one within passes a slot over that somebody else is using.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanContext, SpanId, TraceId};
use prometheus::core::Metric as _;
use prometheus::{HistogramOpts, proto};

/// A span that is exported, in which something is observed at a moment that all its observations share: a clock for
/// each of them would cost more than they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampledSpan {
    trace: TraceId,
    span: SpanId,
    at: SystemTime,
}

impl SampledSpan {
    /// The span of these ids, which is exported, now.
    pub fn new(trace: TraceId, span: SpanId) -> Self {
        Self { trace, span, at: SystemTime::now() }
    }

    /// The span of a context; none where it is not sampled.
    pub fn of(context: &SpanContext) -> Option<Self> {
        context.is_sampled().then(|| Self::new(context.trace_id(), context.span_id()))
    }
}

/// One observation of many, and where to look it up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Exemplar {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    pub(super) value: f64,
    /// Since the epoch.
    pub(super) at: Duration,
}

/// A histogram. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    values: prometheus::Histogram,
    exemplars: Arc<Exemplars>,
}

#[derive(Debug)]
struct Exemplars {
    bounds: &'static [f64],
    /// A slot a bucket, that without a bound included; made by the first sampled observation.
    slots: OnceLock<Box<[Mutex<Option<Exemplar>>]>>,
}

impl Histogram {
    /// # Errors
    /// The bounds do not rise, or the name is none.
    pub(super) fn new(name: &str, help: &str, bounds: &'static [f64]) -> prometheus::Result<Self> {
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        let values = prometheus::Histogram::with_opts(options)?;
        Ok(Self { values, exemplars: Arc::new(Exemplars { bounds, slots: OnceLock::new() }) })
    }

    /// Counts `value`.
    pub(super) fn observe(&self, value: f64) {
        self.values.observe(value);
    }

    /// Counts `value`; within a sampled span it becomes the exemplar of its bucket.
    pub(super) fn observe_in(&self, value: f64, span: Option<SampledSpan>) {
        // First the value: no bucket has an exemplar before it has a count.
        self.values.observe(value);
        if let Some(span) = span {
            self.exemplars.note(value, span);
        }
    }

    /// What was counted.
    pub(super) fn read(&self) -> proto::Metric {
        self.values.metric()
    }

    /// The exemplar of the bucket at this place.
    pub(super) fn exemplar(&self, bucket: usize) -> Option<Exemplar> {
        let slot = self.exemplars.slots.get()?.get(bucket)?;
        *slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exemplars {
    fn note(&self, value: f64, span: SampledSpan) {
        let made = || (0..=self.bounds.len()).map(|_| Mutex::default()).collect();
        let slots = self.slots.get_or_init(made);
        let bucket = self.bounds.iter().position(|&bound| value <= bound).unwrap_or(self.bounds.len());
        // Where another request or a scrape is at it, that one's will do.
        if let Ok(mut slot) = slots[bucket].try_lock() {
            *slot = Some(Exemplar {
                trace: span.trace.to_bytes(),
                span: span.span.to_bytes(),
                value,
                at: span.at.duration_since(UNIX_EPOCH).unwrap_or_default(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(number: u8) -> SampledSpan {
        SampledSpan::new(TraceId::from_bytes([number; 16]), SpanId::from_bytes([number; 8]))
    }

    #[test]
    fn each_bucket_keeps_its_last_sampled_observation() {
        let histogram = Histogram::new("h", "help", &[1.0, 2.0]).unwrap();
        histogram.observe_in(0.5, None);
        histogram.observe(0.5);
        assert!(histogram.exemplars.slots.get().is_none());
        for (value, number) in [(0.5, 1), (1.0, 2), (1.5, 3), (7.0, 4), (f64::INFINITY, 5)] {
            histogram.observe_in(value, Some(span(number)));
        }
        histogram.observe_in(0.1, None);
        let kept: Vec<_> = (0..4).map(|bucket| histogram.exemplar(bucket)).collect();
        let kept: Vec<_> = kept.iter().map(|kept| kept.map(|kept| (kept.value, kept.span[0]))).collect();
        assert_eq!(kept, [Some((1.0, 2)), Some((1.5, 3)), Some((f64::INFINITY, 5)), None]);
        assert_eq!(histogram.read().get_histogram().get_sample_count(), 8);
    }

    #[test]
    fn a_slot_in_use_is_passed_over() {
        let histogram = Histogram::new("h", "help", &[1.0]).unwrap();
        histogram.observe_in(0.5, Some(span(1)));
        let slots = histogram.exemplars.slots.get().unwrap();
        let in_use = slots[0].lock().unwrap();
        histogram.observe_in(0.6, Some(span(2)));
        drop(in_use);
        assert_eq!(histogram.exemplar(0).map(|kept| kept.span[0]), Some(1));
        assert_eq!(histogram.read().get_histogram().get_sample_count(), 2);
    }

    /// Ids and value of an exemplar come from one observation, however many are made at a time.
    #[test]
    fn exemplars_are_whole() {
        let histogram = Histogram::new("h", "help", &[]).unwrap();
        std::thread::scope(|scope| {
            for number in 1..=4_u8 {
                let histogram = &histogram;
                scope.spawn(move || {
                    for _ in 0..10_000 {
                        histogram.observe_in(f64::from(number), Some(span(number)));
                    }
                });
            }
            for _ in 0..10_000 {
                if let Some(kept) = histogram.exemplar(0) {
                    let number = kept.span[0];
                    assert_eq!((kept.trace, kept.span), ([number; 16], [number; 8]));
                    assert!((kept.value - f64::from(number)).abs() < 1e-9);
                }
            }
        });
        assert_eq!(histogram.read().get_histogram().get_sample_count(), 40_000);
    }

    #[test]
    fn a_context_that_is_not_sampled_is_no_sampled_span() {
        use opentelemetry::trace::{TraceFlags, TraceState};
        let of = |flags| {
            let (trace, span) = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]));
            SampledSpan::of(&SpanContext::new(trace, span, flags, false, TraceState::NONE))
        };
        assert_eq!(of(TraceFlags::NOT_SAMPLED), None);
        let sampled = of(TraceFlags::SAMPLED).map(|it| (it.trace, it.span));
        assert_eq!(sampled, Some((TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]))));
    }
}
