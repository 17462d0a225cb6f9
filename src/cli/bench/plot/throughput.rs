//! Latency against throughput: p50 and p99 of each run, joined in the order in which they were asked
//! for, so that a throughput that falls under too much load bends the line back.

use std::fmt::Write as _;

use super::panel::{self, LEFT, Linear, Milliseconds, RIGHT};
use super::{Run, colour};
use crate::cli::bench::tally::Latency;

type Percentile = (&'static str, fn(&Latency) -> f64);

const LINES: [Percentile; 2] = [("p50", |latency| latency.p50), ("p99", |latency| latency.p99)];

/// Nothing where there are not two points to join.
pub(super) fn draw(runs: &[Run]) -> Result<Option<String>, std::fmt::Error> {
    let answered = || runs.iter().filter(|run| run.ok > 0);
    // A closed loop that showed the capacity is no part of the line of the open ones.
    let has_open = answered().any(|run| run.open.is_some());
    let shown: Vec<&Run> = answered().filter(|run| run.open.is_some() == has_open).collect();
    if shown.len() < 2 {
        return Ok(None);
    }
    let mut out = String::new();
    let values = shown.iter().flat_map(|run| LINES.map(|(_, of)| of(&run.latency_ms)));
    let scale = Milliseconds::new(values);
    let axis = Linear::new(shown.iter().map(|run| good(run)).fold(0.0, f64::max));
    let x = |value: f64| LEFT + axis.share(value) * (RIGHT - LEFT);
    let what = if has_open { "good answers a second" } else { "answers a second" };
    panel::titles(&mut out, "Latency against throughput", what)?;
    scale.grid(&mut out)?;
    for step in axis.steps() {
        panel::vertical(&mut out, x(step), &number(step))?;
    }
    for (index, (name, of)) in LINES.into_iter().enumerate() {
        let place = |run: &&Run| (x(good(run)), scale.y(of(&run.latency_ms)));
        panel::line(&mut out, shown.iter().map(place), &format!("stroke=\"{}\"", colour(index)))?;
        for run in &shown {
            let (x, y) = place(run);
            writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{}\"/>", colour(index))?;
            writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\" text-anchor=\"end\">{}</text>",
                x - 5.0,
                y - 5.0,
                offered(run)
            )?;
        }
        panel::legend(&mut out, index, colour(index), name)?;
    }
    Ok(Some(out))
}

fn good(run: &Run) -> f64 {
    run.open.as_ref().map_or(run.requests_per_second, |open| open.goodput_per_second)
}

/// What was asked of the server.
fn offered(run: &Run) -> String {
    match &run.open {
        Some(open) => {
            open.rate_of_capacity.map_or_else(|| number(open.rate), |multiple| format!("{multiple}x"))
        }
        None => run.connections.to_string(),
    }
}

/// Digits as far as they say something.
fn number(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}
