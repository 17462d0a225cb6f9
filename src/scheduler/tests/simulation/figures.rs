//! The figures of `docs/performance/scheduler.md`: tables between its marks, and plots beside it.

use std::fmt::Write as _;
use std::path::Path;

use super::outcome::{Outcome, STRATEGIES, percentile};
use super::plot::{Axis, Line, Panel, svg};
use super::scenarios;
use super::world::{ByLoad, CLASSIFIER, ENCODER, Lengths, World, capacity};

/// Names the folder into which the figures go.
const FOLDER: &str = "INFERENCE_TEST_FIGURES";
const LOADS: [f64; 12] = [0.1, 0.2, 0.35, 0.5, 0.75, 0.9, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0];
const FEW_LOADS: [f64; 5] = [0.1, 0.5, 0.9, 3.0, 10.0];
const TICKS: [f64; 7] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// A file's name and what is in it.
type Drawing = (&'static str, String);

#[test]
fn the_figures_are_drawn() {
    #[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
    let folder = std::env::var_os(FOLDER);
    let (loads, seconds) = if folder.is_some() { (&LOADS[..], 20.0) } else { (&FEW_LOADS[..1], 2.0) };
    let (drawings, tables) = figures(loads, seconds);
    for (name, drawing) in &drawings {
        assert!(
            drawing.ends_with("</svg>\n") && !drawing.contains("NaN") && !drawing.contains("inf"),
            "{name}"
        );
        assert!(drawing.matches("<polyline").count() >= 4, "{name}");
    }
    let shown = loads.iter().filter(|load| FEW_LOADS.contains(load)).count();
    assert_eq!(tables.matches("\n| this scheduler |").count(), shown * 2 + scenarios(seconds).len());
    if let Some(folder) = folder {
        write(Path::new(&folder), &drawings, &tables);
    }
}

fn write(folder: &Path, drawings: &[Drawing], tables: &str) {
    for (name, drawing) in drawings {
        std::fs::write(folder.join(name), drawing).expect("the folder of figures takes a file");
    }
    let page = folder.join("scheduler.md");
    let text = std::fs::read_to_string(&page).expect("the page is there");
    let (before, rest) = text.split_once("<!-- figures: begin -->").expect("the page has a mark");
    let (_, after) = rest.split_once("<!-- figures: end -->").expect("the page has a second mark");
    let plots: Vec<String> =
        drawings.iter().map(|(name, drawing)| format!("\n![{}]({name})\n", title(drawing))).collect();
    let plots = plots.concat();
    let text = format!("{before}<!-- figures: begin -->\n{plots}{tables}\n<!-- figures: end -->{after}");
    std::fs::write(&page, text).expect("the page takes its tables");
}

/// A drawing's title, which is its first text.
fn title(drawing: &str) -> &str {
    let text = drawing.split_once("<text ").and_then(|(_, rest)| rest.split_once('>'));
    text.and_then(|(_, rest)| rest.split_once("</text>")).map_or("plot", |(title, _)| title)
}

fn figures(loads: &[f64], seconds: f64) -> (Vec<Drawing>, String) {
    let mut tables = String::new();
    let mut drawings = Vec::new();
    let classifier = capacity(&CLASSIFIER, scenarios::SAME);
    let encoder = capacity(&ENCODER, scenarios::TAIL);
    let by_load: [(_, _, ByLoad, f64); 2] = [
        ("scheduler-classifier.svg", "Classifier", scenarios::steady, classifier),
        ("scheduler-texts.svg", "Encoder of texts", scenarios::texts, encoder),
    ];
    for (file, what, world, full) in by_load {
        let title = format!("{what}: capacity {full:.0} requests/s, clients wait 1 s");
        drawings.push((file, against_load(&title, full, &mut tables, (loads, &|load| world(load, seconds)))));
    }
    for (title, world) in scenarios(seconds) {
        heading(&mut tables, title);
        for named in STRATEGIES {
            row(&mut tables, named.0, &Outcome::of(&world, named));
        }
    }
    drawings.push(("scheduler-burst.svg", burst()));
    drawings.push(("scheduler-padding.svg", padding(seconds)));
    (drawings, tables)
}

fn scenarios(seconds: f64) -> Vec<(&'static str, World)> {
    vec![
        ("Bursts: 0.3 of the capacity, 3 times it for one second in five", scenarios::bursts(seconds)),
        ("Ramp: from 0.2 of the capacity to 3 times it and back", scenarios::ramp(seconds)),
        ("Mixed: single rows at half the capacity, a list of 1000 rows every 4 s", scenarios::mixed(seconds)),
        ("One of two instances 3 times slower for 10 s, load 0.6", scenarios::slow_instance(seconds)),
        ("Every run gets slower, to twice its time, load 1.5", scenarios::drift(seconds)),
        ("Clients leave after 1 s and did not say so, load 3", scenarios::silent(3.0, seconds)),
        ("Three models, one at 10 times the capacity, all of them", scenarios::neighbours(10.0, seconds)),
    ]
}

fn heading(out: &mut String, title: &str) {
    let head = "strategy | goodput, requests/s | answered in time of those that came | of those let in | p50 ms | p99 ms | rows a batch | padding | passed over";
    let line = "---|---:|---:|---:|---:|---:|---:|---:|---:";
    writeln!(out, "\n**{title}**\n\n| {head} |\n|{line}|").expect("a string takes it");
}

fn row(out: &mut String, name: &str, outcome: &Outcome) {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let cells = [
        name.to_owned(),
        format!("{:.0}", outcome.goodput()),
        percent(outcome.served()),
        percent(outcome.kept()),
        format!("{:.1}", outcome.latency(0.5) * 1e3),
        format!("{:.1}", outcome.latency(0.99) * 1e3),
        format!("{:.1}", outcome.batch()),
        percent(outcome.padding()),
        outcome.passed_over().to_string(),
    ];
    writeln!(out, "| {} |", cells.join(" | ")).expect("a string takes it");
}

fn against_load(
    title: &str,
    full: f64,
    tables: &mut String,
    (loads, world): (&[f64], &dyn Fn(f64) -> World),
) -> String {
    let mut goodput: Vec<Line> = STRATEGIES.map(|(name, _)| (name, Vec::new())).into();
    let mut slowest = goodput.clone();
    for &load in loads {
        let world = world(load);
        let has_row = FEW_LOADS.contains(&load);
        if has_row {
            heading(tables, &format!("{title}: load {load}"));
        }
        for (index, named) in STRATEGIES.into_iter().enumerate() {
            let outcome = Outcome::of(&world, named);
            goodput[index].1.push((load, outcome.goodput() / full));
            slowest[index].1.push((load, outcome.latency(0.99) * 1e3));
            if has_row {
                row(tables, named.0, &outcome);
            }
        }
    }
    let x = || Axis::log("load, times the capacity", &TICKS);
    let shares =
        Axis::linear("answered within 1 s, times the capacity", &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2]);
    let times = Axis::log("p99 of those let in, ms", &[10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0]);
    svg(title, &[Panel { x: x(), y: shares, lines: goodput }, Panel { x: x(), y: times, lines: slowest }])
}

/// What a burst does to the queue and to those who come.
fn burst() -> String {
    const STEP: f64 = 0.1;
    let world = scenarios::bursts(8.0);
    let (mut depths, mut slowest): (Vec<Line>, Vec<Line>) = (Vec::new(), Vec::new());
    for named in STRATEGIES {
        let outcome = Outcome::of(&world, named);
        let (mut next, mut points) = (0.0, Vec::new());
        for (at, depth) in &outcome.seen.depths {
            let second = *at as f64 / 1e9;
            if second >= next && second <= 8.0 {
                points.push((second, *depth as f64));
                next = second + STEP / 4.0;
            }
        }
        depths.push((named.0, points));
        let of = |step: i32| {
            let from = f64::from(step) * STEP;
            let all = outcome.latencies(from, from + STEP);
            (!all.is_empty()).then(|| (from + STEP / 2.0, percentile(&all, 0.99) * 1e3))
        };
        slowest.push((named.0, (0..80).filter_map(of).collect()));
    }
    let x = || Axis::linear("seconds", &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let rows = Axis::linear("rows that wait", &[0.0, 500.0, 1000.0, 1500.0, 2000.0, 2500.0]);
    let times = Axis::log(
        "p99 of those who come then and are let in, ms",
        &[10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0],
    );
    let title = "Burst: 3 times the capacity from second 2 to 3 and from 7, else 0.3 of it";
    svg(title, &[Panel { x: x(), y: rows, lines: depths }, Panel { x: x(), y: times, lines: slowest }])
}

/// Padding and goodput against how much lengths differ.
fn padding(seconds: f64) -> String {
    let (mut padding, mut goodput): (Vec<Line>, Vec<Line>) = (Vec::new(), Vec::new());
    for named in STRATEGIES {
        let (mut shares, mut good) = (Vec::new(), Vec::new());
        for sigma in [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5] {
            let lengths = Lengths::HeavyTailed { median: 32.0, sigma };
            let outcome = Outcome::of(&World::steady(ENCODER, lengths, 2.0, seconds), named);
            shares.push((sigma, outcome.padding()));
            good.push((sigma, outcome.goodput() / capacity(&ENCODER, lengths)));
        }
        padding.push((named.0, shares));
        goodput.push((named.0, good));
    }
    let x = || {
        Axis::linear("sigma of the log-normal lengths, median 32", &[0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5])
    };
    let shares = Axis::linear("padding, share of the tokens that run", &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
    let good = Axis::linear("answered within 1 s, times the capacity", &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2]);
    let title = "Encoder of texts, twice the capacity: padding against how much lengths differ";
    svg(title, &[Panel { x: x(), y: shares, lines: padding }, Panel { x: x(), y: good, lines: goodput }])
}
