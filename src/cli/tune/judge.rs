//! Whether a candidate is faster than the present settings, or whether that is noise. Pure.

use serde::Serialize;

/// Fewer rounds decide nothing: five of five by chance happen once in 32 times.
pub(super) const FEWEST_ROUNDS: usize = 5;
/// A gain below this is not worth a change.
const LEAST_GAIN: f64 = 1.03;
/// The slowest answers may become slower by this, which is about what they vary by.
const MOST_P99: f64 = 1.10;

/// What one round found for one setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Sample {
    /// At saturation.
    pub(super) rows_per_second: f64,
    /// CPU time of the whole process for each row, at saturation.
    pub(super) cpu_us_per_row: f64,
    /// At a moderate load, from when a request was due.
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// The comparison of a candidate with the present settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Verdict {
    pub(super) is_gain: bool,
    /// Rows per second over those of the present settings in the same round: median and bounds.
    pub(super) gain: Spread,
    /// The same of the p99.
    pub(super) p99: Spread,
    /// In words.
    pub(super) reason: String,
}

/// Median, lowest and highest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) lowest: f64,
    pub(super) highest: f64,
}

impl Spread {
    /// Of any numbers; zeros of none.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() {
            0 => return Self::default(),
            len if len % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        };
        Self { median, lowest: sorted[0], highest: sorted[sorted.len() - 1] }
    }
}

/// Compares round by round. Rounds that chose the candidate among others must not be among these:
/// the best of several is too good by chance.
pub(super) fn judge(now: &[Sample], candidate: &[Sample]) -> Verdict {
    let pairs = || now.iter().zip(candidate);
    let ratio = |of: fn(&Sample) -> f64| {
        Spread::of(pairs().map(move |(now, other)| if of(now) > 0.0 { of(other) / of(now) } else { 0.0 }))
    };
    let gain = ratio(|sample| sample.rows_per_second);
    let p99 = ratio(|sample| sample.p99_ms);
    let rounds = now.len().min(candidate.len());
    let shown = format!("rows/s x {:.3} in the median, x {:.3} in the worst round", gain.median, gain.lowest);
    let (is_gain, reason) = if rounds < FEWEST_ROUNDS {
        (false, format!("{rounds} rounds, fewer than {FEWEST_ROUNDS}, decide nothing"))
    } else if gain.lowest <= 1.0 || gain.median < LEAST_GAIN {
        (false, format!("the gain is noise: {shown}"))
    } else if p99.median > MOST_P99 {
        (false, format!("{shown}, but the p99 at a moderate load x {:.3}", p99.median))
    } else {
        (true, format!("a gain: {shown}; p99 at a moderate load x {:.3}", p99.median))
    };
    Verdict { is_gain, gain, p99, reason }
}

/// The rule, for the report.
pub(super) fn rule() -> String {
    format!(
        "a change is proposed when its rows/s are higher in each of at least {FEWEST_ROUNDS} rounds, by {:.0} % or more \
         in the median, and its p99 at a moderate load is at most {:.0} % higher",
        (LEAST_GAIN - 1.0) * 100.0,
        (MOST_P99 - 1.0) * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(rates: &[f64], p99_ms: f64) -> Vec<Sample> {
        rates.iter().map(|&rows_per_second| Sample { rows_per_second, p99_ms, ..Sample::default() }).collect()
    }

    #[test]
    fn a_gain_must_show_in_each_round_and_in_the_median() {
        let now = samples(&[100.0; 5], 1.0);
        let is_gain = |rates: &[f64]| judge(&now, &samples(rates, 1.0)).is_gain;
        assert!(is_gain(&[104.0, 105.0, 103.0, 104.0, 101.0]));
        assert!(!is_gain(&[140.0, 140.0, 140.0, 140.0, 99.0]), "one round was slower");
        assert!(!is_gain(&[102.0; 5]), "two percent");
        assert!(!is_gain(&[200.0; 4]), "four rounds");
        assert!(!is_gain(&[]));
        let noise = judge(&now, &samples(&[100.0, 101.0, 99.0, 102.0, 98.0], 1.0));
        assert!(noise.reason.starts_with("the gain is noise"), "{}", noise.reason);
    }

    #[test]
    fn the_present_settings_never_lose_to_themselves() {
        let now = samples(&[100.0, 130.0, 80.0, 90.0, 120.0], 1.0);
        assert!(!judge(&now, &now).is_gain);
    }

    #[test]
    fn throughput_does_not_buy_slow_answers() {
        let now = samples(&[100.0; 5], 1.0);
        let slower = judge(&now, &samples(&[150.0; 5], 1.3));
        assert!(!slower.is_gain && slower.reason.contains("p99"), "{}", slower.reason);
        assert!(judge(&now, &samples(&[150.0; 5], 1.05)).is_gain);
    }

    #[test]
    fn medians_and_bounds() {
        let spread = Spread::of([3.0, 1.0, 2.0, 10.0].into_iter());
        assert_eq!(spread, Spread { median: 2.5, lowest: 1.0, highest: 10.0 });
        assert_eq!(Spread::of(std::iter::empty()), Spread::default());
    }
}
