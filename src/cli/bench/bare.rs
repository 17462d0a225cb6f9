//! The bare runtime loop: each session on a thread of its own, run after run, nothing in between.
//!
//! What a server could reach if queues, JSON and sockets cost nothing. Runs go through `engine`'s
//! own call, which copies the outputs out of the runtime, as any use of them must.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::arguments::Bounds;
use super::figures;
use super::progress::Progress;
use super::report::{self, Bare};
use super::tally::Tally;
use crate::engine::{Run, Session};
use crate::service::LoadedModel;
use crate::tensor::{Tensor, concatenate};

/// How often the progress bar moves.
const GLANCE: Duration = Duration::from_millis(50);

/// Measures the loop for each batch size, all of them within the time of one measurement.
///
/// # Errors
/// When the rows can't be put together.
pub(super) fn measure(
    loaded: &mut LoadedModel,
    row: &[Tensor],
    sizes: &[usize],
    bounds: Bounds,
) -> Result<Vec<Bare>, String> {
    let sizes = batch_sizes(sizes, loaded.facts.batchable, loaded.facts.max_batch_size)?;
    let share = u32::try_from(sizes.len()).unwrap_or(u32::MAX).max(1);
    let bounds = Bounds { duration: bounds.duration / share, warmup: bounds.warmup / share, ..bounds };
    let mut measured = Vec::new();
    for size in sizes {
        let inputs = repeated(row, size)?;
        let progress = Progress::new(format!("bare loop, batch {size}"), bounds);
        let sessions = &mut loaded.sessions;
        let warm = Bounds { duration: bounds.warmup, requests: u64::MAX, ..bounds };
        run_all(sessions, &inputs, warm, &progress);
        let (cpu, begun) = (figures::own_cpu(), Instant::now());
        let counted = run_all(sessions, &inputs, bounds, &progress);
        let spent = (begun.elapsed(), figures::own_cpu() - cpu);
        measured.push(report::bare(size, loaded.sessions.len(), &counted, spent));
    }
    Ok(measured)
}

/// The sizes asked for, or powers of two up to the model's limit.
fn batch_sizes(asked: &[usize], batchable: bool, most: usize) -> Result<Vec<usize>, String> {
    if !batchable && asked.iter().any(|&size| size > 1) {
        return Err("--batch: this model takes one row a run".to_owned());
    }
    if !asked.is_empty() {
        return Ok(asked.to_vec());
    }
    let powers = std::iter::successors(Some(1_usize), |size| size.checked_mul(2));
    Ok(powers.take_while(|&size| size <= most.max(1)).collect())
}

/// One row's inputs, `times` over along the batch axis.
fn repeated(row: &[Tensor], times: usize) -> Result<Vec<Tensor>, String> {
    if times == 1 {
        return Ok(row.to_vec());
    }
    let again = |tensor| concatenate(&vec![tensor; times]).map_err(|error| error.to_string());
    row.iter().map(again).collect()
}

fn run_all(sessions: &mut [Session], inputs: &[Tensor], bounds: Bounds, progress: &Progress) -> Tally {
    let left = AtomicU64::new(bounds.requests);
    let begun = Instant::now();
    let deadline = begun + bounds.duration;
    let (done, finished) = mpsc::channel();
    std::thread::scope(|scope| {
        for session in sessions {
            let (done, left) = (done.clone(), &left);
            // The receiver is there until every thread has sent.
            scope.spawn(move || drop(done.send(run_one(session, inputs, deadline, left))));
        }
        drop(done);
        let mut all = Tally::default();
        loop {
            match finished.recv_timeout(GLANCE) {
                Ok(tally) => all.merge(tally),
                Err(mpsc::RecvTimeoutError::Disconnected) => return all,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    progress.show(begun.elapsed(), bounds.requests - left.load(Ordering::Relaxed));
                }
            }
        }
    })
}

fn run_one(session: &mut Session, inputs: &[Tensor], deadline: Instant, left: &AtomicU64) -> Tally {
    let mut tally = Tally::default();
    let mut begun = Instant::now();
    while begun < deadline && super::drive::take(left) {
        let result = session.run(inputs);
        let ended = Instant::now();
        match result {
            Ok(_outputs) => tally.good(ended - begun),
            Err(error) => tally.bad(&error.to_string()),
        }
        begun = ended;
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_two_unless_asked_for() {
        assert_eq!(batch_sizes(&[], true, 32), Ok(vec![1, 2, 4, 8, 16, 32]));
        assert_eq!(batch_sizes(&[], true, 5), Ok(vec![1, 2, 4]));
        assert_eq!(batch_sizes(&[], false, 1), Ok(vec![1]));
        assert_eq!(batch_sizes(&[3], true, 32), Ok(vec![3]));
        assert!(batch_sizes(&[3], false, 1).is_err());
    }

    #[test]
    fn a_row_is_repeated_along_the_batch_axis() {
        let row = [Tensor::new(vec![1, 2], vec![1.0_f32, 2.0]).unwrap()];
        assert_eq!(repeated(&row, 3).unwrap()[0].shape(), [3, 2]);
        assert_eq!(repeated(&row, 1).unwrap()[0].shape(), [1, 2]);
    }
}
