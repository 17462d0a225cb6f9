//! What a benchmark found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::drive::Measured;
use super::figures::{self, Reading};
use super::tally::{self, Latency, Point};

/// Everything that one call of `bench` found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// What was measured.
    pub(super) target: String,
    /// `http` or `in_process`.
    pub(super) mode: &'static str,
    /// How requests come: always `closed` in this release.
    #[serde(rename = "loop")]
    pub(super) kind: &'static str,
    pub(super) cores: usize,
    pub(super) input_bytes: usize,
    pub(super) rows_per_request: u64,
    /// The bare runtime loop, by rows of a run.
    pub(super) bare: Vec<Bare>,
    pub(super) runs: Vec<Run>,
}

/// The bare runtime loop: nothing but runs of the model's sessions, a thread each.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Bare {
    pub(super) batch: usize,
    pub(super) sessions: usize,
    pub(super) seconds: f64,
    pub(super) runs: u64,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) rows_per_second: f64,
    pub(super) cpu_us_per_row: f64,
    /// Of one run.
    pub(super) latency_ms: Latency,
}

/// One measurement of requests.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Run {
    pub(super) connections: usize,
    pub(super) seconds: f64,
    pub(super) requests: u64,
    pub(super) ok: u64,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) requests_per_second: f64,
    pub(super) rows_per_second: f64,
    pub(super) latency_ms: Latency,
    /// CPU time of this process: of the load generator; in process of everything.
    pub(super) own_cpu_us_per_request: f64,
    /// CPU time of the server, where it runs on this machine and has our metrics.
    pub(super) server_cpu_us_per_request: Option<f64>,
    pub(super) mean_batch_size: Option<f64>,
    /// Share of all cores that server and load generator kept busy.
    pub(super) busy: f64,
    /// Rows per second over those of the bare loop at its best batch.
    pub(super) served_to_bare: Option<f64>,
    #[serde(skip)]
    pub(super) curve: Vec<Point>,
}

impl Run {
    /// The figures of one measurement.
    pub(super) fn new(connections: usize, rows: u64, cores: usize, measured: &Measured<Reading>) -> Self {
        let (before, after) = &measured.readings;
        let ok = measured.tally.ok();
        let requests = ok + measured.tally.errors().values().sum::<u64>();
        let server_cpu = before.server_cpu.zip(after.server_cpu);
        let of_server = server_cpu.map_or(0.0, |(before, after)| after - before);
        let cpu = after.own_cpu - before.own_cpu + of_server;
        Self {
            connections,
            seconds: measured.elapsed.as_secs_f64(),
            requests,
            ok,
            errors: measured.tally.errors().clone(),
            requests_per_second: tally::rate(ok, measured.elapsed),
            rows_per_second: tally::rate(ok * rows, measured.elapsed),
            latency_ms: measured.tally.latency(),
            own_cpu_us_per_request: figures::micros_per(before.own_cpu, after.own_cpu, requests),
            server_cpu_us_per_request: server_cpu.map(|(a, b)| figures::micros_per(a, b, requests)),
            mean_batch_size: Reading::batch_size(before, after),
            busy: figures::load(cpu, measured.elapsed, cores),
            served_to_bare: None,
            curve: measured.tally.curve(),
        }
    }
}

impl Report {
    /// Sets each run beside the bare loop at its best batch.
    pub(super) fn compare(&mut self) {
        let best = self.best().map(|best| best.rows_per_second);
        for run in &mut self.runs {
            run.served_to_bare = best.and_then(|best| ratio(run.rows_per_second, best));
        }
    }

    fn best(&self) -> Option<&Bare> {
        self.bare.iter().max_by(|a, b| a.rows_per_second.total_cmp(&b.rows_per_second))
    }

    /// True when every run had at least one good answer.
    pub(super) fn is_good(&self) -> bool {
        self.runs.iter().all(|run| run.ok > 0)
    }

    /// For programs.
    pub(super) fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        let _infallible = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "{}: {} rows a request, {} bytes",
            self.target, self.rows_per_request, self.input_bytes
        )?;
        if !self.bare.is_empty() {
            writeln!(text, "\nbare runtime loop, one thread for each session")?;
            writeln!(
                text,
                "{:>11} {:>8} {:>10} {:>10} {:>9} {:>9}",
                "rows a run", "threads", "rows/s", "CPU us/row", "p50 ms", "p99 ms"
            )?;
        }
        for bare in &self.bare {
            let (p50, p99) = (bare.latency_ms.p50, bare.latency_ms.p99);
            let (batch, threads, cpu) = (bare.batch, bare.sessions, bare.cpu_us_per_row);
            writeln!(
                text,
                "{batch:>11} {threads:>8} {:>10.1} {cpu:>10.1} {p50:>9.3} {p99:>9.3}",
                bare.rows_per_second
            )?;
            errors(text, &bare.errors)?;
        }
        let what = if self.mode == "http" { "over HTTP" } else { "through the service, in process" };
        writeln!(text, "\n{what}, closed loop; milliseconds of the answers with a 2xx status")?;
        let columns = ["p50", "p90", "p99", "p99.9", "max"].map(|name| format!("{name:>9}")).concat();
        writeln!(text, "{:>11} {:>10} {:>10}{columns}", "connections", "requests/s", "rows/s")?;
        for run in &self.runs {
            let Latency { p50, p90, p99, p999, max, .. } = run.latency_ms;
            let latencies = [p50, p90, p99, p999, max].map(|value| format!("{value:>9.3}")).concat();
            let (rate, rows) = (run.requests_per_second, run.rows_per_second);
            writeln!(text, "{:>11} {rate:>10.1} {rows:>10.1}{latencies}", run.connections)?;
            writeln!(text, "{}", details(run, self.mode))?;
            errors(text, &run.errors)?;
        }
        Ok(())
    }
}

fn details(run: &Run, mode: &str) -> String {
    let whose = if mode == "http" { "load generator" } else { "whole process" };
    let own = run.own_cpu_us_per_request;
    let mut parts = vec![format!("{} answers", run.ok), format!("CPU {own:.1} us a request ({whose})")];
    parts.extend(run.server_cpu_us_per_request.map(|cpu| format!("{cpu:.1} us (server)")));
    parts.push(format!("cores {:.0} % busy", run.busy * 100.0));
    parts.extend(run.mean_batch_size.map(|size| format!("mean batch {size:.2} rows")));
    parts.extend(run.served_to_bare.map(|ratio| format!("{ratio:.3} of the bare loop's rows/s")));
    format!("{:>12}{}", "", parts.join(", "))
}

fn errors(text: &mut String, errors: &BTreeMap<String, u64>) -> std::fmt::Result {
    for (kind, count) in errors {
        writeln!(text, "{:>12}ERRORS {kind}: {count}", "")?;
    }
    Ok(())
}

/// `part` over `whole`, where that says anything.
fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// The figures of one bare loop.
pub(super) fn bare(
    batch: usize,
    sessions: usize,
    counted: &tally::Tally,
    (elapsed, cpu): (Duration, f64),
) -> Bare {
    let runs = counted.ok();
    let rows = runs * batch as u64;
    Bare {
        batch,
        sessions,
        seconds: elapsed.as_secs_f64(),
        runs,
        errors: counted.errors().clone(),
        rows_per_second: tally::rate(rows, elapsed),
        cpu_us_per_row: tally::per(cpu * 1e6, rows),
        latency_ms: counted.latency(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cli::bench::tally::Tally;

    pub(in crate::cli::bench) fn report() -> Report {
        let mut tally = Tally::default();
        for micros in 1..=100 {
            tally.good(Duration::from_micros(micros));
        }
        tally.bad("503");
        let counted = bare(8, 2, &tally, (Duration::from_secs(1), 0.01));
        let slower = bare(1, 2, &tally, (Duration::from_secs(1), 0.01));
        let before = Reading { own_cpu: 1.0, server_cpu: Some(2.0), batches: Some((0.0, 0.0)) };
        let after = Reading { own_cpu: 1.101, server_cpu: Some(2.202), batches: Some((30.0, 10.0)) };
        let measured = Measured { tally, elapsed: Duration::from_secs(1), readings: (before, after) };
        let run = Run::new(4, 2, 2, &measured);
        let mut report = Report {
            target: "m".to_owned(),
            mode: "http",
            kind: "closed",
            cores: 2,
            input_bytes: 2,
            rows_per_request: 2,
            bare: vec![slower, counted],
            runs: vec![run],
        };
        report.compare();
        report
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn rates_costs_and_the_ratio_to_the_best_bare_loop() {
        let report = report();
        let run = &report.runs[0];
        assert_eq!((run.requests, run.ok), (101, 100));
        assert!(close(run.requests_per_second, 100.0) && close(run.rows_per_second, 200.0));
        assert!(close(run.own_cpu_us_per_request, 1000.0), "{}", run.own_cpu_us_per_request);
        assert!(run.server_cpu_us_per_request.is_some_and(|cpu| close(cpu, 2000.0)));
        assert!(run.mean_batch_size.is_some_and(|size| close(size, 3.0)));
        assert!(run.served_to_bare.is_some_and(|ratio| close(ratio, 0.25)), "{:?}", run.served_to_bare);
        assert!(close(report.bare[1].cpu_us_per_row, 12.5));
        assert_eq!(ratio(1.0, 0.0), None);
    }

    #[test]
    fn errors_stand_in_both_forms() {
        let report = report();
        assert!(report.text().contains("ERRORS 503: 1"), "{}", report.text());
        let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!(json["runs"][0]["errors"]["503"], 1);
        assert_eq!(json["loop"], "closed");
        assert!(json["runs"][0]["latency_ms"]["p99.9"].is_number());
    }
}
