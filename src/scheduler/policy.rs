//! Which waiting rows run together next: pure, so that it can be simulated. Called by workers under
//! the device's lock.
//!
//! A worker takes what waits, up to the limits, and never waits for more unless `max_queue_delay` says
//! so; while its batch runs, the next one forms. Every batch holds the oldest row that waits (of the
//! most urgent priority): so a row is passed over by at most as many batches as there were rows before
//! it when it came, whatever shapes come after it. Where rows are padded, a row joins only if that
//! costs less than running it by itself: short texts don't pay for long ones.

use std::time::{Duration, Instant};

use super::cost::CostModel;

/// How many waiting jobs are looked at for a batch, at most: this many times the rows that fit.
const WINDOW: usize = 4;
/// And at most so many.
const LARGEST_WINDOW: usize = 256;
/// Of so many batches one may be larger than the best is thought to be, and one is smaller, to learn
/// whether it still is the best.
const PROBE_EVERY: u32 = 16;
/// What sums of floating-point numbers may be off by.
const ROUNDING: f64 = 1e-6;
/// A batch that takes longer than this, in seconds, is shared out over all free slots: waking another
/// worker costs some microseconds.
const WORTH_SHARING: f64 = 300e-6;

/// What the policy sees of a waiting job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// Jobs of one group can share a batch.
    pub(super) group: u64,
    /// Runs by itself and whole, as with optional inputs.
    pub(super) is_alone: bool,
    /// Rows that are left to run.
    pub(super) rows: usize,
    /// The widest of them: tokens, or elements; 1 where all are of one shape.
    pub(super) width: usize,
    /// When it came.
    pub(super) enqueued: Instant,
    /// Not run after this.
    pub(super) deadline: Instant,
}

/// Bounds of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Most rows of one run.
    pub max_rows: usize,
    /// Most rows times widest row of one run, where rows have tokens.
    pub max_tokens: Option<usize>,
    /// How long a job may wait for company although a slot is free.
    pub max_delay: Duration,
}

/// One model's queue as the policy sees it, with what may be done now.
pub(super) struct View<'a> {
    pub(super) limits: BatchLimits,
    pub(super) cost: &'a CostModel,
    /// Whether rows of different widths may share a batch, the shorter ones padded.
    pub(super) pads: bool,
    /// Rows that wait, of all jobs.
    pub(super) queued_rows: usize,
    /// Batches that could start now, this one included.
    pub(super) free_slots: usize,
    /// Batches of this model so far.
    pub(super) batches: u32,
    /// Nothing more will come.
    pub(super) is_closing: bool,
}

impl View<'_> {
    /// Most rows of `width` in one run: at least one, which has to run some time. Where batches are filled up
    /// it is a bucket, so that what is filled up stays within the bounds.
    fn most_rows(&self, width: usize) -> usize {
        let tokens = self.limits.max_tokens.unwrap_or(usize::MAX);
        let most = self.limits.max_rows.min(tokens / width.max(1)).max(1);
        self.cost.buckets().filled(most).unwrap_or(most)
    }

    /// The width at which a row of `width` is run.
    fn width(&self, width: usize) -> usize {
        self.cost.buckets().width(width.max(1))
    }
}

/// A part of a waiting job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pick {
    /// Its position in the queue.
    pub(super) position: usize,
    /// How many of its rows.
    pub(super) rows: usize,
}

/// Why a batch holds no more than it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// No more rows would have fitted, or paid.
    Full,
    /// It held company off for as long as it may wait.
    Timeout,
    /// Nothing else waited.
    Drain,
    /// Its only job runs by itself.
    Single,
}

impl Reason {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Timeout => "timeout",
            Self::Drain => "drain",
            Self::Single => "single",
        }
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Run these, which are ordered by position.
    Run(Vec<Pick>, Reason),
    /// Nothing before this, unless something comes.
    Wait(Instant),
}

/// What becomes of the jobs in `waiting`, which stand in their order; the first one is in it whatever
/// is decided. None when nothing waits.
pub(super) fn form<'a>(
    view: &View<'_>,
    waiting: impl Iterator<Item = &'a Waiting>,
    now: Instant,
) -> Option<Decision> {
    let mut waiting = waiting.enumerate();
    let (_, head) = waiting.next()?;
    let mut batch = Batch::begun_with(head, view);
    if head.is_alone {
        return Some(Decision::Run(batch.picks, Reason::Single));
    }
    let window = view.limits.max_rows.saturating_mul(WINDOW).min(LARGEST_WINDOW);
    let fitting = waiting.take(window).filter(|(_, job)| job.group == head.group && !job.is_alone);
    let cap = if view.pads {
        let candidates: Vec<(usize, Waiting)> = fitting.map(|(position, job)| (position, *job)).collect();
        let rows = head.rows + candidates.iter().map(|(_, job)| job.rows).sum::<usize>();
        let cap = rows_to_take(view, rows, batch.width);
        batch.fill_by_width(&candidates, cap, view);
        cap
    } else {
        let candidates: Vec<(usize, &Waiting)> = fitting.collect();
        let rows = head.rows + candidates.iter().map(|(_, job)| job.rows).sum::<usize>();
        let cap = rows_to_take(view, rows, batch.width);
        batch.fill_in_order(&candidates, cap, view);
        cap
    };
    let reason = if batch.left_some { Reason::Full } else { Reason::Drain };
    if let Some(until) = batch.may_wait(head, (view, cap), now) {
        return Some(Decision::Wait(until));
    }
    let waited_for_company = !view.limits.max_delay.is_zero() && reason == Reason::Drain;
    batch.picks.sort_unstable_by_key(|pick| pick.position);
    Some(Decision::Run(batch.picks, if waited_for_company { Reason::Timeout } else { reason }))
}

/// How many of `waiting` rows this batch takes: up to the best size, and no more than its share where
/// other slots are free for the rest.
fn rows_to_take(view: &View<'_>, waiting: usize, width: usize) -> usize {
    let most = view.limits.max_rows;
    let best = match (view.cost.best_rows(most, width), view.batches % PROBE_EVERY) {
        (best, 7) => best.div_ceil(2),
        (best, 15) => best.saturating_mul(2).min(most),
        (best, _) => best,
    };
    let worth_sharing = view.cost.seconds(waiting.min(best), width).is_some_and(|took| took > WORTH_SHARING);
    let best = view.cost.rows_that_pay(waiting, best, width);
    // Who waits for company doesn't want what came to be dealt out.
    if view.free_slots > 1 && worth_sharing && view.limits.max_delay.is_zero() {
        return best.min(waiting.div_ceil(view.free_slots)).max(1);
    }
    best
}

/// The rows of a job that go where there is `room`: all, or none. Only a job that is larger than any batch
/// gives a part.
fn part_of(job: &Waiting, room: usize, max_rows: usize) -> usize {
    if job.rows <= room || job.rows > max_rows { job.rows.min(room) } else { 0 }
}

/// A batch while it forms.
struct Batch {
    picks: Vec<Pick>,
    rows: usize,
    /// Of the widest row, filled up.
    width: usize,
    /// Rows that wait and could have shared it did not get in.
    left_some: bool,
}

impl Batch {
    /// A batch of the oldest job, or of as much of it as fits: in parts as even as can be.
    fn begun_with(head: &Waiting, view: &View<'_>) -> Self {
        let width = view.width(head.width);
        let fits = if head.is_alone {
            head.rows
        } else {
            // Others may fill its bucket.
            let is_filled = !view.cost.buckets().is_exact();
            let waiting = if is_filled { view.queued_rows.max(head.rows) } else { head.rows };
            view.most_rows(width).min(rows_to_take(view, waiting, width))
        };
        let parts = head.rows.div_ceil(fits.max(1)).max(1);
        // Even parts would all be filled up.
        let is_filled = view.cost.buckets().filled(fits).is_some();
        let rows = if is_filled { fits.min(head.rows) } else { head.rows.div_ceil(parts) };
        let picks = vec![Pick { position: 0, rows }];
        Self { picks, rows, width, left_some: rows < head.rows }
    }

    /// Adds jobs in their order while they fit. A job that is larger than a whole batch may give a part.
    fn fill_in_order(&mut self, candidates: &[(usize, &Waiting)], cap: usize, view: &View<'_>) {
        for (position, job) in candidates {
            let width = self.width.max(view.width(job.width));
            let room = cap.min(view.most_rows(width)).saturating_sub(self.rows);
            let taken = part_of(job, room, view.limits.max_rows);
            self.left_some |= taken < job.rows;
            if taken > 0 {
                self.picks.push(Pick { position: *position, rows: taken });
                (self.rows, self.width) = (self.rows + taken, width);
            }
        }
    }

    /// Adds the jobs nearest in width, on both sides of the widest and the narrowest row so far, while
    /// each costs less in this batch than by itself.
    fn fill_by_width(&mut self, candidates: &[(usize, Waiting)], cap: usize, view: &View<'_>) {
        let mut by_width: Vec<&(usize, Waiting)> = candidates.iter().collect();
        by_width.sort_by_key(|(position, job)| (job.width, *position));
        let wider = by_width.partition_point(|(_, job)| job.width < self.width);
        let (mut below, mut above) = (wider, wider);
        let most = cap.min(view.limits.max_rows);
        while self.rows < most && (below > 0 || above < by_width.len()) {
            // Of the next narrower and the next wider, the one that brings less padding.
            let narrower = below.checked_sub(1).map(|index| by_width[index]);
            let padding = |job: &Waiting| {
                let more = job.width.saturating_sub(self.width) * self.rows;
                more + self.width.saturating_sub(job.width) * job.rows
            };
            let take_narrower = match (narrower, by_width.get(above)) {
                (Some((_, narrower)), Some((_, wider))) => padding(narrower) <= padding(wider),
                (Some(_), None) => true,
                (None, _) => false,
            };
            let &(position, job) = if take_narrower {
                below -= 1;
                by_width[below]
            } else {
                above += 1;
                by_width[above - 1]
            };
            if !self.add_if_it_pays(position, &job, (most, view)) {
                self.left_some = true;
                // What is farther off on this side pays even less.
                if take_narrower {
                    below = 0;
                } else {
                    above = by_width.len();
                }
            }
        }
        self.left_some |= below > 0 || above < by_width.len();
    }

    fn add_if_it_pays(&mut self, position: usize, job: &Waiting, bounds: (usize, &View<'_>)) -> bool {
        let (most, view) = bounds;
        let (room, cost) = (most - self.rows, view.cost);
        let taken = part_of(job, room, view.limits.max_rows);
        let (rows, width) = (self.rows + taken, self.width.max(view.width(job.width)));
        if taken == 0 || rows > view.most_rows(width) {
            return false;
        }
        let pays = match (cost.seconds(rows, width), cost.seconds(self.rows, self.width)) {
            (Some(joined), Some(before)) => {
                let by_itself = cost.seconds(taken, job.width);
                by_itself.is_none_or(|by_itself| joined - before <= by_itself * (1.0 + ROUNDING))
            }
            // Nothing is known: half of it may be padding.
            _ => width < 2 * self.width.min(job.width),
        };
        if pays {
            self.picks.push(Pick { position, rows: taken });
            (self.rows, self.width) = (rows, width);
            self.left_some |= taken < job.rows;
        }
        pays
    }

    /// Until when this batch may wait for company, if it may: it is not at its best size, the oldest
    /// has not waited long enough, and would not miss its deadline by it.
    fn may_wait(&self, head: &Waiting, (view, cap): (&View<'_>, usize), now: Instant) -> Option<Instant> {
        let delay = view.limits.max_delay;
        if delay.is_zero() || view.is_closing || self.left_some || self.rows >= cap.max(1) {
            return None;
        }
        let run = view.cost.seconds(self.rows + 1, self.width).unwrap_or(0.0);
        let latest = head.deadline.checked_sub(Duration::from_secs_f64(run * 1.25));
        let until = (head.enqueued + delay).min(latest.unwrap_or(now));
        (until > now).then_some(until)
    }
}
