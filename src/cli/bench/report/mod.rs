//! What a benchmark found, for people and for programs.

mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::drive::Measured;
use super::figures::{self, Batches, Reading};
use super::open::OpenFigures;
use super::tally::{self, Latency, Point};

/// Everything that one call of `bench` found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// What was measured.
    pub(super) target: String,
    /// `http` or `in_process`.
    pub(super) mode: &'static str,
    /// How requests come: `closed` or `open`.
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
    pub(super) kind: &'static str,
    /// In an open loop the most that there may be.
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
    /// Where they can be asked.
    pub(super) batch_sizes: Vec<Batches>,
    /// Share of all cores that server and load generator kept busy.
    pub(super) busy: f64,
    /// Rows per second over those of the bare loop at its best batch.
    pub(super) served_to_bare: Option<f64>,
    /// Of an open loop only.
    #[serde(flatten)]
    pub(super) open: Option<OpenFigures>,
    #[serde(skip)]
    pub(super) curve: Vec<Point>,
}

impl Run {
    /// The figures of a closed loop.
    pub(super) fn closed(connections: usize, rows: u64, cores: usize, measured: &Measured<Reading>) -> Self {
        let requests = measured.tally.ok() + measured.tally.errors().values().sum::<u64>();
        Self::new((connections, requests), rows, cores, measured)
    }

    /// The figures of an open loop.
    pub(super) fn open(
        in_flight: usize,
        rows: u64,
        cores: usize,
        (measured, figures): (Measured<Reading>, OpenFigures),
    ) -> Self {
        let run = Self::new((in_flight, figures.sent), rows, cores, &measured);
        Self { kind: "open", open: Some(figures), ..run }
    }

    fn new(
        (connections, requests): (usize, u64),
        rows: u64,
        cores: usize,
        measured: &Measured<Reading>,
    ) -> Self {
        let (before, after) = &measured.readings;
        let ok = measured.tally.ok();
        let server_cpu = before.server_cpu.zip(after.server_cpu);
        let of_server = server_cpu.map_or(0.0, |(before, after)| after - before);
        let cpu = after.own_cpu - before.own_cpu + of_server;
        Self {
            kind: "closed",
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
            batch_sizes: Reading::batch_sizes(before, after),
            busy: figures::load(cpu, measured.elapsed, cores),
            served_to_bare: None,
            open: None,
            curve: measured.tally.curve(),
        }
    }
}

/// What the closed loops reached: requests a second.
pub(super) fn capacity(runs: &[Run]) -> f64 {
    runs.iter().map(|run| run.requests_per_second).fold(0.0, f64::max)
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

    /// True when every run had at least one good answer, and every open loop no faults: refusals are
    /// none.
    pub(super) fn is_good(&self) -> bool {
        self.runs.iter().all(|run| run.ok > 0 && (run.open.is_none() || run.errors.is_empty()))
    }

    /// For programs.
    pub(super) fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        text::written(self)
    }
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
        let reading = |own_cpu, server_cpu, batches| Reading {
            own_cpu,
            server_cpu: Some(server_cpu),
            batches: Some(batches),
            batch_sizes: vec![(2.0, batches.1 * 0.75), (4.0, batches.1), (f64::INFINITY, batches.1)],
        };
        let (before, after) = (reading(1.0, 2.0, (0.0, 0.0)), reading(1.101, 2.202, (30.0, 12.0)));
        let measured = Measured { tally, elapsed: Duration::from_secs(1), readings: (before, after) };
        let run = Run::closed(4, 2, 2, &measured);
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

    /// An open loop with as many answers as its rate, some of them late or refused.
    pub(in crate::cli::bench) fn opened(rate: f64) -> Run {
        let run = report().runs.remove(0);
        let figures = OpenFigures {
            rate,
            rate_of_capacity: None,
            arrivals: "poisson",
            seed: 1,
            deadline_ms: Some(50.0),
            sent: 120,
            unsent: 3,
            goodput_per_second: rate * 0.9,
            late: 4,
            refused: BTreeMap::from([("503".to_owned(), 20)]),
            refusal_latency_ms: run.latency_ms,
            waited: 7,
            most_in_flight: 9,
            schedule_lag_ms: Latency::default(),
        };
        Run { kind: "open", open: Some(figures), errors: BTreeMap::new(), ..run }
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
        assert!(run.mean_batch_size.is_some_and(|size| close(size, 2.5)));
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

    #[test]
    fn an_open_loop_has_its_own_figures_and_its_refusals_are_no_errors() {
        let mut report = report();
        report.runs = vec![opened(100.0)];
        assert!(report.is_good());
        let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        let run = &json["runs"][0];
        assert_eq!((&run["kind"], &run["rate"]), (&"open".into(), &100.0.into()));
        assert_eq!(
            (&run["refused"]["503"], &run["late"], &run["sent"]),
            (&20.into(), &4.into(), &120.into())
        );
        assert!(run["refusal_latency_ms"]["p99"].is_number());
        assert!(run["latency_ms"]["p99.9"].is_number());
        for said in ["refused 503: 20", "7 waited", "3 never sent", "4 answers beyond", "deadline 50 ms"] {
            assert!(report.text().contains(said), "{said}: {}", report.text());
        }
        report.runs[0].errors.insert("closed".to_owned(), 1);
        assert!(!report.is_good());
    }
}
