//! Latency over percentiles, a line for each run.

use super::panel::{self, LEFT, Milliseconds, RIGHT};
use super::{Run, colour, label};

const PERCENTILES: [(f64, &str); 6] =
    [(0.0, "0"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %"), (5.0, "99.999 %")];

pub(super) fn draw(runs: &[Run]) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let points = || runs.iter().flat_map(|run| &run.curve);
    let scale = Milliseconds::new(points().map(|point| point.milliseconds));
    let furthest = points().map(|point| point.nines).fold(1.0, f64::max);
    let x = |nines: f64| LEFT + nines / furthest * (RIGHT - LEFT);
    panel::titles(&mut out, "Latency over percentiles", "percentile of the answers")?;
    scale.grid(&mut out)?;
    for (nines, name) in PERCENTILES.into_iter().filter(|(nines, _)| *nines <= furthest + 1e-9) {
        panel::vertical(&mut out, x(nines), name)?;
    }
    for (index, run) in runs.iter().enumerate() {
        let points = run.curve.iter().map(|point| (x(point.nines), scale.y(point.milliseconds)));
        panel::line(&mut out, points, &format!("stroke=\"{}\"", colour(index)))?;
        panel::legend(&mut out, index, colour(index), &label(run))?;
    }
    Ok(out)
}
