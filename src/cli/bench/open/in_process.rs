//! The open loop in process: this thread keeps the schedule and hands each request to the executor.

use std::future::Future;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::{Counted, DRAIN, Due, GLANCE, MeasuredOpen, Outcome, Plan, nanos, since, wake_in_time};
use crate::cli::bench::progress::Progress;

/// Someone who can be asked any number of times at once.
pub(in crate::cli::bench) trait Asks: Send + Sync + 'static {
    /// Asks once; the status of the answer.
    fn ask(&self, timeout: Option<Duration>) -> impl Future<Output = u16> + Send;
}

/// What the thread of the schedule shares with the answers.
struct Shared {
    state: Mutex<State>,
    /// Something is free again, or all is.
    freed: Condvar,
}

#[derive(Default)]
struct State {
    counted: Counted,
    in_flight: usize,
    is_waiting: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in flight: it ends once, also by a panic.
struct Asked {
    shared: Arc<Shared>,
    intended: u64,
    begun: Instant,
    deadline: Option<Duration>,
    outcome: Outcome,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let now = since(self.begun);
        let mut state = self.shared.state();
        state.counted.ends((self.intended, now), &self.outcome, self.deadline);
        state.in_flight -= 1;
        if state.is_waiting {
            self.shared.freed.notify_one();
        }
    }
}

/// Measures: first unmeasured, then measured. Nothing is in flight when `probe` is called.
pub(in crate::cli::bench) fn measure<R>(
    asks: &Arc<impl Asks>,
    executor: &Handle,
    plan: &Plan,
    progress: &Progress,
    probe: impl Fn() -> R,
) -> MeasuredOpen<R> {
    wake_in_time();
    run(asks, executor, &plan.warmup(), None);
    let before = probe();
    progress.begin();
    let counted = run(asks, executor, plan, Some(progress));
    plan.measured(counted, (before, probe()))
}

fn run(asks: &Arc<impl Asks>, executor: &Handle, plan: &Plan, progress: Option<&Progress>) -> Counted {
    let shared = Arc::new(Shared { state: Mutex::default(), freed: Condvar::new() });
    let begun = Instant::now();
    let (mut pacer, mut is_over, mut glances_at) = (plan.pacer(), false, 0);
    let drained = plan.end().saturating_add(nanos(DRAIN));
    let mut state = shared.state();
    loop {
        while !is_over {
            let now = since(begun);
            let Some(due) = pacer.take(now, || state.in_flight < plan.in_flight) else {
                is_over = pacer.is_over() || now >= plan.end();
                break;
            };
            state.counted.sends(due, now);
            state.in_flight += 1;
            state.counted.most_in_flight = state.counted.most_in_flight.max(state.in_flight);
            drop(state);
            send(asks, executor, (due, begun, plan.deadline), &shared);
            state = shared.state();
        }
        let now = since(begun);
        if let Some(progress) = progress.filter(|_| now >= glances_at) {
            progress.show(Duration::from_nanos(now), state.counted.sent());
        }
        if now >= glances_at {
            glances_at = now + GLANCE;
        }
        if is_over && (state.in_flight == 0 || now >= drained) {
            break;
        }
        let next = if is_over { None } else { pacer.wakes_at() };
        state.is_waiting = next.is_none();
        let wait = next.map_or(glances_at, |next| next.min(glances_at)).saturating_sub(now);
        let woken = shared.freed.wait_timeout(state, Duration::from_nanos(wait));
        state = woken.unwrap_or_else(PoisonError::into_inner).0;
    }
    let mut counted = std::mem::take(&mut state.counted);
    for _ in 0..state.in_flight {
        counted.answers.bad("timeout");
    }
    counted.unsent = pacer.unsent();
    counted
}

fn send(
    asks: &Arc<impl Asks>,
    executor: &Handle,
    (due, begun, deadline): (Due, Instant, Option<Duration>),
    shared: &Arc<Shared>,
) {
    let (asks, shared) = (Arc::clone(asks), Arc::clone(shared));
    executor.spawn(async move {
        let outcome = Outcome::Fault("panic");
        let mut asked = Asked { shared, intended: due.intended, begun, deadline, outcome };
        asked.outcome = Outcome::Status(asks.ask(deadline).await);
    });
}
