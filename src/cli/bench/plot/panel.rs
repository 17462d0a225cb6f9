//! Frame, grid and legend that the panels share.

use std::fmt::Write as _;

pub(super) const WIDTH: f64 = 900.0;
pub(super) const HEIGHT: f64 = 340.0;
pub(super) const LEFT: f64 = 80.0;
/// Beyond it stands the legend.
pub(super) const RIGHT: f64 = 610.0;
pub(super) const TOP: f64 = 30.0;
pub(super) const BOTTOM: f64 = HEIGHT - 54.0;

/// A logarithmic scale of milliseconds, bottom to top.
pub(super) struct Milliseconds {
    lowest: f64,
    highest: f64,
}

impl Milliseconds {
    /// Over all of `values` that can stand on it: whole decades, so that every line of the grid has a
    /// round number.
    pub(super) fn new(values: impl Iterator<Item = f64>) -> Self {
        let start = (f64::INFINITY, 0.0_f64);
        let (lowest, highest) = values
            .filter(|value| *value > 0.0)
            .fold(start, |(low, high), value| (low.min(value), high.max(value)));
        let (lowest, highest) = if lowest <= highest { (lowest, highest) } else { (0.1, 1.0) };
        let lowest = lowest.log10().floor();
        Self { lowest, highest: highest.log10().ceil().max(lowest + 1.0) }
    }

    pub(super) fn y(&self, milliseconds: f64) -> f64 {
        let share = (milliseconds.max(1e-9).log10() - self.lowest) / (self.highest - self.lowest);
        BOTTOM - share.clamp(0.0, 1.0) * (BOTTOM - TOP)
    }

    /// The lines of the grid with their numbers.
    pub(super) fn grid(&self, out: &mut String) -> std::fmt::Result {
        let decades = std::iter::successors(Some(self.lowest), |exponent| Some(exponent + 1.0));
        for exponent in decades.take_while(|exponent| *exponent <= self.highest) {
            // Down to a nanosecond, without the digits that powers leave behind.
            let decade = (10.0_f64.powf(exponent) * 1e6).round() / 1e6;
            for (step, colour) in [(1.0, "#ccc"), (2.0, "#eee"), (5.0, "#eee")] {
                if step > 1.0 && exponent >= self.highest {
                    continue;
                }
                let y = self.y(10.0_f64.powf(exponent) * step);
                writeln!(out, "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"{colour}\"/>")?;
            }
            horizontal_label(out, self.y(10.0_f64.powf(exponent)), &format!("{decade} ms"))?;
        }
        Ok(())
    }
}

/// A linear scale from 0 to a round number, as an axis of counts.
pub(super) struct Linear {
    highest: f64,
    step: f64,
}

impl Linear {
    pub(super) fn new(highest: f64) -> Self {
        let highest = if highest.is_finite() && highest > 0.0 { highest } else { 1.0 };
        let decade = 10.0_f64.powf((highest / 5.0).log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
        let step = steps.into_iter().find(|step| highest / step <= 6.0).unwrap_or(10.0 * decade);
        Self { highest: (highest / step).ceil() * step, step }
    }

    /// Which part of the axis lies below.
    pub(super) fn share(&self, value: f64) -> f64 {
        (value / self.highest).clamp(0.0, 1.0)
    }

    pub(super) fn steps(&self) -> impl Iterator<Item = f64> {
        let (highest, step) = (self.highest, self.step);
        std::iter::successors(Some(0.0), move |value| Some(value + step))
            .take_while(move |value| *value <= highest + step / 2.0)
    }
}

/// Title of the panel and what runs along its lower edge.
pub(super) fn titles(out: &mut String, title: &str, axis: &str) -> std::fmt::Result {
    writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"{}\" font-size=\"13\" font-weight=\"bold\">{title}</text>",
        TOP - 12.0
    )?;
    let middle = f64::midpoint(LEFT, RIGHT);
    writeln!(out, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{axis}</text>", BOTTOM + 40.0)
}

/// A number beside the left edge.
pub(super) fn horizontal_label(out: &mut String, y: f64, label: &str) -> std::fmt::Result {
    let (x, baseline) = (LEFT - 8.0, y + 4.0);
    writeln!(out, "<text x=\"{x}\" y=\"{baseline:.1}\" text-anchor=\"end\">{label}</text>")
}

/// A line of the grid from top to bottom with its number.
pub(super) fn vertical(out: &mut String, x: f64, label: &str) -> std::fmt::Result {
    writeln!(out, "<path d=\"M{x:.1} {TOP}V{BOTTOM}\" stroke=\"#ddd\"/>")?;
    writeln!(out, "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", BOTTOM + 18.0)
}

/// A row of the legend.
pub(super) fn legend(out: &mut String, row: usize, colour: &str, label: &str) -> std::fmt::Result {
    let y = TOP + 8.0 + u32::try_from(row).map_or(0.0, f64::from) * 19.0;
    let (dash, x) = (RIGHT + 14.0, RIGHT + 36.0);
    writeln!(out, "<path d=\"M{dash} {y:.1}h16\" stroke=\"{colour}\" stroke-width=\"4\"/>")?;
    writeln!(out, "<text x=\"{x}\" y=\"{:.1}\">{}</text>", y + 4.0, escaped(label))
}

/// A line through points.
pub(super) fn line(
    out: &mut String,
    points: impl Iterator<Item = (f64, f64)>,
    style: &str,
) -> std::fmt::Result {
    let mut points = points.peekable();
    if points.peek().is_none() {
        return Ok(());
    }
    write!(out, "<polyline fill=\"none\" stroke-width=\"2\" {style} points=\"")?;
    for (x, y) in points {
        write!(out, "{x:.1},{y:.1} ")?;
    }
    writeln!(out, "\"/>")
}

/// Text that is safe between tags.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_axes_end_at_round_numbers() {
        for (highest, steps) in [(7.0, 5), (1.0, 6), (950.0, 6), (31_000.0, 5), (0.0, 6)] {
            let axis = Linear::new(highest);
            let values: Vec<f64> = axis.steps().collect();
            assert!(values.last().is_some_and(|last| *last >= highest), "{highest}: {values:?}");
            assert_eq!(values.len(), steps, "{highest}: {values:?}");
            assert!(axis.share(highest) <= 1.0);
        }
    }
}
