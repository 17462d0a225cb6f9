//! A discrete-event simulation of the scheduler: the very code that decides (`device.rs` and all below it),
//! in virtual time, over models with a run time of their own, beside what others do.
//!
//! Everything is seeded: a run gives the same figures every time. `docs/performance/scheduler.md` has them;
//! `make simulate` renews them.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of rows and nanoseconds are small"
)]

mod alternatives;
mod clock;
mod figures;
mod ours;
mod outcome;
mod plot;
mod scenarios;
mod world;

use outcome::{Outcome, STRATEGIES, ours, percentile};
use world::{ByLoad, World};

/// How long a world is.
const SECONDS: f64 = 20.0;

/// Ours is no worse than any other beyond a small margin, and who was let in is answered in time.
fn assert_best(what: &str, world: &World) -> Outcome {
    let own = ours(world);
    for named in &STRATEGIES[1..] {
        let other = Outcome::of(world, *named);
        let (own, other) = (own.goodput(), other.goodput());
        assert!(own >= 0.98 * other, "{what}: {own:.1} answers in time a second, {}: {other:.1}", named.0);
    }
    assert_keeps(what, &own);
    own
}

fn assert_keeps(what: &str, own: &Outcome) {
    assert!(own.kept() >= 0.98, "{what}: only {:.4} of those let in were answered in time", own.kept());
}

#[test]
fn goodput_holds_at_three_and_ten_times_the_capacity() {
    let worlds: [(&str, ByLoad); 2] = [("classifier", scenarios::steady), ("texts", scenarios::texts)];
    for (what, world) in worlds {
        let loads = [0.9, 1.0, 1.5, 3.0, 10.0];
        let good = loads.map(|load| {
            let own = ours(&world(load, SECONDS));
            assert_keeps(&format!("{what} at {load}"), &own);
            own.goodput()
        });
        // The more texts there are to choose from, the more short ones are let in: then it even grows.
        for (index, own) in good.iter().enumerate() {
            let peak = good[..index].iter().copied().fold(0.0, f64::max);
            assert!(*own >= 0.95 * peak, "{what}: {good:?} at {loads:?}");
        }
    }
}

#[test]
fn no_alternative_does_more_in_time_under_any_load() {
    for load in [0.1, 0.5, 0.9, 3.0, 10.0] {
        assert_best(&format!("classifier at {load}"), &scenarios::steady(load, SECONDS));
        assert_best(&format!("texts at {load}"), &scenarios::texts(load, SECONDS));
    }
}

#[test]
fn nor_in_bursts_ramps_drifts_and_mixtures() {
    assert_best("bursts", &scenarios::bursts(SECONDS));
    assert_best("ramp", &scenarios::ramp(SECONDS));
    assert_best("drift", &scenarios::drift(SECONDS));
    assert_best("slow instance", &scenarios::slow_instance(SECONDS));
    assert_best("mixed", &scenarios::mixed(SECONDS));
}

#[test]
fn clients_that_leave_without_a_word_cost_little() {
    let told = ours(&scenarios::steady(3.0, SECONDS)).goodput();
    let silent = ours(&scenarios::silent(3.0, SECONDS)).goodput();
    // They wait in vain until the limit has seen that the queue stands.
    assert!(silent >= 0.85 * told, "{silent:.1} a second, {told:.1} when they say how long they wait");
}

#[test]
fn at_low_load_nothing_is_slower_than_one_by_one() {
    for (what, world) in
        [("classifier", scenarios::steady(0.05, SECONDS)), ("texts", scenarios::texts(0.1, SECONDS))]
    {
        let own = ours(&world);
        let single = Outcome::of(&world, STRATEGIES[1]);
        for share in [0.5, 0.99] {
            let (own, single) = (own.latency(share), single.latency(share));
            assert!(own <= 1.1 * single, "{what}: {own:.4} s at {share}, one by one: {single:.4} s");
        }
    }
}

#[test]
fn it_is_back_to_normal_as_soon_as_the_load_goes() {
    let world = scenarios::stops(SECONDS);
    let own = ours(&world);
    let normal = ours(&scenarios::steady(0.3, SECONDS)).latency(0.99);
    let after = percentile(&own.latencies(SECONDS / 2.0 + 1.0, SECONDS / 2.0 + 5.0), 0.99);
    assert!(after <= 1.5 * normal, "p99 of {after:.4} s in the seconds after, else {normal:.4} s");
}

#[test]
fn one_models_flood_costs_the_others_little() {
    let others = |world: &World| {
        let is_other: Vec<bool> = world.arrivals.iter().map(|arrival| arrival.model > 0).collect();
        ours(world).only(|index| is_other[index])
    };
    let calm = others(&scenarios::neighbours(0.1, SECONDS));
    let flooded = others(&scenarios::neighbours(10.0, SECONDS));
    assert!(
        flooded.admitted() >= 0.99 && flooded.kept() >= 0.99,
        "{} {}",
        flooded.admitted(),
        flooded.kept()
    );
    let (calm, flooded) = (calm.latency(0.99), flooded.latency(0.99));
    assert!(flooded <= 4.0 * calm, "p99 of the others: {flooded:.4} s, without the flood {calm:.4} s");
}

#[test]
fn nobody_is_passed_over_by_more_batches_than_rows_were_before() {
    for world in [scenarios::texts(1.0, SECONDS), scenarios::texts(3.0, SECONDS), scenarios::mixed(SECONDS)] {
        let own = ours(&world);
        assert!(own.is_fair());
    }
    let own = ours(&scenarios::texts(3.0, SECONDS));
    assert!(own.passed_over() > 0, "lengths are sorted: somebody is passed over");
}

#[test]
fn a_simulation_repeats_exactly() {
    let of = || {
        let own = ours(&scenarios::texts(1.5, 5.0));
        (own.goodput().to_bits(), own.latency(0.99).to_bits(), own.seen.tokens, own.seen.batches)
    };
    assert_eq!(of(), of());
}
