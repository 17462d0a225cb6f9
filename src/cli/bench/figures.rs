//! Figures that are read before and after a measurement: CPU time, and batches that were run.

use std::time::Duration;

use serde::Serialize;

/// The kernel's unit of CPU time in `/proc`.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a probe reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// CPU time of this process, seconds.
    pub(super) own_cpu: f64,
    /// CPU time of the server, where it can be asked.
    pub(super) server_cpu: Option<f64>,
    /// Rows run and batches run, where they can be asked.
    pub(super) batches: Option<(f64, f64)>,
    /// Batches run of at most so many rows, by the bounds of the histogram.
    pub(super) batch_sizes: Vec<(f64, f64)>,
}

/// Batches of one bucket of the histogram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Batches {
    /// Their rows, more than the bucket before: at most so many, none where there is no bound.
    #[serde(rename = "rows_at_most")]
    pub(super) rows: Option<u64>,
    pub(super) batches: u64,
}

impl Reading {
    /// This process' own CPU time, and what the metrics say.
    pub(super) fn of(metrics: Option<&str>) -> Self {
        let sum = |name: &str| metrics.and_then(|text| sum(text, name));
        Self {
            own_cpu: own_cpu(),
            server_cpu: sum("process_cpu_seconds_total"),
            batches: sum("inference_batch_size_sum").zip(sum("inference_batch_size_count")),
            batch_sizes: metrics.map(|text| buckets(text, "inference_batch_size_bucket")).unwrap_or_default(),
        }
    }

    /// The sizes of the batches run between the two readings; empty where they can't be asked.
    pub(super) fn batch_sizes(before: &Self, after: &Self) -> Vec<Batches> {
        let earlier = |bound: f64| {
            let found = before.batch_sizes.iter().find(|(other, _)| other.total_cmp(&bound).is_eq());
            found.map_or(0.0, |(_, count)| *count)
        };
        let mut below = 0.0;
        let mut sizes = Vec::new();
        for &(bound, count) in &after.batch_sizes {
            let up_to = count - earlier(bound);
            let rows = bound.is_finite().then(|| whole(bound));
            sizes.push(Batches { rows, batches: whole(up_to - below) });
            below = up_to;
        }
        sizes
    }

    /// Mean rows of the batches run between the two readings.
    pub(super) fn batch_size(before: &Self, after: &Self) -> Option<f64> {
        let ((rows, batches), (rows_after, batches_after)) = (before.batches?, after.batches?);
        let run = batches_after - batches;
        (run > 0.0).then(|| (rows_after - rows) / run)
    }
}

/// Which rows each bucket holds: `1`, `3-4`, `129+`.
pub(super) fn bucket_names(sizes: &[Batches]) -> Vec<String> {
    let mut from = 1;
    let mut names = Vec::new();
    for size in sizes {
        names.push(match size.rows {
            Some(rows) if rows <= from => rows.to_string(),
            Some(rows) => format!("{from}-{rows}"),
            None => format!("{from}+"),
        });
        from = size.rows.map_or(from, |rows| rows + 1);
    }
    names
}

/// CPU time of this process so far, in seconds; 0 where the kernel does not tell.
pub(in crate::cli) fn own_cpu() -> f64 {
    std::fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu_seconds(&stat)).unwrap_or(0.0)
}

/// CPU time between two readings for each of `count`, in microseconds.
pub(super) fn micros_per(before: f64, after: f64, count: u64) -> f64 {
    super::tally::per((after - before).max(0.0) * 1e6, count)
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The name in parentheses may hold anything.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let user: f64 = fields.nth(11)?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts; saturates")]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// The buckets of all series of a histogram, those with the same bound added, in the bounds' order.
fn buckets(metrics: &str, name: &str) -> Vec<(f64, f64)> {
    let mut found: Vec<(f64, f64)> = Vec::new();
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
    let bucket = |line: &str| -> Option<(f64, f64)> {
        let (labels, value) = line.rsplit_once('}')?;
        let (_, bound) = labels.rsplit_once("le=\"")?;
        let bound = bound.split('"').next()?;
        let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
        Some((bound, value.split_ascii_whitespace().next()?.parse().ok()?))
    };
    for (bound, count) in lines.filter_map(bucket) {
        match found.iter_mut().find(|(other, _)| other.total_cmp(&bound).is_eq()) {
            Some((_, sum)) => *sum += count,
            None => found.push((bound, count)),
        }
    }
    found.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    found
}

/// The sum of all series of `name` in the Prometheus text; none when there is no such series.
fn sum(metrics: &str, name: &str) -> Option<f64> {
    let value = |line: &str| -> Option<f64> {
        let rest = line.strip_prefix(name)?;
        let rest = match rest.strip_prefix('{') {
            Some(labels) => &labels[labels.rfind('}')? + 1..],
            None => rest.strip_prefix(' ')?,
        };
        rest.split_ascii_whitespace().next()?.parse().ok()
    };
    metrics.lines().filter_map(value).fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

/// The share of time that `cores` cores were busy.
pub(super) fn load(cpu_seconds: f64, elapsed: Duration, cores: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "few cores")]
    let available = elapsed.as_secs_f64() * cores as f64;
    if available > 0.0 { cpu_seconds / available } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUCKETS: &str = "inference_batch_size_bucket{model=\"a\",le=\"1\"} 3\n\
        inference_batch_size_bucket{model=\"a\",le=\"2\"} 5\n\
        inference_batch_size_bucket{model=\"a\",le=\"+Inf\"} 6\n\
        inference_batch_size_bucket{model=\"b\",le=\"1\"} 1\n\
        inference_batch_size_bucket{model=\"b\",le=\"2\"} 1\n\
        inference_batch_size_bucket{model=\"b\",le=\"+Inf\"} 1\n";

    #[test]
    fn batches_between_two_readings_by_their_rows() {
        let after = Reading::of(Some(BUCKETS));
        assert_eq!(after.batch_sizes, [(1.0, 4.0), (2.0, 6.0), (f64::INFINITY, 7.0)]);
        let batches = |rows, batches| Batches { rows, batches };
        let all = Reading::batch_sizes(&Reading::default(), &after);
        assert_eq!(all, [batches(Some(1), 4), batches(Some(2), 2), batches(None, 1)]);
        let sizes = vec![(1.0, 4.0), (2.0, 5.0), (f64::INFINITY, 5.0)];
        let before = Reading { batch_sizes: sizes, ..Reading::default() };
        let later = Reading::batch_sizes(&before, &after);
        assert_eq!(later, [batches(Some(1), 0), batches(Some(2), 1), batches(None, 1)]);
        assert_eq!(Reading::batch_sizes(&before, &Reading::default()), []);
    }

    const TEXT: &str = "# HELP x\nprocess_cpu_seconds_total 1.5\n\
        inference_batch_size_sum{model=\"a}\",version=\"1\"} 30\ninference_batch_size_sum{model=\"b\"} 2\n\
        inference_batch_size_count{model=\"a\"} 8\ninference_batch_size_counter 99\n";

    #[test]
    fn metrics_are_summed_by_name() {
        let reading = Reading::of(Some(TEXT));
        assert_eq!(reading.server_cpu, Some(1.5));
        assert_eq!(reading.batches, Some((32.0, 8.0)));
        assert_eq!(Reading::of(Some("")).batches, None);
        let before = Reading { batches: Some((0.0, 0.0)), ..Reading::default() };
        assert_eq!(Reading::batch_size(&before, &reading), Some(4.0));
        assert_eq!(Reading::batch_size(&reading, &reading), None);
    }

    #[test]
    fn cpu_time_of_a_process_with_an_odd_name() {
        let text = "7 (a) b (c) S 1 7 7 0 -1 0 0 0 0 0 250 50 0 0 20 0 4 0 1200 0";
        assert!((cpu_seconds(text).unwrap() - 3.0).abs() < 1e-9);
        assert!((micros_per(1.0, 3.0, 1000) - 2000.0).abs() < 1e-9);
        assert!((load(1.0, Duration::from_secs(1), 2) - 0.5).abs() < 1e-9);
    }
}
