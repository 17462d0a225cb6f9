//! Virtual time: a heap of events over a strategy that says who is let in and what runs next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::world::{World, normal};

/// How far run times spread about the truth.
const NOISE: f64 = 0.05;

/// Who is let in and what runs next. Requests are named by their index among the arrivals.
pub(super) trait Strategy {
    /// Lets a request in, or not.
    fn submit(&mut self, request: usize, world: &World, now: Instant) -> bool;
    /// The client has gone.
    fn leave(&mut self, request: usize, now: Instant);
    /// What runs now.
    fn next(&mut self, world: &World, now: Instant) -> Step;
    /// A run has ended; the requests that are answered by it.
    fn ended(&mut self, run: usize, took: Duration, now: Instant) -> Vec<usize>;
    /// A request that waited was given up.
    fn gave_up(&self, request: usize) -> bool;
}

/// A step of a strategy.
pub(super) enum Step {
    Run(Started),
    /// Nothing before this; none = until something happens.
    Idle(Option<Instant>),
}

/// A run that begins.
pub(super) struct Started {
    /// The strategy's name for it.
    pub(super) run: usize,
    pub(super) model: usize,
    pub(super) session: usize,
    /// Which rows, in the order in which the request's rows run.
    pub(super) members: Vec<(usize, Range<usize>)>,
    /// Their own tokens together.
    pub(super) tokens: usize,
    /// The widest row.
    pub(super) width: usize,
}

/// What became of a request.
#[derive(Clone, Copy, Default)]
pub(super) struct Fate {
    pub(super) admitted: bool,
    /// Nanoseconds from the start.
    pub(super) answered: Option<u64>,
    /// Rows of its model that waited when it came.
    pub(super) ahead: usize,
    /// Batches with a row that came later, while rows of it waited that were not in it.
    pub(super) passed_over: usize,
    left: usize,
}

/// What was seen.
pub(super) struct Seen {
    pub(super) fates: Vec<Fate>,
    /// Tokens of rows, and of rows with their padding.
    pub(super) tokens: (usize, usize),
    pub(super) batches: usize,
    /// Rows that waited after each event.
    pub(super) depths: Vec<(u64, usize)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ended(usize),
    Left(usize),
    Came(usize),
    Wake,
}

struct Clock<'a> {
    world: &'a World,
    epoch: Instant,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    rng: Rng,
    seen: Seen,
    /// Per model, the requests of which rows wait, the oldest first.
    waiting: Vec<Vec<usize>>,
    depth: Vec<usize>,
    took: Vec<Duration>,
    /// The earliest wake-up that is set.
    wake: Option<u64>,
}

/// Lives through a world.
pub(super) fn simulate(world: &World, strategy: &mut dyn Strategy) -> Seen {
    let seen = Seen {
        fates: vec![Fate::default(); world.arrivals.len()],
        tokens: (0, 0),
        batches: 0,
        depths: Vec::new(),
    };
    let mut clock = Clock {
        world,
        epoch: Instant::now(),
        events: BinaryHeap::new(),
        rng: Rng::with_seed(11),
        seen,
        waiting: vec![Vec::new(); world.models.len()],
        depth: vec![0; world.models.len()],
        took: Vec::new(),
        wake: None,
    };
    clock.events.push(Reverse((world.arrivals.first().map_or(0, |first| first.at), Event::Came(0))));
    while let Some(Reverse((at, event))) = clock.events.pop() {
        clock.happens(at, event, strategy);
        clock.run_what_can(at, strategy);
        clock.seen.depths.push((at, clock.depth.iter().sum()));
    }
    clock.seen
}

impl Clock<'_> {
    fn instant(&self, at: u64) -> Instant {
        self.epoch + Duration::from_nanos(at)
    }

    fn happens(&mut self, at: u64, event: Event, strategy: &mut dyn Strategy) {
        let now = self.instant(at);
        match event {
            Event::Came(request) => {
                let Some(arrival) = self.world.arrivals.get(request) else { return };
                if let Some(next) = self.world.arrivals.get(request + 1) {
                    self.events.push(Reverse((next.at, Event::Came(request + 1))));
                }
                if strategy.submit(request, self.world, now) {
                    let (model, rows) = (arrival.model, arrival.lengths.len());
                    let ahead = self.depth[model];
                    self.seen.fates[request] = Fate { admitted: true, ahead, left: rows, ..Fate::default() };
                    self.waiting[model].push(request);
                    self.depth[model] += rows;
                    let patience = (self.world.patience * 1e9) as u64;
                    self.events.push(Reverse((at + patience, Event::Left(request))));
                }
            }
            Event::Left(request) => {
                if self.seen.fates[request].answered.is_none() {
                    strategy.leave(request, now);
                    if strategy.gave_up(request) {
                        self.forget(request);
                    }
                }
            }
            Event::Ended(run) => {
                for request in strategy.ended(run, self.took[run], now) {
                    self.seen.fates[request].answered = Some(at);
                }
            }
            Event::Wake => self.wake = self.wake.filter(|wake| *wake > at),
        }
    }

    fn run_what_can(&mut self, at: u64, strategy: &mut dyn Strategy) {
        let now = self.instant(at);
        loop {
            match strategy.next(self.world, now) {
                Step::Run(started) => self.begin(at, &started, strategy),
                Step::Idle(until) => {
                    if let Some(until) = until {
                        let until = until.saturating_duration_since(self.epoch).as_nanos() as u64;
                        let until = until.max(at + 1);
                        if self.wake.is_none_or(|wake| until < wake) {
                            self.wake = Some(until);
                            self.events.push(Reverse((until, Event::Wake)));
                        }
                    }
                    return;
                }
            }
        }
    }

    fn begin(&mut self, at: u64, started: &Started, strategy: &dyn Strategy) {
        let rows: usize = started.members.iter().map(|(_, rows)| rows.len()).sum();
        let truth = self.world.models[started.model].truth;
        let noise = (NOISE * normal(&mut self.rng)).exp();
        let trouble = (self.world.trouble)(started.session, at as f64 / 1e9);
        let took = Duration::from_secs_f64(truth.seconds(rows, started.width) * noise * trouble);
        if self.took.len() <= started.run {
            self.took.resize(started.run + 1, Duration::ZERO);
        }
        self.took[started.run] = took;
        self.events.push(Reverse((at + took.as_nanos() as u64, Event::Ended(started.run))));
        self.seen.batches += 1;
        self.seen.tokens.0 += started.tokens;
        self.seen.tokens.1 += rows * started.width;
        for (request, rows) in &started.members {
            self.seen.fates[*request].left -= rows.len();
            self.depth[started.model] -= rows.len();
        }
        self.count_passed_over(started, strategy);
    }

    fn count_passed_over(&mut self, started: &Started, strategy: &dyn Strategy) {
        let Some(newest) = started.members.iter().map(|(request, _)| *request).max() else { return };
        let mut members: Vec<usize> = started.members.iter().map(|(request, _)| *request).collect();
        members.sort_unstable();
        let mut waiting = std::mem::take(&mut self.waiting[started.model]);
        waiting.retain(|&request| {
            let gone = self.seen.fates[request].left > 0 && strategy.gave_up(request);
            if gone {
                self.depth[started.model] -= std::mem::take(&mut self.seen.fates[request].left);
            }
            self.seen.fates[request].left > 0
        });
        for &request in waiting.iter().take_while(|request| **request < newest) {
            if members.binary_search(&request).is_err() {
                self.seen.fates[request].passed_over += 1;
            }
        }
        self.waiting[started.model] = waiting;
    }

    fn forget(&mut self, request: usize) {
        let model = self.world.arrivals[request].model;
        self.depth[model] -= std::mem::take(&mut self.seen.fates[request].left);
        if let Ok(position) = self.waiting[model].binary_search(&request) {
            self.waiting[model].remove(position);
        }
    }
}
