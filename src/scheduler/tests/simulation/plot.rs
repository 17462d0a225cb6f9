//! Lines over axes as a small SVG: panels side by side, one legend.

use std::fmt::Write as _;

const PANEL: f64 = 440.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = 46.0;
/// Told apart also by those who see no red or no green.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// An axis: what it shows, its ends, where its lines are, and whether it is logarithmic.
pub(super) struct Axis {
    pub(super) label: &'static str,
    pub(super) ticks: Vec<f64>,
    pub(super) log: bool,
}

impl Axis {
    pub(super) fn linear(label: &'static str, ticks: &[f64]) -> Self {
        Self { label, ticks: ticks.to_vec(), log: false }
    }

    pub(super) fn log(label: &'static str, ticks: &[f64]) -> Self {
        Self { label, ticks: ticks.to_vec(), log: true }
    }

    fn share(&self, value: f64) -> f64 {
        let of = |value: f64| if self.log { value.max(1e-12).log10() } else { value };
        let (low, high) = (of(self.ticks[0]), of(self.ticks[self.ticks.len() - 1]));
        ((of(value) - low) / (high - low)).clamp(0.0, 1.0)
    }
}

/// A line: its name and its points.
pub(super) type Line = (&'static str, Vec<(f64, f64)>);

/// One drawing beside others.
pub(super) struct Panel {
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line>,
}

impl Panel {
    fn at(&self, place: f64, (x, y): (f64, f64)) -> (f64, f64) {
        let x = place + LEFT + self.x.share(x) * (PANEL - LEFT - RIGHT);
        (x, HEIGHT - BOTTOM - self.y.share(y) * (HEIGHT - TOP - BOTTOM))
    }

    fn draw(&self, out: &mut String, place: f64) -> std::fmt::Result {
        let (left, right, bottom) = (place + LEFT, place + PANEL - RIGHT, HEIGHT - BOTTOM);
        for &tick in &self.y.ticks {
            let (_, y) = self.at(place, (self.x.ticks[0], tick));
            writeln!(out, "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#ddd\"/>")?;
            let (x, baseline) = (left - 6.0, y + 4.0);
            writeln!(out, "<text x=\"{x:.1}\" y=\"{baseline:.1}\" text-anchor=\"end\">{tick}</text>")?;
        }
        for &tick in &self.x.ticks {
            let (x, _) = self.at(place, (tick, self.y.ticks[0]));
            writeln!(out, "<path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"#ddd\"/>")?;
            let baseline = bottom + 16.0;
            writeln!(out, "<text x=\"{x:.1}\" y=\"{baseline}\" text-anchor=\"middle\">{tick}</text>")?;
        }
        let (middle, baseline) = (f64::midpoint(left, right), HEIGHT - 10.0);
        writeln!(
            out,
            "<text x=\"{middle}\" y=\"{baseline}\" text-anchor=\"middle\">{}</text>",
            self.x.label
        )?;
        let above = TOP - 8.0;
        writeln!(out, "<text x=\"{left}\" y=\"{above}\" font-weight=\"bold\">{}</text>", self.y.label)?;
        // Ours last, so that it lies above the others.
        for (index, (_, points)) in self.lines.iter().enumerate().rev() {
            let (colour, width) = (COLOURS[index % COLOURS.len()], if index == 0 { "3" } else { "1.5" });
            write!(out, "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" points=\"")?;
            for point in points {
                let (x, y) = self.at(place, *point);
                write!(out, "{x:.1},{y:.1} ")?;
            }
            writeln!(out, "\"/>")?;
        }
        Ok(())
    }
}

/// The drawing.
pub(super) fn svg(title: &str, panels: &[Panel]) -> String {
    let mut text = String::new();
    draw(&mut text, title, panels).expect("a string takes it");
    text
}

fn draw(out: &mut String, title: &str, panels: &[Panel]) -> std::fmt::Result {
    let width = PANEL * panels.len() as f64;
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">"
    )?;
    writeln!(out, "<rect width=\"{width}\" height=\"{HEIGHT}\" fill=\"white\"/>")?;
    writeln!(out, "<text x=\"16\" y=\"22\" font-size=\"14\">{title}</text>")?;
    let mut x = 16.0;
    for (index, (name, _)) in panels[0].lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        writeln!(out, "<path d=\"M{x} 42h20\" stroke=\"{colour}\" stroke-width=\"3\"/>")?;
        writeln!(out, "<text x=\"{}\" y=\"46\">{name}</text>", x + 26.0)?;
        x += 7.0f64.mul_add(name.len() as f64, 44.0);
    }
    for (index, panel) in panels.iter().enumerate() {
        panel.draw(out, PANEL * index as f64)?;
    }
    writeln!(out, "</svg>")
}
