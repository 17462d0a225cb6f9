//! The first look: the bare runtime loop of each combination beside that of the present settings, to
//! choose what is worth serving. Decides nothing.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::setting::{Numerics, Shape, smallest_near_best};
use crate::engine::{Run, Session};
use crate::tensor::{Tensor, concatenate};

/// A larger batch must gain this much to count as better; after two that don't no more are tried.
const BETTER: f64 = 1.02;

/// What the first look found of sessions.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Screened {
    #[serde(flatten)]
    pub(super) numerics: Numerics,
    #[serde(flatten)]
    pub(super) shape: Shape,
    /// By batch size: rows per second over those of the present settings' sessions, measured before
    /// and after.
    pub(super) ratios: Vec<(usize, f64)>,
    /// Why it could not be measured.
    pub(super) problem: Option<String>,
}

impl Screened {
    /// The batch size to serve with, and its ratio.
    pub(super) fn best(&self) -> Option<(usize, f64)> {
        smallest_near_best(&self.ratios)
    }
}

/// What the sessions of all combinations are compared by.
pub(super) struct Reference<'a> {
    pub(super) sessions: &'a mut [Session],
    pub(super) inputs: Vec<Tensor>,
    pub(super) rows: usize,
}

impl Reference<'_> {
    fn rate(&mut self, slice: Duration) -> Result<f64, String> {
        rate(self.sessions, (&self.inputs, self.rows), slice)
    }
}

/// The ratios of `sessions` for `sizes`, each measured for about `slice`.
pub(super) fn ratios(
    reference: &mut Reference<'_>,
    sessions: &mut [Session],
    (row, sizes): (&[Tensor], &[usize]),
    slice: Duration,
) -> Result<Vec<(usize, f64)>, String> {
    let before = reference.rate(slice)?;
    let (mut rates, mut best, mut stale) = (Vec::new(), 0.0_f64, 0);
    for &size in sizes {
        let inputs = repeated(row, size)?;
        let rate = rate(sessions, (&inputs, size), slice)?;
        rates.push((size, rate));
        stale = if rate < best * BETTER { stale + 1 } else { 0 };
        best = best.max(rate);
        if stale == 2 {
            break;
        }
    }
    let present = f64::midpoint(before, reference.rate(slice)?);
    if present <= 0.0 {
        return Err("the present settings ran nothing".to_owned());
    }
    Ok(rates.into_iter().map(|(size, rate)| (size, rate / present)).collect())
}

/// One row's inputs, `times` over along the batch axis.
pub(super) fn repeated(row: &[Tensor], times: usize) -> Result<Vec<Tensor>, String> {
    if times == 1 {
        return Ok(row.to_vec());
    }
    let again = |tensor| concatenate(&vec![tensor; times]).map_err(|error| error.to_string());
    row.iter().map(again).collect()
}

/// Rows per second of all sessions at once, a thread each.
fn rate(sessions: &mut [Session], batch: (&[Tensor], usize), slice: Duration) -> Result<f64, String> {
    std::thread::scope(|scope| {
        let running: Vec<_> =
            sessions.iter_mut().map(|session| scope.spawn(move || one(session, batch, slice))).collect();
        let rates =
            running.into_iter().map(|thread| thread.join().map_err(|_| "a run panicked".to_owned())?);
        rates.sum()
    })
}

/// The first run is not counted: memory is laid out for a new shape in it.
fn one(session: &mut Session, (inputs, rows): (&[Tensor], usize), slice: Duration) -> Result<f64, String> {
    let mut run = || session.run(inputs).map(drop).map_err(|error| error.to_string());
    run()?;
    let (begun, mut runs) = (Instant::now(), 0_usize);
    while begun.elapsed() < slice {
        run()?;
        runs += 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    let rows = (runs * rows) as f64;
    Ok(rows / begun.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_repeated_along_the_batch_axis() {
        let row = [Tensor::new(vec![1, 2], vec![1.0_f32, 2.0]).unwrap()];
        assert_eq!(repeated(&row, 3).unwrap()[0].shape(), [3, 2]);
        assert_eq!(repeated(&row, 1).unwrap()[0].shape(), [1, 2]);
    }
}
