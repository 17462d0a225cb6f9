//! What clients saw: goodput, latency, refusals; and what it took: padding, batches, who was passed over.

use super::clock::{Fate, Seen, Strategy, simulate};
use super::world::World;

/// A strategy's name and its making.
pub(super) type Named = (&'static str, fn(&World) -> Box<dyn Strategy>);

/// All of them, ours first.
pub(super) const STRATEGIES: [Named; 5] = [
    ("this scheduler", |world| Box::new(super::ours::Ours::new(world))),
    ("one by one", |world| Box::new(super::alternatives::Alternative::single(world))),
    ("fixed delay, 5 ms", |world| Box::new(super::alternatives::Alternative::fixed_delay(world))),
    ("fixed size", |world| Box::new(super::alternatives::Alternative::fixed_size(world))),
    ("greedy, in order", |world| Box::new(super::alternatives::Alternative::greedy(world))),
];

/// What came of a world.
pub(super) struct Outcome {
    pub(super) seen: Seen,
    /// Per request of those looked at, in order: when it came, and its fate.
    requests: Vec<(u64, Fate)>,
    seconds: f64,
    patience: u64,
}

/// Lives through a world by our own strategy.
pub(super) fn ours(world: &World) -> Outcome {
    Outcome::of(world, STRATEGIES[0])
}

impl Outcome {
    pub(super) fn of(world: &World, (_, strategy): Named) -> Self {
        let seen = simulate(world, strategy(world).as_mut());
        let of = |(arrival, fate): (&super::world::Arrival, &Fate)| (arrival.at, *fate);
        let requests = world.arrivals.iter().zip(&seen.fates).map(of).collect();
        let patience = (world.patience * 1e9) as u64;
        Self { seen, requests, seconds: world.seconds, patience }
    }

    /// The requests of which `keep` says so, by index.
    pub(super) fn only(mut self, keep: impl Fn(usize) -> bool) -> Self {
        let mut index = 0;
        self.requests.retain(|_| {
            index += 1;
            keep(index - 1)
        });
        self
    }

    /// Latency of those that came from one second to another and were let in, in seconds, sorted: who was
    /// not answered waited as long as it would.
    pub(super) fn latencies(&self, from: f64, until: f64) -> Vec<f64> {
        let (from, until) = ((from * 1e9) as u64, (until * 1e9) as u64);
        let came = self.requests.iter().filter(|(at, fate)| fate.admitted && (from..until).contains(at));
        let waited =
            |(at, fate): &(u64, Fate)| fate.answered.map_or(self.patience, |end| end - at).min(self.patience);
        let mut all: Vec<f64> = came.map(|request| waited(request) as f64 / 1e9).collect();
        all.sort_unstable_by(f64::total_cmp);
        all
    }

    /// A percentile of the latency of those that were let in.
    pub(super) fn latency(&self, share: f64) -> f64 {
        percentile(&self.latencies(0.0, self.seconds), share)
    }

    fn is_good(&self, (at, fate): &(u64, Fate)) -> bool {
        fate.answered.is_some_and(|end| end - at <= self.patience)
    }

    fn count(&self, is: impl Fn(&(u64, Fate)) -> bool) -> f64 {
        self.requests.iter().filter(|request| is(request)).count() as f64
    }

    /// Answers in time, a second, as long as requests came: what drains afterwards counts for nobody.
    pub(super) fn goodput(&self) -> f64 {
        let end = (self.seconds * 1e9) as u64;
        self.count(|request| self.is_good(request) && request.1.answered.is_some_and(|at| at <= end))
            / self.seconds
    }

    /// Of those that came, the share that was answered in time.
    pub(super) fn served(&self) -> f64 {
        self.count(|request| self.is_good(request)) / (self.requests.len() as f64).max(1.0)
    }

    /// Of those that came, the share that was let in.
    pub(super) fn admitted(&self) -> f64 {
        self.count(|(_, fate)| fate.admitted) / (self.requests.len() as f64).max(1.0)
    }

    /// Of those that were let in, the share that was answered in time.
    pub(super) fn kept(&self) -> f64 {
        self.count(|request| self.is_good(request)) / self.count(|(_, fate)| fate.admitted).max(1.0)
    }

    /// Of the tokens that were run, the share that was padding.
    pub(super) fn padding(&self) -> f64 {
        1.0 - self.seen.tokens.0 as f64 / (self.seen.tokens.1 as f64).max(1.0)
    }

    /// Rows a batch.
    pub(super) fn batch(&self) -> f64 {
        self.count(|(_, fate)| fate.answered.is_some()) / (self.seen.batches as f64).max(1.0)
    }

    /// The most batches that any request was passed over by.
    pub(super) fn passed_over(&self) -> usize {
        self.requests.iter().map(|(_, fate)| fate.passed_over).max().unwrap_or(0)
    }

    /// Whether nobody was passed over by more batches than there were rows before it when it came.
    pub(super) fn is_fair(&self) -> bool {
        self.requests.iter().all(|(_, fate)| fate.passed_over <= fate.ahead)
    }
}

/// A percentile of sorted values; 0 of none.
pub(super) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0.0)
}
