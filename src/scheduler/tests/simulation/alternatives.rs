//! What others do, over the same sessions: first come, first served; a bounded queue; no look at deadlines.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::clock::{Started, Step, Strategy};
use super::world::{CAPACITY, World};

/// What runs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// One request.
    Single,
    /// So many rows, or what has come when the oldest has waited for so long.
    Wait { rows: usize, delay: Duration },
    /// What waits, in order, up to so many padded tokens.
    Greedy { tokens: usize },
}

/// A strategy of which a `Rule` is most.
pub(super) struct Alternative {
    rule: Rule,
    /// Requests whose client has gone are skipped.
    skips_gone: bool,
    queues: Vec<VecDeque<Waiting>>,
    depth: Vec<usize>,
    free_slots: usize,
    free_sessions: Vec<Vec<usize>>,
    running: Vec<Option<Running>>,
    /// Per request: rows that are not done, and whether its client has gone.
    requests: Vec<(usize, bool)>,
}

struct Waiting {
    request: usize,
    rows: Range<usize>,
    at: Instant,
}

struct Running {
    model: usize,
    session: usize,
    members: Vec<(usize, Range<usize>)>,
}

impl Alternative {
    /// Each request by itself.
    pub(super) fn single(world: &World) -> Self {
        Self::new(world, Rule::Single)
    }

    /// Triton's dynamic batcher with a preferred size of 8 and a delay of 5 ms.
    pub(super) fn fixed_delay(world: &World) -> Self {
        Self::new(world, Rule::Wait { rows: 8, delay: Duration::from_millis(5) })
    }

    /// A full batch, or what there is after 100 ms.
    pub(super) fn fixed_size(world: &World) -> Self {
        Self::new(world, Rule::Wait { rows: usize::MAX, delay: Duration::from_millis(100) })
    }

    /// What text-embeddings-inference does: the budget of tokens is its default, and who has gone is skipped.
    pub(super) fn greedy(world: &World) -> Self {
        Self { skips_gone: true, ..Self::new(world, Rule::Greedy { tokens: 16_384 }) }
    }

    fn new(world: &World, rule: Rule) -> Self {
        let sessions = world.models.iter().map(|model| (0..model.sessions).collect());
        Self {
            rule,
            skips_gone: false,
            queues: world.models.iter().map(|_| VecDeque::new()).collect(),
            depth: vec![0; world.models.len()],
            free_slots: world.slots,
            free_sessions: sessions.collect(),
            running: Vec::new(),
            requests: vec![(0, false); world.arrivals.len()],
        }
    }

    fn drop_gone(&mut self, model: usize) {
        while let Some(first) = self.queues[model].front() {
            if !(self.skips_gone && self.requests[first.request].1) {
                return;
            }
            self.depth[model] -= first.rows.len();
            self.queues[model].pop_front();
        }
    }

    /// When a model's next batch may start.
    fn starts(&self, world: &World, model: usize) -> Option<Instant> {
        let first = self.queues[model].front()?;
        match self.rule {
            Rule::Wait { rows, delay } if self.depth[model] < rows.min(world.models[model].most_rows) => {
                Some(first.at + delay)
            }
            _ => Some(first.at),
        }
    }

    fn take(&mut self, world: &World, model: usize) -> Vec<(usize, Range<usize>)> {
        let most = world.models[model].most_rows;
        let (mut members, mut rows, mut width) = (Vec::new(), 0, 1);
        while let Some(first) = self.queues[model].front_mut() {
            if rows == most || (self.rule == Rule::Single && rows > 0) {
                break;
            }
            if self.skips_gone && self.requests[first.request].1 {
                self.depth[model] -= first.rows.len();
                self.queues[model].pop_front();
                continue;
            }
            let lengths = &world.arrivals[first.request].lengths;
            let mut taken = 0;
            for row in first.rows.clone().take(most - rows) {
                let wider = width.max(lengths[row] as usize);
                let fits = match self.rule {
                    Rule::Greedy { tokens } => rows + taken == 0 || (rows + taken + 1) * wider <= tokens,
                    _ => true,
                };
                if !fits {
                    break;
                }
                (taken, width) = (taken + 1, wider);
            }
            if taken == 0 {
                break;
            }
            members.push((first.request, first.rows.start..first.rows.start + taken));
            first.rows.start += taken;
            rows += taken;
            self.depth[model] -= taken;
            if !first.rows.is_empty() {
                break;
            }
            self.queues[model].pop_front();
        }
        members
    }
}

impl Strategy for Alternative {
    fn submit(&mut self, request: usize, world: &World, now: Instant) -> bool {
        let arrival = &world.arrivals[request];
        let (model, rows) = (arrival.model, arrival.lengths.len());
        if self.depth[model] > 0 && self.depth[model] + rows > CAPACITY {
            return false;
        }
        self.depth[model] += rows;
        self.requests[request].0 = rows;
        self.queues[model].push_back(Waiting { request, rows: 0..rows, at: now });
        true
    }

    fn leave(&mut self, request: usize, _: Instant) {
        self.requests[request].1 = true;
    }

    fn next(&mut self, world: &World, now: Instant) -> Step {
        if self.free_slots == 0 {
            return Step::Idle(None);
        }
        let (mut ready, mut wake): (Option<(Instant, usize)>, Option<Instant>) = (None, None);
        for model in 0..self.queues.len() {
            self.drop_gone(model);
            if self.free_sessions[model].is_empty() {
                continue;
            }
            let Some(starts) = self.starts(world, model) else { continue };
            if starts <= now {
                let oldest = self.queues[model].front().map_or(now, |first| first.at);
                ready = Some(ready.map_or((oldest, model), |other| other.min((oldest, model))));
            } else {
                wake = Some(wake.map_or(starts, |other| other.min(starts)));
            }
        }
        let Some((_, model)) = ready else { return Step::Idle(wake) };
        let members = self.take(world, model);
        let session = self.free_sessions[model].pop().expect("it is ready");
        self.free_slots -= 1;
        let of = |(request, rows): &(usize, Range<usize>)| &world.arrivals[*request].lengths[rows.clone()];
        let lengths = || members.iter().flat_map(of).map(|length| *length as usize);
        let run = self.running.iter().position(Option::is_none).unwrap_or(self.running.len());
        let (tokens, width) = (lengths().sum(), lengths().max().unwrap_or(1));
        let started = Started { run, model, session, members: members.clone(), tokens, width };
        if run == self.running.len() {
            self.running.push(None);
        }
        self.running[run] = Some(Running { model, session, members });
        Step::Run(started)
    }

    fn ended(&mut self, run: usize, _: Duration, _: Instant) -> Vec<usize> {
        let Running { model, session, members } = self.running[run].take().expect("it ran");
        self.free_slots += 1;
        self.free_sessions[model].push(session);
        let mut answered = Vec::new();
        for (request, rows) in members {
            let (left, _) = &mut self.requests[request];
            *left -= rows.len();
            if *left == 0 {
                answered.push(request);
            }
        }
        answered
    }

    fn gave_up(&self, request: usize) -> bool {
        self.skips_gone && self.requests[request].1
    }
}
