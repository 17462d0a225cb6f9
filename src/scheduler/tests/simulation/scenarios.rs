//! The worlds: what comes, and what goes wrong.

use super::world::{Arrival, CLASSIFIER, ENCODER, Lengths, Traffic, World, arrivals, capacity};

/// Of rows that are all of one shape.
pub(super) const SAME: Lengths = Lengths::Same(1);
/// Of texts as people write them: half are below 32 tokens, one in a hundred is above 300.
pub(super) const TAIL: Lengths = Lengths::HeavyTailed { median: 32.0, sigma: 1.0 };

/// Steady load on the classifier.
pub(super) fn steady(load: f64, seconds: f64) -> World {
    World::steady(CLASSIFIER, SAME, load, seconds)
}

/// Steady load on the encoder of texts.
pub(super) fn texts(load: f64, seconds: f64) -> World {
    World::steady(ENCODER, TAIL, load, seconds)
}

/// Three tenths of the capacity, and ten times that for one second in five.
pub(super) fn bursts(seconds: f64) -> World {
    let base = capacity(&CLASSIFIER, SAME) * 0.3;
    let rate = move |second: f64| if (2.0..3.0).contains(&(second % 5.0)) { 10.0 * base } else { base };
    World::of_rate(CLASSIFIER, SAME, (&rate, 10.0 * base), seconds)
}

/// From a fifth of the capacity to three times it and back.
pub(super) fn ramp(seconds: f64) -> World {
    let full = capacity(&CLASSIFIER, SAME);
    let half = seconds / 2.0;
    let rate = move |second: f64| full * 2.8f64.mul_add(1.0 - (second - half).abs() / half, 0.2);
    World::of_rate(CLASSIFIER, SAME, (&rate, 3.0 * full), seconds)
}

/// Rows that come one by one.
fn singles(model: usize, rate: &dyn Fn(f64) -> f64, peak: f64) -> Traffic<'_> {
    Traffic { model, lengths: SAME, rate, peak, rows: &|_| 1 }
}

/// Single rows at half of the capacity, and a list of 1000 rows every four seconds. Clients wait ten seconds.
pub(super) fn mixed(seconds: f64) -> World {
    let peak = capacity(&CLASSIFIER, SAME) * 0.5;
    let rate = |_: f64| peak;
    let singles = singles(0, &rate, peak);
    let mut all = arrivals(7, seconds, &[singles]);
    for at in (1..).map(|number| f64::from(number) * 4.0 - 2.0).take_while(|at| *at < seconds) {
        all.push(Arrival { at: (at * 1e9) as u64, model: 0, lengths: vec![1; 1000].into() });
    }
    all.sort_by_key(|arrival| arrival.at);
    World { patience: 10.0, deadline: 10.0, ..World::of(vec![CLASSIFIER], all, seconds) }
}

/// One of two sessions takes three times as long for half of the time, under six tenths of the load.
pub(super) fn slow_instance(seconds: f64) -> World {
    let trouble =
        |session: usize, second: f64| if session == 0 && (5.0..15.0).contains(&second) { 3.0 } else { 1.0 };
    World { trouble, ..steady(0.6, seconds) }
}

/// Every run takes twice as long after twenty seconds as in the beginning.
pub(super) fn drift(seconds: f64) -> World {
    World { trouble: |_: usize, second: f64| (1.0 + second / 20.0).min(2.0), ..steady(1.5, seconds) }
}

/// Three models share the slots: two at a tenth of the capacity each, the first at `load`.
pub(super) fn neighbours(load: f64, seconds: f64) -> World {
    let full = capacity(&CLASSIFIER, SAME);
    let (own, others) = (full * load, full * 0.1);
    let (own_rate, others_rate) = (|_: f64| own, |_: f64| others);
    let traffic =
        [singles(0, &own_rate, own), singles(1, &others_rate, others), singles(2, &others_rate, others)];
    World::of(vec![CLASSIFIER; 3], arrivals(7, seconds, &traffic), seconds)
}

/// Clients leave after a second and did not say so: the server knows of thirty.
pub(super) fn silent(load: f64, seconds: f64) -> World {
    World { deadline: 30.0, ..steady(load, seconds) }
}

/// Three times the capacity for half of the time, then three tenths of it.
pub(super) fn stops(seconds: f64) -> World {
    let full = capacity(&CLASSIFIER, SAME);
    let rate = move |second: f64| full * if second < seconds / 2.0 { 3.0 } else { 0.3 };
    World::of_rate(CLASSIFIER, SAME, (&rate, 3.0 * full), seconds)
}
