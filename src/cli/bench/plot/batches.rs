//! How many rows the batches had: for each run the share of its batches by their rows.

use std::fmt::Write as _;

use super::panel::{self, BOTTOM, LEFT, Linear, RIGHT, TOP};
use super::{Run, colour, label};
use crate::cli::bench::{figures, tally};

/// Columns that are drawn even where they are empty, so that bars stay bars.
const LEAST: usize = 4;

/// Nothing where no server told.
pub(super) fn draw(runs: &[Run]) -> Result<Option<String>, std::fmt::Error> {
    let told = || runs.iter().enumerate().filter(|(_, run)| !run.batch_sizes.is_empty());
    // Up to the last bucket that any run filled.
    let filled = |run: &Run| run.batch_sizes.iter().rposition(|size| size.batches > 0).map_or(0, |at| at + 1);
    let buckets = told().map(|(_, run)| filled(run)).max().unwrap_or(0);
    let buckets = if buckets == 0 { 0 } else { buckets.max(LEAST) };
    let Some((_, first)) = told().next().filter(|_| buckets > 0) else { return Ok(None) };
    let mut out = String::new();
    panel::titles(&mut out, "Sizes of batches", "rows of a batch")?;
    let axis = Linear::new(100.0);
    for step in axis.steps() {
        let y = BOTTOM - axis.share(step) * (BOTTOM - TOP);
        writeln!(out, "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"#ddd\"/>")?;
        panel::horizontal_label(&mut out, y, &format!("{step} %"))?;
    }
    let float = |count: usize| u32::try_from(count).map_or(1.0, f64::from);
    let column = (RIGHT - LEFT) / float(buckets);
    let bar = column * 0.8 / float(told().count());
    for (at, name) in figures::bucket_names(&first.batch_sizes).iter().take(buckets).enumerate() {
        let x = LEFT + (float(at) + 0.5) * column;
        writeln!(out, "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>", BOTTOM + 18.0)?;
    }
    for (row, (index, run)) in told().enumerate() {
        let all: u64 = run.batch_sizes.iter().map(|size| size.batches).sum();
        for (at, size) in run.batch_sizes.iter().take(buckets).enumerate() {
            let height = axis.share(tally::share(size.batches, all) * 100.0) * (BOTTOM - TOP);
            let x = LEFT + (float(at) + 0.1) * column + float(row) * bar;
            writeln!(
                out,
                "<rect class=\"bar\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{bar:.1}\" height=\"{height:.1}\" fill=\"{}\"/>",
                BOTTOM - height,
                colour(index)
            )?;
        }
        panel::legend(&mut out, row, colour(index), &label(run))?;
    }
    Ok(Some(out))
}
