//! What a measurement counts, and the figures made from it.
//!
//! Pure: `drive.rs` fills a [`Tally`], everything after that only reads.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Digits that a recorded latency keeps.
const DIGITS: u8 = 3;

/// Latencies of good answers, and how many were not good.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Nanoseconds; made when the first one comes.
    latencies: Option<Histogram<u64>>,
    /// By status or kind of fault.
    errors: BTreeMap<String, u64>,
}

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Latency {
    pub(super) mean: f64,
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    #[serde(rename = "p99.9")]
    pub(super) p999: f64,
    pub(super) max: f64,
}

/// A point of the curve of latency over percentiles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// How many nines: 1 is the 90th percentile, 2 the 99th.
    pub(super) nines: f64,
    pub(super) milliseconds: f64,
}

impl Tally {
    /// An answer with a 2xx status came after this long.
    pub(super) fn good(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).max(1);
        if self.latencies.is_none() {
            self.latencies = Histogram::new(DIGITS).ok();
        }
        if let Some(latencies) = &mut self.latencies {
            // It grows as needed, so there is nothing that does not fit.
            let _fits = latencies.record(nanos);
        }
    }

    /// Something else came, or nothing.
    pub(super) fn bad(&mut self, kind: &str) {
        if let Some(count) = self.errors.get_mut(kind) {
            *count += 1;
        } else {
            self.errors.insert(kind.to_owned(), 1);
        }
    }

    /// Adds what another one has counted.
    pub(super) fn merge(&mut self, other: Self) {
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        match (&mut self.latencies, other.latencies) {
            (Some(ours), Some(theirs)) => {
                // Both grow as needed, so there is nothing that does not fit.
                let _fits = ours.add(&theirs);
            }
            (ours @ None, theirs) => *ours = theirs,
            (Some(_), None) => {}
        }
    }

    /// Good answers.
    pub(super) fn ok(&self) -> u64 {
        self.latencies.as_ref().map_or(0, Histogram::len)
    }

    /// What else there was.
    pub(super) fn errors(&self) -> &BTreeMap<String, u64> {
        &self.errors
    }

    /// The percentiles; zeros when nothing was good.
    pub(super) fn latency(&self) -> Latency {
        let Some(latencies) = self.latencies.as_ref() else { return Latency::default() };
        let at = |quantile: f64| milliseconds(latencies.value_at_quantile(quantile));
        Latency {
            mean: latencies.mean() / 1e6,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: milliseconds(latencies.max()),
        }
    }

    /// Latency over percentiles, as far out as there are answers to tell.
    pub(super) fn curve(&self) -> Vec<Point> {
        let Some(latencies) = self.latencies.as_ref() else { return Vec::new() };
        let furthest = per(1.0, latencies.len()).recip().log10();
        let steps = std::iter::successors(Some(0.0_f64), |nines| Some(nines + 0.1));
        let point = |nines: f64| {
            let quantile = 1.0 - 10.0_f64.powf(-nines);
            Point { nines, milliseconds: milliseconds(latencies.value_at_quantile(quantile)) }
        };
        steps.take_while(|nines| *nines <= furthest).map(point).collect()
    }
}

/// `value` for each of `count`; 0 when there is none.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(super) fn per(value: f64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { value / count as f64 }
}

/// `part` of `whole`; 0 when there is nothing.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(super) fn share(part: u64, whole: u64) -> f64 {
    per(part as f64, whole)
}

/// How many a second.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(super) fn rate(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

#[expect(clippy::cast_precision_loss, reason = "2^53 ns are three months")]
fn milliseconds(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= b.abs() * 2e-3
    }

    #[test]
    fn percentiles_of_a_known_series() {
        let mut tally = Tally::default();
        for milliseconds in 1..=1000 {
            tally.good(Duration::from_millis(milliseconds));
        }
        let latency = tally.latency();
        assert_eq!(tally.ok(), 1000);
        for (got, expected) in [
            (latency.p50, 500.0),
            (latency.p90, 900.0),
            (latency.p99, 990.0),
            (latency.p999, 999.0),
            (latency.max, 1000.0),
            (latency.mean, 500.5),
        ] {
            assert!(close(got, expected), "{got} for {expected}");
        }
    }

    #[test]
    fn errors_are_counted_apart_and_merged() {
        let (mut all, mut one) = (Tally::default(), Tally::default());
        one.bad("503");
        one.bad("503");
        one.good(Duration::from_micros(5));
        all.merge(one);
        let mut two = Tally::default();
        two.bad("closed");
        two.good(Duration::from_micros(7));
        all.merge(two);
        assert_eq!(all.ok(), 2);
        assert_eq!(all.errors(), &BTreeMap::from([("503".to_owned(), 2), ("closed".to_owned(), 1)]));
        assert!(close(all.latency().max, 0.007));
    }

    #[test]
    fn nothing_counted_gives_zeros() {
        let tally = Tally::default();
        assert_eq!(tally.latency(), Latency::default());
        assert!(tally.curve().is_empty());
        assert!(per(1.0, 0).abs() < f64::EPSILON);
        assert!(rate(1, Duration::ZERO).abs() < f64::EPSILON);
    }

    #[test]
    fn the_curve_ends_where_the_answers_do() {
        let mut tally = Tally::default();
        for micros in 1..=1000 {
            tally.good(Duration::from_micros(micros));
        }
        let curve = tally.curve();
        assert!(curve.windows(2).all(|pair| pair[0].milliseconds <= pair[1].milliseconds));
        assert!(curve.last().is_some_and(|point| point.nines <= 3.0 + 1e-9));
    }
}
