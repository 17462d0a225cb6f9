//! Figures that are read before and after a measurement: CPU time, and batches that were run.

use std::time::Duration;

/// The kernel's unit of CPU time in `/proc`.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a probe reads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// CPU time of this process, seconds.
    pub(super) own_cpu: f64,
    /// CPU time of the server, where it can be asked.
    pub(super) server_cpu: Option<f64>,
    /// Rows run and batches run, where they can be asked.
    pub(super) batches: Option<(f64, f64)>,
}

impl Reading {
    /// This process' own CPU time, and what the metrics say.
    pub(super) fn of(metrics: Option<&str>) -> Self {
        let sum = |name: &str| metrics.and_then(|text| sum(text, name));
        Self {
            own_cpu: own_cpu(),
            server_cpu: sum("process_cpu_seconds_total"),
            batches: sum("inference_batch_size_sum").zip(sum("inference_batch_size_count")),
        }
    }

    /// Mean rows of the batches run between the two readings.
    pub(super) fn batch_size(before: &Self, after: &Self) -> Option<f64> {
        let ((rows, batches), (rows_after, batches_after)) = (before.batches?, after.batches?);
        let run = batches_after - batches;
        (run > 0.0).then(|| (rows_after - rows) / run)
    }
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
