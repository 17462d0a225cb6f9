//! The plan of a measurement: what may be chosen, whether its answers agree, a first look at the bare
//! loop, then rounds as it is served, of which the last decide.

use std::time::Duration;

use super::agreement::{Agreement, wider_tolerances};
use super::arguments::TuneArguments;
use super::data::{Samples, answers};
use super::judge::{FEWEST_ROUNDS, Sample, Spread, judge};
use super::memory;
use super::progress::Clock;
use super::report::{Choice, Comparison, Report};
use super::screen::{Reference, Screened, ratios, repeated};
use super::served::{Load, Served};
use super::setting::{Numerics, Setting, Shape, batch_sizes, shapes};
use super::subject::Subject;
use crate::cli::{Failure, complain};
use crate::cores::Cores;
use crate::model::{Precision, ProviderKind, TaskKind};
use crate::service::LoadedModel;
use crate::tensor::Tensor;

/// Up to here the budget is for agreement and the first look, then for choosing among the best.
const SCREENED_BY: f64 = 0.4;
const CHOSEN_BY: f64 = 0.6;
/// Rounds that choose among the finalists.
const HEATS: usize = 2;
const MOST_ROUNDS: usize = 9;
/// Of the settings with the present numerics, and of those with others, so many reach the heats.
const FINALISTS: usize = 2;
/// The batch that the sessions of all combinations are compared by.
const REFERENCE_ROWS: usize = 8;
/// Share of the throughput that is a moderate load.
const MODERATE: f64 = 0.5;
/// Lengths of one measurement.
const SLICES: [Duration; 2] = [Duration::from_millis(30), Duration::from_secs(2)];

/// Measures within the budget.
pub(super) fn measure(arguments: &TuneArguments, subject: &Subject) -> Result<Report, Failure> {
    let clock = Clock::start(arguments.budget);
    clock.show("loading");
    let (mut loaded, now) = subject.present()?;
    let samples = Samples::gather(subject, &loaded, arguments.data.as_deref())?;
    let row = samples.typical(&loaded.task).map_err(Failure::failed)?;
    let mut report = Report::new(arguments, subject, now, &samples);
    let before = answers(&mut loaded, &samples.all).map_err(Failure::failed)?;
    for numerics in numerics(arguments, subject, now.numerics)? {
        clock.show(format!("comparing the answers of {numerics}"));
        let setting = Setting { numerics, ..now };
        let after = subject.load(&setting).and_then(|mut other| answers(&mut other, &samples.all));
        let golden = &subject.manifest().golden;
        let wider = after.as_ref().map(|after| wider_tolerances(golden, after, numerics.provider));
        let wider = wider.unwrap_or_default();
        let found = after.map(|after| Agreement::of(&samples.all, &before, &after, arguments.agreement));
        report.choices.push(Choice { numerics, found, wider });
    }
    let screen = Screen { subject, clock: &clock, now, row: &row };
    report.screen = screen.run(&mut loaded, &report.passing())?;
    let finalists = finalists(&report.screen, now, tokens(&loaded, &row));
    drop(loaded);
    let mut served = Served::new(samples.bodies(), cores())?;
    let compared = compare(&mut served, subject, (&clock, now), &finalists);
    // Workers and sessions end before this returns, however it went.
    served.close();
    report.compared = compared?;
    report.seconds = clock.elapsed().as_secs_f64();
    Ok(report)
}

/// The threads that keep the cores busy which this process may use, its quota included.
pub(super) fn cores() -> usize {
    Cores::read().threads()
}

/// What else may decide the numbers: other providers and precisions on the CPU, and the variants.
fn numerics(arguments: &TuneArguments, subject: &Subject, now: Numerics) -> Result<Vec<Numerics>, Failure> {
    let on_cpu = [ProviderKind::Cpu, ProviderKind::Openvino];
    let available = subject.runtime.available_providers();
    let providers = match &arguments.providers {
        Some(asked) => asked.iter().map(|provider| provider.kind()).collect(),
        None if on_cpu.contains(&now.provider) => available.clone(),
        None => vec![now.provider],
    };
    let mut found = Vec::new();
    for provider in providers.into_iter().filter(|kind| on_cpu.contains(kind)) {
        if !available.contains(&provider) {
            let version = subject.runtime.version();
            return Err(Failure::usage(format!(
                "--providers: this ONNX Runtime library ({version}) was built without {provider}; the image \
                 `openvino` has it"
            )));
        }
        found.push(Numerics { provider, precision: Precision::Fp32, variant: None });
        if provider == ProviderKind::Openvino {
            found.push(Numerics { provider, precision: Precision::Bf16, variant: None });
        }
        let variants = 0..subject.variants().count();
        found.extend(variants.map(|index| Numerics {
            provider,
            precision: Precision::Fp32,
            variant: Some(index),
        }));
    }
    found.retain(|numerics| *numerics != now);
    Ok(found)
}

/// Tokens of a row, where the batch is better bounded by them.
fn tokens(loaded: &LoadedModel, row: &[Tensor]) -> Option<usize> {
    let is_text = matches!(loaded.facts.task, TaskKind::TextClassification | TaskKind::TextEmbedding);
    row.first().filter(|_| is_text && loaded.facts.batchable)?.shape().get(1).copied()
}

/// The first look.
struct Screen<'a> {
    subject: &'a Subject,
    clock: &'a Clock,
    now: Setting,
    row: &'a [Tensor],
}

impl Screen<'_> {
    /// Each combination of shape and numerics, the likeliest first, as far as the time goes.
    fn run(&self, loaded: &mut LoadedModel, passing: &[Numerics]) -> Result<Vec<Screened>, Failure> {
        let batchable = loaded.facts.batchable;
        let rows = if batchable { REFERENCE_ROWS.min(self.now.max_batch_size) } else { 1 };
        let inputs = repeated(self.row, rows).map_err(Failure::failed)?;
        let mut reference = Reference { sessions: &mut loaded.sessions, inputs, rows };
        let sizes = if batchable { batch_sizes() } else { vec![1] };
        let mut shapes = shapes(cores());
        shapes.retain(|shape| *shape != self.now.shape);
        shapes.insert(0, self.now.shape);
        let all: Vec<(Shape, Numerics)> = shapes
            .iter()
            .flat_map(|&shape| {
                std::iter::once(self.now.numerics).chain(passing.iter().copied()).map(move |n| (shape, n))
            })
            .collect();
        let mut found = Vec::new();
        for (index, &(shape, numerics)) in all.iter().enumerate() {
            self.clock.show(format!("first look: {numerics}, {shape}"));
            let left = self.clock.left_of(SCREENED_BY);
            let measured = if left.is_zero() {
                Err("not measured: no time was left for it".to_owned())
            } else {
                let parts = u32::try_from((all.len() - index) * (sizes.len() + 2)).unwrap_or(u32::MAX);
                self.one(&mut reference, (shape, numerics), (&sizes, bounded(left / parts)))
            };
            let (ratios, problem) =
                measured.map_or_else(|problem| (Vec::new(), Some(problem)), |r| (r, None));
            found.push(Screened { numerics, shape, ratios, problem });
        }
        Ok(found)
    }

    fn one(
        &self,
        reference: &mut Reference<'_>,
        (shape, numerics): (Shape, Numerics),
        (sizes, slice): (&[usize], Duration),
    ) -> Result<Vec<(usize, f64)>, String> {
        // One row at most, so that no time goes into warming large batches up.
        let setting = Setting { numerics, shape, max_batch_size: 1, max_batch_tokens: None };
        let mut loaded = self.subject.load(&setting)?;
        // A variant's rows may depend on each other where the model's own do not.
        let sizes = if loaded.facts.batchable { sizes } else { &[1] };
        ratios(reference, &mut loaded.sessions, (self.row, sizes), slice)
    }
}

fn bounded(slice: Duration) -> Duration {
    slice.clamp(SLICES[0], SLICES[1])
}

/// The best of the first look: some with the present numerics, some with others.
fn finalists(screen: &[Screened], now: Setting, tokens: Option<usize>) -> Vec<Setting> {
    let mut ranked: Vec<(f64, Setting)> = screen
        .iter()
        .filter_map(|screened| {
            let (size, ratio) = screened.best()?;
            Some((ratio, setting(screened, now, (size, tokens))))
        })
        .filter(|(_, setting)| *setting != now)
        .collect();
    ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let of = |present: bool| {
        let same = ranked.iter().filter(move |(_, setting)| (setting.numerics == now.numerics) == present);
        same.map(|(_, setting)| *setting).take(FINALISTS)
    };
    of(true).chain(of(false)).collect()
}

/// Texts differ in length, so their batches are bounded by tokens; more rows than now only where the
/// best batch had more.
fn setting(screened: &Screened, now: Setting, (size, tokens): (usize, Option<usize>)) -> Setting {
    let Screened { numerics, shape, .. } = *screened;
    match tokens {
        None => Setting { numerics, shape, max_batch_size: size, max_batch_tokens: now.max_batch_tokens },
        Some(tokens) => Setting {
            numerics,
            shape,
            max_batch_size: size.max(now.max_batch_size),
            max_batch_tokens: Some((size * tokens).next_multiple_of(64)),
        },
    }
}

/// Serves the present settings and the finalists: heats choose the best with the present numerics and
/// the best with others, and the rounds after them decide.
fn compare(
    served: &mut Served,
    subject: &Subject,
    (clock, now): (&Clock, Setting),
    finalists: &[Setting],
) -> Result<Vec<Comparison>, Failure> {
    let mut settings = vec![now];
    settings.extend_from_slice(finalists);
    let mut standing: Vec<(usize, Setting)> = Vec::new();
    let mut grown = None;
    for setting in settings {
        clock.show(format!("loading {setting}"));
        if !memory::fits(grown) {
            complain(&format!("{setting} is left out: no memory for another copy of the model"));
            continue;
        }
        // What could be loaded before can be again, unless memory ran out: then it is no candidate.
        match subject.load(&setting) {
            Ok(loaded) => {
                grown = grown.max(loaded.facts.memory_bytes);
                served.add(loaded)?;
                standing.push((standing.len(), setting));
            }
            Err(problem) if setting == now => return Err(Failure::failed(problem)),
            Err(problem) => complain(&format!("{setting} is left out: {problem}")),
        }
    }
    let rows = standing.iter().map(|(_, s)| s.shape.instances * s.max_batch_size).max().unwrap_or(1);
    let mut rounds = Rounds { served, clock, load: Load::of_rows(rows) };
    rounds.find_moderate_load().map_err(Failure::failed)?;
    let heats = rounds.run(&standing, HEATS, CHOSEN_BY).map_err(Failure::failed)?;
    let chosen = choose(&standing, &heats, now);
    let parts = u32::try_from(chosen.len() * 2).unwrap_or(u32::MAX);
    let affordable = clock.left_of(1.0).as_millis() / (SLICES[1] / 2 * parts).as_millis().max(1);
    let count = usize::try_from(affordable).unwrap_or(MOST_ROUNDS).clamp(FEWEST_ROUNDS, MOST_ROUNDS);
    let found = rounds.run(&chosen, count, 1.0).map_err(Failure::failed)?;
    let verdict = |index: usize| (index > 0).then(|| judge(&found[0], &found[index]));
    let comparisons = chosen.iter().enumerate().map(|(index, &(_, setting))| Comparison {
        setting,
        verdict: verdict(index),
        rounds: found[index].clone(),
    });
    Ok(comparisons.collect())
}

/// The present settings, the best with their numerics and the best with others.
fn choose(standing: &[(usize, Setting)], heats: &[Vec<Sample>], now: Setting) -> Vec<(usize, Setting)> {
    let rate = |index: usize| Spread::of(heats[index].iter().map(|sample| sample.rows_per_second)).median;
    let best = |present: bool| {
        standing
            .iter()
            .enumerate()
            .skip(1)
            .filter(|(_, (_, setting))| (setting.numerics == now.numerics) == present)
            .max_by(|(a, _), (b, _)| rate(*a).total_cmp(&rate(*b)))
            .map(|(_, standing)| *standing)
    };
    standing.first().copied().into_iter().chain(best(true)).chain(best(false)).collect()
}

/// Interleaved rounds.
struct Rounds<'a> {
    served: &'a Served,
    clock: &'a Clock,
    load: Load,
}

impl Rounds<'_> {
    /// Half of what the present settings can do.
    fn find_moderate_load(&mut self) -> Result<(), String> {
        self.clock.show("finding a moderate load");
        let slice = bounded(self.clock.left_of(CHOSEN_BY) / 10);
        let first = self.served.round(0, Load { slice, per_second: 1.0, ..self.load })?;
        self.load.per_second = first.rows_per_second * MODERATE;
        Ok(())
    }

    /// `count` rounds within the share of the budget: in each every setting has its turn, forwards and
    /// backwards by turns, so that a drift of the machine meets all of them alike.
    fn run(
        &mut self,
        settings: &[(usize, Setting)],
        count: usize,
        share: f64,
    ) -> Result<Vec<Vec<Sample>>, String> {
        let parts = u32::try_from(count * settings.len() * 2).unwrap_or(u32::MAX).max(1);
        self.load.slice = bounded(self.clock.left_of(share) / parts);
        let mut found = vec![Vec::new(); settings.len()];
        for round in 0..count {
            self.load.seed += 1;
            let mut order: Vec<usize> = (0..settings.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                let (model, setting) = settings[index];
                self.clock.show(format!("round {} of {count}: {setting}", round + 1));
                found[index].push(self.served.round(model, self.load)?);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Setting = Setting {
        numerics: Numerics { provider: ProviderKind::Cpu, precision: Precision::Fp32, variant: None },
        shape: Shape { instances: 2, intra_threads: 1 },
        max_batch_size: 32,
        max_batch_tokens: None,
    };
    const BF16: Numerics =
        Numerics { provider: ProviderKind::Openvino, precision: Precision::Bf16, variant: None };

    fn screened(numerics: Numerics, instances: usize, ratios: &[(usize, f64)]) -> Screened {
        let shape = Shape { instances, intra_threads: 2 / instances };
        Screened { numerics, shape, ratios: ratios.to_vec(), problem: None }
    }

    #[test]
    fn finalists_are_the_best_of_both_kinds_and_never_the_present_settings() {
        let screen = [
            screened(NOW.numerics, 2, &[(8, 0.9), (32, 1.0)]),
            screened(NOW.numerics, 1, &[(8, 1.2)]),
            screened(BF16, 2, &[(8, 1.9)]),
            screened(BF16, 1, &[]),
        ];
        let found = finalists(&screen, NOW, None);
        let settings: Vec<_> =
            found.iter().map(|s| (s.numerics, s.shape.instances, s.max_batch_size)).collect();
        assert_eq!(settings, [(NOW.numerics, 1, 8), (BF16, 2, 8)]);
    }

    #[test]
    fn batches_of_texts_are_bounded_by_tokens() {
        let found = finalists(&[screened(NOW.numerics, 2, &[(8, 1.0)])], NOW, Some(13));
        assert_eq!((found[0].max_batch_size, found[0].max_batch_tokens), (32, Some(128)));
        let found = finalists(&[screened(NOW.numerics, 2, &[(64, 1.0)])], NOW, Some(13));
        assert_eq!((found[0].max_batch_size, found[0].max_batch_tokens), (64, Some(832)));
    }

    #[test]
    fn heats_leave_the_best_of_each_kind() {
        let bf16 = Setting { numerics: BF16, ..NOW };
        let smaller = Setting { max_batch_size: 8, ..NOW };
        let standing = [(0, NOW), (1, smaller), (2, Setting { max_batch_size: 4, ..NOW }), (3, bf16)];
        let heat = |rate: f64| vec![Sample { rows_per_second: rate, ..Sample::default() }; 2];
        let chosen = choose(&standing, &[heat(10.0), heat(12.0), heat(11.0), heat(20.0)], NOW);
        assert_eq!(chosen, [(0, NOW), (1, smaller), (3, bf16)]);
    }
}
