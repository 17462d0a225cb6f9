//! A report for people: tables whose columns line up, and what belongs to a row below it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Bare, Report, Run};
use crate::cli::bench::figures::{self, Batches};
use crate::cli::bench::open::OpenFigures;
use crate::cli::bench::tally::{self, Latency};

/// The whole report.
pub(super) fn written(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string can't fail.
    let _infallible = write(&mut text, report);
    text
}

fn write(text: &mut String, report: &Report) -> std::fmt::Result {
    let (rows, bytes) = (report.rows_per_request, report.input_bytes);
    writeln!(text, "{}: {rows} rows a request, {bytes} bytes", report.target)?;
    if !report.bare.is_empty() {
        bare_loops(text, &report.bare)?;
    }
    let what = if report.mode == "http" { "over HTTP" } else { "through the service, in process" };
    let closed = || report.runs.iter().filter(|run| run.open.is_none());
    if closed().next().is_some() {
        writeln!(text, "\n{what}, closed loop; milliseconds of the answers with a 2xx status")?;
        writeln!(text, "{:>11} {:>10} {:>10}{}", "connections", "requests/s", "rows/s", columns())?;
    }
    for run in closed() {
        let (rate, rows) = (run.requests_per_second, run.rows_per_second);
        let latencies = latencies(&run.latency_ms);
        writeln!(text, "{:>11} {rate:>10.1} {rows:>10.1}{latencies}", run.connections)?;
        below(text, run, report.mode)?;
    }
    let mut opened = report.runs.iter().filter_map(|run| Some((run, run.open.as_ref()?))).peekable();
    if let Some((run, open)) = opened.peek() {
        let deadline = open.deadline_ms.map(|time| format!(", deadline {time} ms")).unwrap_or_default();
        writeln!(
            text,
            "\n{what}, open loop, {} arrivals, at most {} in flight{deadline}\n\
             milliseconds from the intended time of sending to the answer with a 2xx status",
            open.arrivals, run.connections
        )?;
        writeln!(text, "{:>11} {:>10} {:>10}{}", "rate", "answers/s", "goodput/s", columns())?;
    }
    for (run, open) in opened {
        let (rate, good) = (run.requests_per_second, open.goodput_per_second);
        writeln!(text, "{:>11.1} {rate:>10.1} {good:>10.1}{}", open.rate, latencies(&run.latency_ms))?;
        of_open_loop(text, run, open)?;
        below(text, run, report.mode)?;
    }
    Ok(())
}

fn columns() -> String {
    ["p50", "p90", "p99", "p99.9", "max"].map(|name| format!("{name:>9}")).concat()
}

fn latencies(latency: &Latency) -> String {
    let Latency { p50, p90, p99, p999, max, .. } = *latency;
    [p50, p90, p99, p999, max].map(|value| format!("{value:>9.3}")).concat()
}

fn bare_loops(text: &mut String, loops: &[Bare]) -> std::fmt::Result {
    writeln!(text, "\nbare runtime loop, one thread for each session")?;
    writeln!(
        text,
        "{:>11} {:>8} {:>10} {:>10} {:>9} {:>9}",
        "rows a run", "threads", "rows/s", "CPU us/row", "p50 ms", "p99 ms"
    )?;
    for bare in loops {
        let (p50, p99) = (bare.latency_ms.p50, bare.latency_ms.p99);
        let (batch, threads, cpu) = (bare.batch, bare.sessions, bare.cpu_us_per_row);
        writeln!(
            text,
            "{batch:>11} {threads:>8} {:>10.1} {cpu:>10.1} {p50:>9.3} {p99:>9.3}",
            bare.rows_per_second
        )?;
        errors(text, &bare.errors)?;
    }
    Ok(())
}

fn below(text: &mut String, run: &Run, mode: &str) -> std::fmt::Result {
    let whose = if mode == "http" { "load generator" } else { "whole process" };
    let own = run.own_cpu_us_per_request;
    let mut parts = vec![format!("{} answers", run.ok), format!("CPU {own:.1} us a request ({whose})")];
    parts.extend(run.server_cpu_us_per_request.map(|cpu| format!("{cpu:.1} us (server)")));
    parts.push(format!("cores {:.0} % busy", run.busy * 100.0));
    parts.extend(run.mean_batch_size.map(|size| format!("mean batch {size:.2} rows")));
    parts.extend(run.served_to_bare.map(|ratio| format!("{ratio:.3} of the bare loop's rows/s")));
    writeln!(text, "{:>12}{}", "", parts.join(", "))?;
    let batches = batches(&run.batch_sizes);
    if !batches.is_empty() {
        writeln!(text, "{:>12}batches by rows: {batches}", "")?;
    }
    errors(text, &run.errors)
}

/// Figures that only an open loop has.
fn of_open_loop(text: &mut String, run: &Run, open: &OpenFigures) -> std::fmt::Result {
    let mut parts = vec![format!("{} sent", open.sent)];
    parts.extend(open.rate_of_capacity.map(|multiple| format!("{multiple} x the closed loop's rate")));
    if open.late > 0 {
        parts.push(format!("{} answers beyond the deadline", open.late));
    }
    if open.waited > 0 {
        parts.push(format!("{} waited for one of {} connections", open.waited, run.connections));
    }
    if open.unsent > 0 {
        parts.push(format!("{} never sent: none was free before their deadline or the end", open.unsent));
    }
    parts.push(format!("{} in flight at most", open.most_in_flight));
    let lag = &open.schedule_lag_ms;
    parts.push(format!("sent late by p50 {:.3}, p99 {:.3}, max {:.3} ms", lag.p50, lag.p99, lag.max));
    writeln!(text, "{:>12}{}", "", parts.join(", "))?;
    if !open.refused.is_empty() {
        let counts: Vec<String> =
            open.refused.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        let Latency { p50, p90, p99, max, .. } = open.refusal_latency_ms;
        writeln!(
            text,
            "{:>12}refused {}, after p50 {p50:.3}, p90 {p90:.3}, p99 {p99:.3}, max {max:.3} ms",
            "",
            counts.join(", ")
        )?;
    }
    Ok(())
}

/// The buckets that hold any, each with its share.
fn batches(sizes: &[Batches]) -> String {
    let all: u64 = sizes.iter().map(|size| size.batches).sum();
    let named = figures::bucket_names(sizes).into_iter().zip(sizes);
    let filled = named.filter(|(_, size)| size.batches > 0).map(|(rows, size)| {
        let share = tally::share(size.batches, all) * 100.0;
        format!("{rows}: {} ({share:.1} %)", size.batches)
    });
    filled.collect::<Vec<_>>().join(", ")
}

fn errors(text: &mut String, errors: &BTreeMap<String, u64>) -> std::fmt::Result {
    for (kind, count) in errors {
        writeln!(text, "{:>12}ERRORS {kind}: {count}", "")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_stand_by_their_rows_with_their_share() {
        let size = |rows, batches| Batches { rows, batches };
        let sizes = [size(Some(1), 3), size(Some(2), 0), size(Some(4), 1), size(None, 4)];
        assert_eq!(batches(&sizes), "1: 3 (37.5 %), 3-4: 1 (12.5 %), 5+: 4 (50.0 %)");
        assert_eq!(batches(&[]), "");
    }
}
