//! What the policy makes of a queue.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::scheduler::cost::{CostModel, Measured};
use crate::scheduler::policy::{BatchLimits, Decision, Pick, Reason, View, Waiting, form};

const LIMITS: BatchLimits = BatchLimits { max_rows: 8, max_tokens: None, max_delay: Duration::ZERO };

fn view(cost: &CostModel) -> View<'_> {
    View { limits: LIMITS, cost, pads: false, queued_rows: 0, free_slots: 1, batches: 0, is_closing: false }
}

/// A job of one group and `rows` rows of `width`.
fn job(group: u64, rows: usize, width: usize) -> Waiting {
    let now = Instant::now();
    let deadline = now + Duration::from_secs(30);
    Waiting { group, is_alone: false, rows, width, enqueued: now, deadline }
}

fn run(rows: usize, width: usize, micros: u64) -> Measured {
    Measured { rows, width, took: Duration::from_micros(micros) }
}

/// A transformer: 2 ms for a run, 0.1 ms for each padded token.
fn transformer() -> CostModel {
    let micros = |rows: usize, width: usize| 2_000 + 100 * (rows * width) as u64;
    let runs = [1, 2, 4, 8].map(|rows| run(rows, 32, micros(rows, 32)));
    let mut cost = CostModel::new(&runs);
    for width in [4, 8, 16, 64, 128, 256] {
        for _ in 0..50 {
            cost.observe(run(1, width, micros(1, width)));
        }
    }
    cost
}

fn picks(view: &View<'_>, waiting: &[Waiting]) -> (Vec<(usize, usize)>, Reason) {
    match form(view, waiting.iter(), Instant::now()) {
        Some(Decision::Run(picks, reason)) => {
            (picks.iter().map(|pick| (pick.position, pick.rows)).collect(), reason)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_waits_is_taken_up_to_the_limit_and_large_jobs_in_even_parts() {
    let cost = CostModel::default();
    let view = view(&cost);
    assert_eq!(form(&view, [].iter(), Instant::now()), None);
    let three = [job(0, 1, 1), job(0, 2, 1), job(0, 3, 1)];
    assert_eq!(picks(&view, &three), (vec![(0, 1), (1, 2), (2, 3)], Reason::Drain));
    let many = [job(0, 3, 1), job(0, 6, 1), job(0, 5, 1), job(0, 1, 1)];
    assert_eq!(picks(&view, &many), (vec![(0, 3), (2, 5)], Reason::Full), "what does not fit is passed over");
    assert_eq!(picks(&view, &[job(0, 9, 1)]), (vec![(0, 5)], Reason::Full), "5 and 4, not 8 and 1");
    let behind = [job(0, 2, 1), job(0, 20, 1)];
    assert_eq!(picks(&view, &behind), (vec![(0, 2), (1, 6)], Reason::Full), "too large for any batch anyway");
}

#[test]
fn other_shapes_and_jobs_by_themselves_stay_apart() {
    let cost = CostModel::default();
    let view = view(&cost);
    let alone = Waiting { is_alone: true, ..job(0, 12, 1) };
    let mixed = [job(7, 1, 1), job(9, 1, 1), alone, job(7, 1, 1)];
    assert_eq!(picks(&view, &mixed), (vec![(0, 1), (3, 1)], Reason::Drain));
    assert_eq!(picks(&view, &[alone, job(0, 1, 1)]), (vec![(0, 12)], Reason::Single));
}

#[test]
fn short_texts_do_not_pay_for_long_ones() {
    let cost = transformer();
    let view = View { pads: true, ..view(&cost) };
    let queue = [8, 128, 9, 256, 7, 120].map(|width| job(0, 1, width));
    assert_eq!(picks(&view, &queue).0, [(0, 1), (2, 1), (4, 1)]);
    assert_eq!(picks(&view, &queue[1..]).0, [(0, 1), (4, 1)], "and long ones are run with their like");
    let few = View { limits: BatchLimits { max_tokens: Some(20), ..LIMITS }, ..view };
    assert_eq!(picks(&few, &queue).0, [(0, 1), (4, 1)], "two rows of 8 are within 20 tokens, three are not");
    assert_eq!(picks(&few, &queue[1..]).0, [(0, 1)], "one row always runs");
}

#[test]
fn slow_work_is_dealt_out_over_free_slots_and_fast_work_is_not() {
    let slow = transformer();
    let both = View { free_slots: 2, pads: true, ..view(&slow) };
    let queue = [job(0, 1, 32); 6];
    assert_eq!(picks(&both, &queue).0.len(), 3);
    assert_eq!(picks(&both, &[job(0, 8, 32)]), (vec![(0, 4)], Reason::Full), "a job's rows, too");
    let fast = CostModel::new(&[run(1, 1, 5), run(8, 1, 12)]);
    assert_eq!(picks(&View { free_slots: 2, ..view(&fast) }, &[job(0, 1, 1); 6]).0.len(), 6);
}

#[test]
fn company_is_awaited_only_when_asked_for_and_never_beyond_the_deadline() {
    let cost = transformer();
    let delay = Duration::from_millis(20);
    let waits = View { limits: BatchLimits { max_delay: delay, ..LIMITS }, pads: true, ..view(&cost) };
    let now = Instant::now();
    let first = Waiting { enqueued: now, ..job(0, 1, 32) };
    assert_eq!(form(&waits, [first].iter(), now), Some(Decision::Wait(now + delay)));
    let late = form(&waits, [first].iter(), now + delay);
    assert_eq!(late, Some(Decision::Run(vec![Pick { position: 0, rows: 1 }], Reason::Timeout)));
    let full = [first; 8];
    assert!(matches!(form(&waits, full.iter(), now), Some(Decision::Run(_, _))), "nothing more would fit");
    let urgent = Waiting { deadline: now + Duration::from_millis(15), ..first };
    let Some(Decision::Wait(until)) = form(&waits, [urgent].iter(), now) else {
        panic!("it may wait a little")
    };
    assert!(until < now + Duration::from_millis(8), "a run of two takes more than 8 ms");
    let closing = View { is_closing: true, ..waits };
    assert!(matches!(form(&closing, [first].iter(), now), Some(Decision::Run(_, _))));
}

#[derive(Clone, Copy, Debug)]
struct Arrival {
    group: u64,
    rows: usize,
    width: usize,
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let one =
        (0..3_u64, 1..12_usize, 1..200_usize).prop_map(|(group, rows, width)| Arrival { group, rows, width });
    prop::collection::vec(one, 1..60)
}

proptest! {
    /// Bounded unfairness: with new jobs coming all the time, a job is passed over by no more batches
    /// than there were rows before it when it came, and every batch keeps its limits.
    #[test]
    fn no_row_waits_more_batches_than_rows_were_before_it(
        arrivals in arrivals(),
        pads in any::<bool>(),
        max_tokens in prop::option::of(50..400_usize),
        per_batch in 0..4_usize,
    ) {
        let cost = transformer();
        let limits = BatchLimits { max_tokens, ..LIMITS };
        let mut coming = arrivals.into_iter();
        // A waiting job, and how many batches it may still see pass.
        let mut queue: Vec<(Waiting, usize)> = Vec::new();
        let mut batches = 0;
        loop {
            for arrival in coming.by_ref().take(1 + per_batch) {
                let ahead: usize = queue.iter().map(|(job, _)| job.rows).sum();
                queue.push((job(arrival.group, arrival.rows, arrival.width), ahead));
            }
            let view = View { limits, pads, batches, ..view(&cost) };
            let decision = form(&view, queue.iter().map(|(job, _)| job), Instant::now());
            let Some(Decision::Run(picks, _)) = decision else { break };
            batches += 1;
            prop_assert_eq!(picks[0].position, 0, "the oldest is in every batch");
            prop_assert!(picks.windows(2).all(|pair| pair[0].position < pair[1].position));
            let rows: usize = picks.iter().map(|pick| pick.rows).sum();
            let width = picks.iter().map(|pick| queue[pick.position].0.width).max().unwrap();
            prop_assert!(rows <= limits.max_rows && rows > 0);
            prop_assert!(rows == 1 || max_tokens.is_none_or(|most| rows * width <= most), "{rows} x {width}");
            let group = queue[0].0.group;
            for pick in picks.iter().rev() {
                let job = &mut queue[pick.position].0;
                prop_assert_eq!(job.group, group);
                prop_assert!(pick.rows <= job.rows);
                job.rows -= pick.rows;
            }
            let taken: Vec<usize> = picks.iter().map(|pick| pick.position).collect();
            for (position, (_, left)) in queue.iter_mut().enumerate() {
                if !taken.contains(&position) {
                    prop_assert!(*left > 0, "passed over once too often");
                    *left -= 1;
                }
            }
            queue.retain(|(job, _)| job.rows > 0);
        }
        prop_assert!(queue.is_empty());
    }
}
