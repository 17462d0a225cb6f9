//! Latency over percentiles as a small SVG, one line for each measurement.

use std::fmt::Write as _;

use super::report::Run;
use super::tally::Point;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
/// Told apart also by those who see no red or no green.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const PERCENTILES: [(f64, &str); 6] =
    [(0.0, "0"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %"), (5.0, "99.999 %")];

/// Where a value lies: both axes are logarithmic.
struct Scale {
    nines: f64,
    lowest: f64,
    highest: f64,
}

impl Scale {
    fn new(runs: &[Run]) -> Self {
        let points = || runs.iter().flat_map(|run| &run.curve);
        let values = || points().map(|point| point.milliseconds).filter(|value| *value > 0.0);
        let lowest = values().fold(f64::INFINITY, f64::min);
        let highest = values().fold(0.0, f64::max);
        // Whole decades, so that every line of the grid has a round number.
        let (lowest, highest) = if lowest <= highest { (lowest, highest) } else { (0.1, 1.0) };
        let lowest = lowest.log10().floor();
        let highest = highest.log10().ceil().max(lowest + 1.0);
        Self { nines: points().map(|point| point.nines).fold(1.0, f64::max), lowest, highest }
    }

    fn x(&self, nines: f64) -> f64 {
        LEFT + nines / self.nines * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, exponent: f64) -> f64 {
        let share = (exponent - self.lowest) / (self.highest - self.lowest);
        HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }
}

/// The drawing.
pub(super) fn svg(title: &str, runs: &[Run]) -> String {
    let mut text = String::new();
    // Writing to a string can't fail.
    let _infallible = draw(&mut text, title, runs);
    text
}

fn draw(out: &mut String, title: &str, runs: &[Run]) -> std::fmt::Result {
    let scale = Scale::new(runs);
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">"
    )?;
    writeln!(out, "<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>")?;
    writeln!(out, "<text x=\"{LEFT}\" y=\"22\" font-size=\"14\">{}</text>", escaped(title))?;
    grid(out, &scale)?;
    for (index, run) in runs.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        line(out, &scale, &run.curve, colour)?;
        let offset = u32::try_from(index).map_or(0.0, f64::from) * 18.0;
        let y = TOP + 16.0 + offset;
        let (x, dash) = (LEFT + 40.0, LEFT + 12.0);
        writeln!(out, "<path d=\"M{dash} {:.1}h22\" stroke=\"{colour}\" stroke-width=\"2\"/>", y - 4.0)?;
        let (plural, rate) = (if run.connections == 1 { "" } else { "s" }, run.requests_per_second);
        let label = format!("{} connection{plural}, {rate:.0} requests/s", run.connections);
        writeln!(out, "<text x=\"{x}\" y=\"{y:.1}\">{label}</text>")?;
    }
    writeln!(out, "</svg>")
}

fn grid(out: &mut String, scale: &Scale) -> std::fmt::Result {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let decades = std::iter::successors(Some(scale.lowest), |exponent| Some(exponent + 1.0));
    for exponent in decades.take_while(|exponent| *exponent <= scale.highest) {
        let y = scale.y(exponent);
        writeln!(out, "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#ddd\"/>")?;
        let value = 10.0_f64.powf(exponent);
        let (x, baseline) = (LEFT - 8.0, y + 4.0);
        writeln!(out, "<text x=\"{x}\" y=\"{baseline:.1}\" text-anchor=\"end\">{value} ms</text>")?;
    }
    for (nines, label) in PERCENTILES.into_iter().filter(|(nines, _)| *nines <= scale.nines + 1e-9) {
        let (x, baseline) = (scale.x(nines), bottom + 18.0);
        writeln!(out, "<path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"#ddd\"/>")?;
        writeln!(out, "<text x=\"{x:.1}\" y=\"{baseline}\" text-anchor=\"middle\">{label}</text>")?;
    }
    let (middle, baseline) = (f64::midpoint(LEFT, right), HEIGHT - 10.0);
    writeln!(
        out,
        "<text x=\"{middle}\" y=\"{baseline}\" text-anchor=\"middle\">percentile of the answers</text>"
    )
}

fn line(out: &mut String, scale: &Scale, curve: &[Point], colour: &str) -> std::fmt::Result {
    if curve.is_empty() {
        return Ok(());
    }
    write!(out, "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"")?;
    for point in curve {
        write!(out, "{:.1},{:.1} ", scale.x(point.nines), scale.y(point.milliseconds.max(1e-9).log10()))?;
    }
    writeln!(out, "\"/>")
}

/// Text that is safe between tags.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::report::tests::report;

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
    fn the_drawing_is_well_formed_and_has_a_line_for_each_run() {
        let report = report();
        let mut runs = report.runs.clone();
        runs.extend(report.runs.clone());
        let drawn = svg("a < b & \"c\" > d", &runs);
        assert_well_formed(&drawn);
        assert_eq!(drawn.matches("<polyline").count(), 2);
        assert!(drawn.contains("a &lt; b &amp;"));
    }

    #[test]
    fn nothing_measured_still_draws() {
        assert_well_formed(&svg("none", &[]));
        let mut run = report().runs.remove(0);
        run.curve.clear();
        assert_well_formed(&svg("none", &[run]));
    }
}
