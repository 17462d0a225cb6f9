//! The closed loop: so many exchanges at once, each followed by the next, bounded in time and number.
//!
//! Knows neither HTTP nor models: it is given [`Exchange`]s and a probe of what to read when the
//! measurement begins and ends.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::arguments::Bounds;
use super::progress::Progress;
use super::tally::Tally;

/// One request and its answer, again and again.
pub(super) trait Exchange: Send + 'static {
    /// Makes one; when it did not go well, what it counts as.
    fn once(&mut self) -> impl Future<Output = Result<(), String>> + Send;
}

/// After a fault there is a pause: what refuses connections must not make this loop spin.
const FAULT_PAUSE: Duration = Duration::from_millis(1);

/// One measurement.
#[derive(Debug)]
pub(super) struct Measured<R> {
    pub(super) tally: Tally,
    pub(super) elapsed: Duration,
    /// What the probe read before and after.
    pub(super) readings: (R, R),
}

/// Runs all of `exchanges` side by side: first unmeasured, then measured. Nothing is in flight when
/// `probe` is called.
pub(super) async fn drive<E: Exchange, R>(
    exchanges: Vec<E>,
    bounds: Bounds,
    progress: &Progress,
    probe: impl AsyncFn() -> R,
) -> Measured<R> {
    let barrier = Arc::new(Barrier::new(exchanges.len() + 1));
    let left = Arc::new(AtomicU64::new(bounds.requests));
    let unlimited = Arc::new(AtomicU64::new(u64::MAX));
    let mut running = JoinSet::new();
    for mut exchange in exchanges {
        let (barrier, left, unlimited) = (Arc::clone(&barrier), Arc::clone(&left), Arc::clone(&unlimited));
        running.spawn(async move {
            repeat(&mut exchange, Instant::now() + bounds.warmup, &unlimited).await;
            barrier.wait().await;
            barrier.wait().await;
            repeat(&mut exchange, Instant::now() + bounds.duration, &left).await
        });
    }
    barrier.wait().await;
    let before = probe().await;
    progress.begin();
    let begun = Instant::now();
    barrier.wait().await;
    let mut tally = Tally::default();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            ended = running.join_next() => match ended {
                Some(Ok(counted)) => tally.merge(counted),
                Some(Err(_panicked)) => tally.bad("panic"),
                None => break,
            },
            _ = tick.tick() => {
                let sent = bounds.requests - left.load(Ordering::Relaxed);
                progress.show(begun.elapsed(), sent);
            }
        }
    }
    let elapsed = begun.elapsed();
    let after = probe().await;
    Measured { tally, elapsed, readings: (before, after) }
}

/// Repeats until `deadline`, or until `left` is used up.
async fn repeat(exchange: &mut impl Exchange, deadline: Instant, left: &AtomicU64) -> Tally {
    let mut tally = Tally::default();
    let mut begun = Instant::now();
    while begun < deadline && take(left) {
        match exchange.once().await {
            Ok(()) => {
                let ended = Instant::now();
                tally.good(ended - begun);
                begun = ended;
            }
            Err(kind) => {
                tally.bad(&kind);
                tokio::time::sleep(FAULT_PAUSE).await;
                begun = Instant::now();
            }
        }
    }
    tally
}

/// Takes one of what is left; false when nothing is.
pub(super) fn take(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scripted(u64);

    impl Exchange for Scripted {
        async fn once(&mut self) -> Result<(), String> {
            self.0 += 1;
            tokio::task::yield_now().await;
            if self.0.is_multiple_of(10) { Err("503".to_owned()) } else { Ok(()) }
        }
    }

    #[tokio::test]
    async fn exactly_as_many_requests_as_asked_for_and_every_error_counted() {
        let bounds = Bounds { warmup: Duration::ZERO, duration: Duration::from_mins(1), requests: 100 };
        let exchanges = vec![Scripted(0), Scripted(0)];
        let probes = AtomicU64::new(0);
        let probe = async || probes.fetch_add(1, Ordering::Relaxed);
        let measured = drive(exchanges, bounds, &Progress::hidden(), probe).await;
        let bad = measured.tally.errors().get("503").copied().unwrap_or(0);
        assert_eq!(measured.tally.ok() + bad, 100);
        assert!((8..=10).contains(&bad), "{bad}");
        assert_eq!(measured.readings, (0, 1));
    }
}
