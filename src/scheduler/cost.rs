//! What a model's runs cost, learnt at warm-up and kept current by every run.
//!
//! Two curves describe it: how long one row runs alone, by its width (tokens, or elements where
//! shapes are free), and how dear a token is in a run of so many tokens, rows times width. A run of `n`
//! rows of width `w` takes about `n * alone(w) * dear(n * w) / dear(w)`: what company brings depends on all
//! that is in the run, so that two long texts are as good a batch as ten short ones. Both are kept at
//! powers of two and are straight in between, so that nothing is assumed of their form: forests gain up
//! to any size, transformers on a CPU are past their best at some hundred tokens already. Where batches are
//! filled up to buckets, a run costs what its bucket does.

use std::time::Duration;

use super::buckets::Buckets;

/// Powers of two of widths that are told apart.
const WIDTHS: usize = 24;
/// Powers of two of rows times width.
const TOTALS: usize = 32;
/// The weight of a new run in what a row alone costs.
const WEIGHT: f64 = 0.1;
/// Its weight in the other curve, which is a property of the graph and changes little.
const DEAR_WEIGHT: f64 = 0.05;
/// As many runs as a measurement at warm-up stands for.
const SETTLED: u32 = 6;
/// A run counts as at most this many times what was expected: one that was interrupted for long by
/// other work says little.
const MOST: f64 = 8.0;
/// What is shorter or longer than these is taken to be so long: no sum of it leaves the range of a time.
const LEAST_SECONDS: f64 = 1e-9;
const MOST_SECONDS: f64 = 3_600.0;
/// A batch size whose rows cost at most this much more than the cheapest is as good.
const AS_GOOD: f64 = 1.03;
/// A run of at most this is short: less than what handing it to another thread costs the caller.
const SHORT: f64 = 100e-6;
/// Runs before anything is concluded from their length.
const ENOUGH: u32 = 16;
/// The weight of a new run in the share of long ones.
const LONG_WEIGHT: f64 = 0.01;
/// Above this share of long runs they are not short any more. Some are long because the thread was
/// taken off its core, which says nothing of the model: on busy cores one in ten, and leaving the runs to
/// workers then makes the cores busier still.
const LONG_SHARE: f64 = 0.25;

/// A run that was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Rows in it.
    pub rows: usize,
    /// Width of a row, padding included: tokens, or elements; 1 where all rows are of one shape.
    pub width: usize,
    /// How long it took.
    pub took: Duration,
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, Default)]
struct Point {
    at: f64,
    value: f64,
    runs: u32,
}

impl Point {
    fn observe(&mut self, at: f64, value: f64, weight: f64) {
        self.runs = self.runs.saturating_add(1);
        let weight = weight.max(1.0 / f64::from(self.runs));
        self.at += (at - self.at) * weight;
        self.value += (value - self.value) * weight;
    }
}

/// The two curves, and whether runs are short.
#[derive(Clone, Debug, Default)]
pub(super) struct CostModel {
    alone: [Point; WIDTHS],
    /// Relative: only the ratio of two of its values means something.
    dear: [Point; TOTALS],
    runs: u32,
    long_share: f64,
    buckets: Buckets,
}

#[expect(clippy::cast_precision_loss, reason = "rows and widths are small")]
fn float(number: usize) -> f64 {
    number.max(1) as f64
}

fn place(number: usize, places: usize) -> usize {
    (number.max(1).ilog2() as usize).min(places - 1)
}

impl CostModel {
    /// A model of what warm-up measured; of two measurements of one row alone the later one counts.
    pub(super) fn new(measured: &[Measured]) -> Self {
        let mut cost = Self::default();
        for run in measured {
            let seconds = run.took.as_secs_f64().clamp(LEAST_SECONDS, MOST_SECONDS);
            if run.rows <= 1 {
                cost.alone[place(run.width, WIDTHS)] =
                    Point { at: float(run.width), value: seconds, runs: 1 };
            } else {
                cost.learn(run.rows, run.width, seconds);
            }
        }
        // Warm-up gives the shortest of several runs: one later run moves it, and does not replace it.
        for point in cost.alone.iter_mut().chain(&mut cost.dear).filter(|point| point.runs > 0) {
            point.runs = point.runs.max(SETTLED);
        }
        cost
    }

    /// The same for batches that are filled up to `buckets`.
    pub(super) fn with_buckets(self, buckets: Buckets) -> Self {
        Self { buckets, ..self }
    }

    /// Takes a run of real requests into account.
    pub(super) fn observe(&mut self, run: Measured) {
        let seconds = run.took.as_secs_f64();
        let is_long = f64::from(u8::from(seconds > SHORT));
        self.long_share = self.long_share.mul_add(1.0 - LONG_WEIGHT, is_long * LONG_WEIGHT);
        self.runs = self.runs.saturating_add(1);
        self.learn(run.rows, run.width, seconds);
    }

    fn learn(&mut self, rows: usize, width: usize, seconds: f64) {
        let (rows, width) = (self.buckets.rows(rows), self.buckets.width(width));
        let seconds = seconds.clamp(LEAST_SECONDS, MOST_SECONDS);
        let expected = self.seconds(rows, width);
        let seconds = expected.map_or(seconds, |expected| seconds.min(expected * MOST));
        let of_one = seconds / float(rows);
        if rows > 1
            && let Some(alone) = self.alone(width)
        {
            let first = place(width, TOTALS);
            if self.dear.iter().all(|point| point.runs == 0) {
                self.dear[first] = Point { at: float(width), value: 1.0, runs: 1 };
            }
            let total = rows.saturating_mul(width.max(1));
            let dear = (of_one / alone).min(MOST) * self.dear(width);
            self.dear[place(total, TOTALS)].observe(float(total), dear, DEAR_WEIGHT);
        }
        let share = self.share(rows, width);
        self.alone[place(width, WIDTHS)].observe(float(width), of_one / share, WEIGHT);
    }

    /// Seconds that a run of `rows` rows of `width` takes; none before anything was measured.
    pub(super) fn seconds(&self, rows: usize, width: usize) -> Option<f64> {
        let (rows, width) = (self.buckets.rows(rows), self.buckets.width(width));
        let seconds = float(rows) * self.alone(width)? * self.share(rows, width);
        Some(seconds.min(MOST_SECONDS))
    }

    /// Seconds of one row of `width` by itself.
    pub(super) fn alone(&self, width: usize) -> Option<f64> {
        interpolated(&self.alone, float(self.buckets.width(width)), proportional)
    }

    /// How dear a token, or an element, is in a run of so many. Below all runs of several rows, single rows
    /// tell.
    fn dear(&self, total: usize) -> f64 {
        let of_one = |at: f64| interpolated(&self.alone, at, proportional).map(|seconds| seconds / at);
        let beyond = |nearest: Point, at: f64| match (of_one(at), of_one(nearest.at)) {
            (Some(here), Some(there)) if at < nearest.at => nearest.value * here / there,
            _ => nearest.value,
        };
        interpolated(&self.dear, float(total), beyond).unwrap_or(1.0)
    }

    /// What a row of `width` costs in a batch of `rows`, as a share of what it costs alone.
    fn share(&self, rows: usize, width: usize) -> f64 {
        self.share_of(rows, width, self.dear(width))
    }

    /// The same where it is known how dear a token is in a row alone.
    fn share_of(&self, rows: usize, width: usize, alone: f64) -> f64 {
        if rows <= 1 {
            return 1.0;
        }
        let share = self.dear(rows.saturating_mul(width.max(1))) / alone;
        // That a row costs more in company than alone is noise: believed, no batch would ever show better.
        share.clamp(f64::MIN_POSITIVE, 1.0)
    }

    /// The fewest rows of `width` whose batch is as good as the best, at most `most`.
    pub(super) fn best_rows(&self, most: usize, width: usize) -> usize {
        let best = self.best_of_any(most, self.buckets.width(width));
        self.buckets.filled(best).unwrap_or(best)
    }

    /// `best`, or less where so many rows wait that two runs, of which the first fills a bucket, leave them
    /// done earlier than one that is filled up.
    pub(super) fn rows_that_pay(&self, waiting: usize, best: usize, width: usize) -> usize {
        let rows = waiting.min(best);
        let Some(filled) = self.buckets.filled(rows).filter(|&filled| filled < rows) else { return best };
        let seconds = |rows| self.seconds(rows, width).unwrap_or(0.0);
        if seconds(filled) + seconds(rows - filled) < seconds(rows) { filled } else { best }
    }

    /// The shapes that runs are filled up to.
    pub(super) fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    /// The best rows where every size is taken as it is.
    fn best_of_any(&self, most: usize, width: usize) -> usize {
        if self.dear.iter().all(|point| point.runs == 0) {
            return most;
        }
        // One for each power of two up to `most`: this is asked for every run.
        let mut shares = [1.0; usize::BITS as usize];
        let sizes = most.checked_ilog2().map_or(0, |power| power as usize + 1);
        let alone = self.dear(width);
        for (power, share) in shares[..sizes].iter_mut().enumerate() {
            *share = self.share_of(1 << power, width, alone);
        }
        let least = shares[..sizes].iter().copied().fold(1.0, f64::min);
        if least >= 1.0 / AS_GOOD {
            // Batches bring nothing; they cost nothing either, and save what surrounds a run.
            return most.min(2);
        }
        let found = shares[..sizes].iter().position(|share| *share <= least * AS_GOOD);
        // A size stands for all up to the next one.
        found.map_or(most, |power| ((1_usize << power).saturating_mul(2) - 1).min(most))
    }

    /// The share of a row of `width` in the best batch of at most `most` rows.
    pub(super) fn best_share(&self, most: usize, width: usize) -> f64 {
        self.share(self.best_rows(most, width), width)
    }

    /// Whether runs have been short, all but a few.
    pub(super) fn is_short(&self) -> bool {
        self.runs >= ENOUGH && self.long_share < LONG_SHARE
    }
}

fn proportional(nearest: Point, at: f64) -> f64 {
    nearest.value * at / nearest.at
}

/// The curve through `points` at `at`, straight between two of them, by `beyond` outside of them.
fn interpolated(points: &[Point], at: f64, beyond: impl Fn(Point, f64) -> f64) -> Option<f64> {
    let mut below: Option<Point> = None;
    for point in points.iter().filter(|point| point.runs > 0) {
        if point.at >= at {
            return Some(match below {
                Some(below) if point.at > below.at => {
                    let part = (at - below.at) / (point.at - below.at);
                    (point.value - below.value).mul_add(part, below.value)
                }
                _ => beyond(*point, at),
            });
        }
        below = Some(*point);
    }
    below.map(|below| beyond(below, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rows: usize, width: usize, micros: u64) -> Measured {
        Measured { rows, width, took: Duration::from_micros(micros) }
    }

    fn close(actual: Option<f64>, micros: f64) -> bool {
        actual.is_some_and(|actual| (actual * 1e6 / micros - 1.0).abs() < 0.02)
    }

    #[test]
    fn warm_up_gives_both_curves() {
        let cost = CostModel::new(&[run(1, 32, 6_000), run(8, 32, 32_000), run(32, 32, 150_000)]);
        assert!(close(cost.seconds(1, 32), 6_000.0));
        assert!(close(cost.seconds(8, 32), 32_000.0));
        assert!(close(cost.alone(64), 12_000.0), "proportional where nothing is known");
        let longer = cost.seconds(8, 64).unwrap() * 1e6;
        assert!(
            (64_000.0..75_000.0).contains(&longer),
            "512 tokens, between those of 256 and 1024: {longer}"
        );
        assert_eq!(cost.best_rows(32, 32), 15, "8 rows are cheapest, and stand for up to 15");
        assert_eq!(cost.best_rows(4, 32), 4);
        let given = [run(1, 1, 100), run(8, 1, 400), run(1, 1, 1_000)];
        assert!(
            close(CostModel::new(&given).seconds(8, 1), 4_000.0),
            "a real input says more than a made one"
        );
        assert_eq!(CostModel::default().seconds(1, 1), None);
        assert_eq!(CostModel::default().best_rows(32, 1), 32);
    }

    #[test]
    fn runs_keep_it_current_and_one_outlier_does_not_turn_it() {
        let mut cost = CostModel::new(&[run(1, 1, 100), run(16, 1, 400)]);
        cost.observe(run(16, 1, 1_000_000));
        assert!(cost.seconds(16, 1).unwrap() < 2e-3, "{:?}", cost.seconds(16, 1));
        for _ in 0..300 {
            cost.observe(run(16, 1, 800));
        }
        assert!(close(cost.seconds(16, 1), 800.0), "{:?}", cost.seconds(16, 1));
    }

    #[test]
    fn a_warm_up_amid_other_work_is_corrected_by_a_few_runs() {
        // Larger batches seemed dearer by a row; in truth they cost half.
        let mut cost = CostModel::new(&[run(1, 1, 1_000), run(4, 1, 6_000), run(16, 1, 30_000)]);
        assert_eq!(cost.best_rows(32, 1), 2);
        assert!(cost.seconds(2, 1) <= Some(2.0 * cost.seconds(1, 1).unwrap()), "company does no harm");
        for _ in 0..20 {
            cost.observe(run(4, 1, 2_000));
        }
        assert_eq!(cost.best_rows(32, 1), 7);
    }

    #[test]
    fn no_run_makes_a_time_that_is_none() {
        let mut cost = CostModel::new(&[run(1, 1, 0), run(8, usize::MAX, u64::MAX)]);
        cost.observe(run(usize::MAX, usize::MAX, u64::MAX));
        cost.observe(run(32, 1, u64::MAX));
        for (rows, width) in [(1, 1), (32, 1), (usize::MAX, usize::MAX), (0, 0)] {
            let seconds = cost.seconds(rows, width).unwrap();
            assert!((0.0..=MOST_SECONDS).contains(&seconds), "{rows} x {width}: {seconds}");
        }
        assert!((1..=32).contains(&cost.best_rows(32, 1)));
    }

    #[test]
    fn what_counts_is_what_is_in_the_run() {
        // A transformer at its best at 256 tokens, as 32 short rows or 2 long ones.
        let micros = |tokens: usize| if tokens <= 256 { 2_000 + 60 * tokens } else { 80 * tokens };
        let runs = [(1, 8), (8, 8), (1, 32), (2, 32), (4, 32), (8, 32), (16, 32), (32, 32), (1, 128)];
        let runs = runs.map(|(rows, width)| run(rows, width, micros(rows * width) as u64));
        let cost = CostModel::new(&runs);
        assert_eq!(cost.best_rows(32, 8), 32, "as many as may be");
        assert_eq!(cost.best_rows(32, 32), 15);
        assert_eq!(cost.best_rows(32, 128), 3);
        assert!(cost.seconds(2, 128) < cost.seconds(1, 128).map(|alone| 2.0 * alone));
    }

    #[test]
    fn a_run_costs_what_its_bucket_does_and_buckets_are_filled_where_that_pays() {
        let runs = [(1, 100), (2, 110), (4, 120), (8, 300), (16, 900)].map(|(rows, us)| run(rows, 1, us));
        let cost = CostModel::new(&runs).with_buckets(Buckets::new([1, 2, 4, 8, 16], []));
        assert!(close(cost.seconds(3, 1), 120.0) && close(cost.seconds(5, 1), 300.0));
        assert_eq!(cost.best_rows(16, 1), 4, "the cheapest row, and not 5 to 7, which cost as 8");
        assert_eq!(cost.rows_that_pay(3, 4, 1), 4, "three are filled up to four");
        assert_eq!(cost.rows_that_pay(5, 16, 1), 4, "four and one take 220 us, filled up to eight 300");
        assert_eq!(cost.rows_that_pay(8, 16, 1), 16);
        let mut learning = cost.clone();
        for _ in 0..200 {
            learning.observe(run(3, 1, 240));
        }
        assert!(close(learning.seconds(4, 1), 240.0), "{:?}", learning.seconds(4, 1));
    }

    #[test]
    fn batches_that_bring_nothing_stay_small() {
        let cost = CostModel::new(&[run(1, 128, 19_000), run(8, 128, 152_000), run(32, 128, 620_000)]);
        assert_eq!(cost.best_rows(32, 128), 2);
    }

    #[test]
    fn runs_are_short_until_too_many_are_not() {
        let mut cost = CostModel::default();
        for _ in 0..ENOUGH {
            assert!(!cost.is_short());
            cost.observe(run(1, 1, 9));
        }
        assert!(cost.is_short());
        for index in 0..200 {
            cost.observe(run(1, 1, if index % 8 == 0 { 5_000 } else { 9 }));
        }
        assert!(cost.is_short(), "threads are taken off their cores");
        for index in 0..200 {
            cost.observe(run(1, 1, if index % 2 == 0 { 5_000 } else { 9 }));
        }
        assert!(!cost.is_short());
    }
}
