//! What was measured as a small SVG of up to three panels, one above the other: latency over
//! percentiles, latency against throughput where there are several runs, and the sizes of batches
//! where they are known.

mod batches;
mod panel;
mod percentiles;
mod throughput;

use std::fmt::Write as _;

use panel::{HEIGHT, WIDTH, escaped};

use super::report::Run;

/// Told apart also by those who see no red or no green.
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999"];
const HEAD: f64 = 44.0;

/// The drawing.
pub(super) fn svg(title: &str, runs: &[Run]) -> String {
    let mut text = String::new();
    // Writing to a string can't fail.
    let _infallible = draw(&mut text, title, runs);
    text
}

fn draw(out: &mut String, title: &str, runs: &[Run]) -> std::fmt::Result {
    let panels = [Some(percentiles::draw(runs)?), throughput::draw(runs)?, batches::draw(runs)?];
    let panels: Vec<String> = panels.into_iter().flatten().collect();
    let height = HEAD + HEIGHT * u32::try_from(panels.len()).map_or(0.0, f64::from);
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">"
    )?;
    writeln!(out, "<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>")?;
    writeln!(out, "<text x=\"20\" y=\"28\" font-size=\"16\">{}</text>", escaped(title))?;
    let mut top = HEAD;
    for panel in panels {
        writeln!(out, "<g transform=\"translate(0 {top})\">\n{panel}</g>")?;
        top += HEIGHT;
    }
    writeln!(out, "</svg>")
}

fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

/// What a run is called in a legend.
fn label(run: &Run) -> String {
    let Some(open) = &run.open else {
        let plural = if run.connections == 1 { "" } else { "s" };
        return format!("closed, {} connection{plural}, {:.0}/s", run.connections, run.requests_per_second);
    };
    let multiple = open.rate_of_capacity.map(|multiple| format!(" ({multiple}x)")).unwrap_or_default();
    format!("{:.0} requests/s{multiple}, {:.0} good", open.rate, open.goodput_per_second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::report::tests::{opened, report};

    /// Every tag is closed in order, every attribute quoted, nothing raw between tags.
    fn assert_well_formed(svg: &str) {
        let mut open = Vec::new();
        for piece in svg.split('<').skip(1) {
            let (tag, text) = piece.split_once('>').unwrap();
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            assert!(!text.contains('>'), "{text}");
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name), "{tag}");
            } else if !tag.ends_with('/') {
                open.push(tag.split(' ').next().unwrap());
            }
        }
        assert!(open.is_empty(), "{open:?}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn every_run_has_its_line_and_its_bars() {
        let runs = vec![report().runs.remove(0), opened(100.0), opened(300.0)];
        let drawn = svg("a < b & \"c\" > d", &runs);
        assert_well_formed(&drawn);
        // A line a run over percentiles; p50 and p99 against throughput.
        assert_eq!(drawn.matches("<polyline").count(), 3 + 2);
        assert_eq!(drawn.matches("class=\"bar\"").count(), 3 * 3);
        assert!(drawn.contains("a &lt; b &amp;"));
        assert!(drawn.contains("300 requests/s"));
    }

    #[test]
    fn one_run_has_no_curve_of_throughput() {
        let drawn = svg("one", &report().runs);
        assert_well_formed(&drawn);
        assert_eq!(drawn.matches("<polyline").count(), 1);
    }

    #[test]
    fn nothing_measured_still_draws() {
        assert_well_formed(&svg("none", &[]));
        let mut run = report().runs.remove(0);
        run.curve.clear();
        run.batch_sizes.clear();
        run.latency_ms = crate::cli::bench::tally::Latency::default();
        assert_well_formed(&svg("none", &[run.clone(), run]));
    }
}
