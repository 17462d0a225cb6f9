//! Pieces of the hot path as callgrind counts them: `scripts/instructions/run.sh` runs each alone and
//! holds the count against `baseline.json`. Times differ from run to run; counts of one binary do not.
//!
//! Arguments: `list`, or the name of one bench. A bench makes what it needs, does its work a few times so
//! that buffers have grown and caches are filled, then does it [`CALLS`] times inside of
//! [`counted_instructions`], which is all that callgrind counts.

mod answers;
mod models;
mod requests;
mod schedule;
mod tensors;

use std::io::Write as _;

/// How often the work is done while it counts. `scripts/instructions/counts.py` divides by it.
const CALLS: usize = 10;
/// And before that.
const WARM: usize = 5;

type Fault = Box<dyn std::error::Error>;
type Bench = (&'static str, fn() -> Result<(), Fault>);

fn main() -> Result<(), Fault> {
    let wanted = std::env::args().nth(1).ok_or("expected `list` or a bench's name")?;
    let benches: Vec<Bench> =
        [requests::BENCHES.as_slice(), &answers::BENCHES, &tensors::BENCHES, &schedule::BENCHES].concat();
    if wanted == "list" {
        for (name, _) in benches {
            writeln!(std::io::stdout(), "{name}")?;
        }
        return Ok(());
    }
    let (_, run) = benches.iter().find(|(name, _)| *name == wanted).ok_or("there is no such bench")?;
    run()
}

/// Counts what `work` does to each of the inputs that `make` gives.
fn count<I, O>(
    make: impl Fn() -> Result<I, Fault>,
    work: impl Fn(I) -> Result<O, Fault>,
) -> Result<(), Fault> {
    for _ in 0..WARM {
        work(make()?)?;
    }
    let mut inputs = (0..CALLS).map(|_| make()).collect::<Result<Vec<I>, Fault>>()?;
    let mut failed = None;
    counted_instructions(&mut || {
        // There are as many inputs as calls.
        let Some(input) = inputs.pop() else { return };
        match work(std::hint::black_box(input)) {
            Ok(output) => drop(std::hint::black_box(output)),
            Err(fault) => failed = Some(fault),
        }
    });
    failed.map_or(Ok(()), Err)
}

/// Callgrind counts while this runs, and knows it by its name.
#[inline(never)]
fn counted_instructions(work: &mut dyn FnMut()) {
    for _ in 0..CALLS {
        work();
    }
}
