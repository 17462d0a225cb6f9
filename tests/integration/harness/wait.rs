//! Waiting for a condition of the outside world, always with an end.

use std::thread;
use std::time::{Duration, Instant};

/// Long enough for anything on a busy machine; a test that gets here has failed.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Asks until there is an answer. Panics with `what` once `limit` has passed.
#[track_caller]
pub(crate) fn until<T>(what: &str, limit: Duration, ask: impl FnMut() -> Option<T>) -> T {
    at_most(limit, ask).unwrap_or_else(|| panic!("waited {limit:?} in vain for: {what}"))
}

/// Asks until there is an answer or `limit` has passed.
pub(crate) fn at_most<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        let answer = ask();
        if answer.is_some() || begun.elapsed() >= limit {
            return answer;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
