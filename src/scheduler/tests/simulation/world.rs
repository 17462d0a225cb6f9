//! What is simulated: models with a run time that nobody is told, requests that come, what goes wrong.

use fastrand::Rng;

/// Rows that one queue holds, whoever's it is.
pub(super) const CAPACITY: usize = 2048;

/// What a run truly takes: seconds for itself, for each row, and for each token with its padding.
#[derive(Clone, Copy)]
pub(super) struct Truth {
    pub(super) overhead: f64,
    pub(super) row: f64,
    pub(super) token: f64,
}

impl Truth {
    pub(super) fn seconds(self, rows: usize, width: usize) -> f64 {
        rows as f64 * self.token.mul_add(width as f64, self.row) + self.overhead
    }
}

/// A model with two sessions, on a device with two slots.
#[derive(Clone, Copy)]
pub(super) struct Model {
    pub(super) truth: Truth,
    pub(super) has_lengths: bool,
    pub(super) sessions: usize,
    pub(super) most_rows: usize,
}

/// 10 ms for a run and 2 ms for a row: a batch of 32 does five times the rows of single runs.
pub(super) const CLASSIFIER: Model = Model {
    truth: Truth { overhead: 10e-3, row: 2e-3, token: 0.0 },
    has_lengths: false,
    sessions: 2,
    most_rows: 32,
};

/// 2 ms for a run and 0.2 ms for a token: a text encoder on one core, which gains little by batches and loses
/// much by padding.
pub(super) const ENCODER: Model = Model {
    truth: Truth { overhead: 2e-3, row: 0.0, token: 0.2e-3 },
    has_lengths: true,
    sessions: 2,
    most_rows: 32,
};

/// How long the texts are.
#[derive(Clone, Copy)]
pub(super) enum Lengths {
    /// All of one length.
    Same(u32),
    /// Log-normal about this median, from 4 to 512.
    HeavyTailed { median: f64, sigma: f64 },
}

impl Lengths {
    fn draw(self, rng: &mut Rng) -> u32 {
        match self {
            Self::Same(length) => length,
            Self::HeavyTailed { median, sigma } => {
                (median * (sigma * normal(rng)).exp()).clamp(4.0, 512.0) as u32
            }
        }
    }

    /// The mean of many.
    fn mean(self) -> f64 {
        let mut rng = Rng::with_seed(1);
        (0..20_000).map(|_| f64::from(self.draw(&mut rng))).sum::<f64>() / 20_000.0
    }
}

/// A normal deviate by Box and Muller.
pub(super) fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

/// Requests a second that the slots can do without padding, if nothing else runs.
pub(super) fn capacity(model: &Model, lengths: Lengths) -> f64 {
    let rows = model.most_rows as f64;
    let Truth { overhead, row, token } = model.truth;
    rows / (rows * (row + token * lengths.mean()) + overhead) * model.sessions as f64
}

/// A request: its rows' lengths, and when it comes.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    /// Nanoseconds from the start.
    pub(super) at: u64,
    pub(super) model: usize,
    pub(super) lengths: Box<[u32]>,
}

/// The requests of one model.
pub(super) struct Traffic<'a> {
    pub(super) model: usize,
    pub(super) lengths: Lengths,
    /// Requests a second at a second.
    pub(super) rate: &'a dyn Fn(f64) -> f64,
    /// Never more than this.
    pub(super) peak: f64,
    /// Rows of the n-th request.
    pub(super) rows: &'a dyn Fn(usize) -> usize,
}

/// A Poisson process of changing rate, by thinning.
pub(super) fn arrivals(seed: u64, seconds: f64, traffic: &[Traffic<'_>]) -> Vec<Arrival> {
    let mut all = Vec::new();
    for (index, traffic) in traffic.iter().enumerate() {
        let mut rng = Rng::with_seed(seed + index as u64);
        let (mut at, mut number) = (0.0, 0);
        loop {
            at -= (1.0 - rng.f64()).ln() / traffic.peak;
            if at >= seconds {
                break;
            }
            if rng.f64() * traffic.peak < (traffic.rate)(at) {
                let lengths = (0..(traffic.rows)(number)).map(|_| traffic.lengths.draw(&mut rng)).collect();
                all.push(Arrival { at: (at * 1e9) as u64, model: traffic.model, lengths });
                number += 1;
            }
        }
    }
    all.sort_by_key(|arrival| (arrival.at, arrival.model));
    all
}

/// A world of so many times the capacity, over so many seconds.
pub(super) type ByLoad = fn(load: f64, seconds: f64) -> World;

/// By how much longer a run takes than it should: of which session, at which second.
pub(super) type Trouble = fn(session: usize, second: f64) -> f64;

/// All of it.
pub(super) struct World {
    pub(super) models: Vec<Model>,
    pub(super) arrivals: Vec<Arrival>,
    pub(super) seconds: f64,
    pub(super) slots: usize,
    /// Seconds that a client waits before it leaves.
    pub(super) patience: f64,
    /// Seconds of the deadline that the server knows.
    pub(super) deadline: f64,
    pub(super) trouble: Trouble,
}

impl World {
    /// One model at a steady rate of `load` times its capacity.
    pub(super) fn steady(model: Model, lengths: Lengths, load: f64, seconds: f64) -> Self {
        let rate = capacity(&model, lengths) * load;
        Self::of_rate(model, lengths, (&|_| rate, rate), seconds)
    }

    /// One model under a changing rate, with its peak.
    pub(super) fn of_rate(
        model: Model,
        lengths: Lengths,
        (rate, peak): (&dyn Fn(f64) -> f64, f64),
        seconds: f64,
    ) -> Self {
        let traffic = [Traffic { model: 0, lengths, rate, peak, rows: &|_| 1 }];
        Self::of(vec![model], arrivals(7, seconds, &traffic), seconds)
    }

    /// Clients wait a second and say so; nothing goes wrong.
    pub(super) fn of(models: Vec<Model>, arrivals: Vec<Arrival>, seconds: f64) -> Self {
        Self { models, arrivals, seconds, slots: 2, patience: 1.0, deadline: 1.0, trouble: |_, _| 1.0 }
    }
}
