//! What `tune` found, for people and for programs, and what comes of it.

use std::fmt::Write as _;

use serde::{Serialize, Serializer};

use super::agreement::Agreement;
use super::arguments::TuneArguments;
use super::data::Samples;
use super::judge::{self, Sample, Spread, Verdict};
use super::measure::cores;
use super::screen::Screened;
use super::setting::{Numerics, Setting};
use super::subject::Subject;

/// Numerics that could be chosen, and how their answers agree with the present ones; or why they
/// can't be had.
#[derive(Debug, Serialize)]
pub(super) struct Choice {
    #[serde(flatten)]
    pub(super) numerics: Numerics,
    #[serde(serialize_with = "found")]
    pub(super) found: Result<Agreement, String>,
    /// Golden samples whose tolerance does not allow these numerics, and the one that would.
    pub(super) wider: Vec<(usize, f64)>,
}

fn found<S: Serializer>(found: &Result<Agreement, String>, serializer: S) -> Result<S::Ok, S::Error> {
    match found {
        Ok(agreement) => agreement.serialize(serializer),
        Err(problem) => problem.serialize(serializer),
    }
}

/// The rounds of one setting as it is served; a verdict for all but the present settings.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) setting: Setting,
    pub(super) verdict: Option<Verdict>,
    pub(super) rounds: Vec<Sample>,
}

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    target: String,
    runtime: String,
    cores: usize,
    instances: usize,
    instances_from: String,
    variants: Vec<String>,
    rule: String,
    pub(super) seconds: f64,
    pub(super) now: Setting,
    pub(super) choices: Vec<Choice>,
    pub(super) screen: Vec<Screened>,
    pub(super) compared: Vec<Comparison>,
    pub(super) outcome: Option<Outcome>,
}

/// What comes of it.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    /// The settings from now on; the present ones where nothing is better.
    pub(super) chosen: Setting,
    /// Another provider, precision or graph that is faster and was not taken.
    pub(super) proposed: Option<Setting>,
    /// The file that was written.
    pub(super) written: Option<String>,
    /// The manifest with the chosen settings, where it was not written.
    pub(super) manifest: Option<String>,
    /// In words.
    pub(super) told: Vec<String>,
}

impl Report {
    /// A report of nothing so far.
    pub(super) fn new(arguments: &TuneArguments, subject: &Subject, now: Setting, samples: &Samples) -> Self {
        Self {
            target: arguments.model.clone(),
            runtime: subject.runtime.version().to_owned(),
            cores: cores(),
            instances: samples.all.len(),
            instances_from: samples.origin.clone(),
            variants: subject.variants().map(str::to_owned).collect(),
            rule: judge::rule(),
            seconds: 0.0,
            now,
            choices: Vec::new(),
            screen: Vec::new(),
            compared: Vec::new(),
            outcome: None,
        }
    }

    /// Other numerics whose answers agree.
    pub(super) fn passing(&self) -> Vec<Numerics> {
        let passes = |choice: &&Choice| {
            let holds_golden = choice.wider.iter().all(|(_, tolerance)| tolerance.is_finite());
            holds_golden && choice.found.as_ref().is_ok_and(|agreement| agreement.passes)
        };
        self.choices.iter().filter(passes).map(|choice| choice.numerics).collect()
    }

    /// The golden samples that need another tolerance with these numerics.
    pub(super) fn wider(&self, numerics: Numerics) -> &[(usize, f64)] {
        self.choices.iter().find(|choice| choice.numerics == numerics).map_or(&[], |choice| &choice.wider)
    }

    /// The setting that won with the present numerics, and the one that won with others.
    pub(super) fn winners(&self) -> (Option<&Comparison>, Option<&Comparison>) {
        let won = |present: bool| {
            self.compared.iter().find(|comparison| {
                let gain = comparison.verdict.as_ref().is_some_and(|verdict| verdict.is_gain);
                gain && (comparison.setting.numerics == self.now.numerics) == present
            })
        };
        (won(true), won(false))
    }

    /// For programs.
    pub(super) fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        let _infallible = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "{}: ONNX Runtime {}, {} cores, {}, {:.0} s",
            self.target, self.runtime, self.cores, self.instances_from, self.seconds
        )?;
        for (index, path) in self.variants.iter().enumerate() {
            writeln!(text, "variant {}: {path}", index + 1)?;
        }
        if !self.choices.is_empty() {
            writeln!(text, "\nanswers beside those of {}", self.now.numerics)?;
        }
        for Choice { numerics, found, wider } in &self.choices {
            let told =
                found.as_ref().map_or_else(|problem| format!("can't be had: {problem}"), Agreement::text);
            writeln!(text, "  {:<24} {told}", numerics.to_string())?;
            let widest = wider.iter().map(|(_, tolerance)| *tolerance).fold(0.0, f64::max);
            if widest > 0.0 {
                let (count, provider) = (wider.len(), numerics.provider);
                writeln!(
                    text,
                    "  {:<24} {count} golden samples need a tolerance of {widest} for {provider}",
                    ""
                )?;
            }
        }
        self.write_screen(text)?;
        self.write_rounds(text)?;
        if let Some(outcome) = &self.outcome {
            writeln!(text)?;
            for line in &outcome.told {
                writeln!(text, "{line}")?;
            }
            if let Some(manifest) = &outcome.manifest {
                writeln!(text, "\n{manifest}")?;
            }
        }
        Ok(())
    }

    fn write_screen(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "\nfirst look: rows/s of the bare runtime loop over those of the present sessions, by rows of a run"
        )?;
        writeln!(text, "  {:<24} {:>20}  by rows", "numerics", "sessions x threads")?;
        for screened in &self.screen {
            let ratios = screened.ratios.iter().map(|(size, ratio)| format!("{size}: {ratio:.2}"));
            let told = screened.problem.clone().unwrap_or_else(|| ratios.collect::<Vec<_>>().join("  "));
            let (numerics, shape) = (screened.numerics.to_string(), screened.shape.to_string());
            writeln!(text, "  {numerics:<24} {shape:>20}  {told}")?;
        }
        Ok(())
    }

    fn write_rounds(&self, text: &mut String) -> std::fmt::Result {
        let rounds = self.compared.first().map_or(0, |comparison| comparison.rounds.len());
        writeln!(text, "\nserved in this process, {rounds} interleaved rounds: median (lowest to highest)")?;
        let columns = ["rows/s", "p50 ms", "p99 ms", "CPU us/row"].map(|name| format!("{name:>28}")).concat();
        writeln!(text, "  {:<44}{columns}", "")?;
        for Comparison { setting, rounds, verdict } in &self.compared {
            let cell = |of: fn(&Sample) -> f64, digits: usize| {
                let Spread { median, lowest, highest } = Spread::of(rounds.iter().map(of));
                format!("{median:.digits$} ({lowest:.digits$} to {highest:.digits$})")
            };
            let cells = [
                cell(|sample| sample.rows_per_second, 1),
                cell(|sample| sample.p50_ms, 3),
                cell(|sample| sample.p99_ms, 3),
                cell(|sample| sample.cpu_us_per_row, 1),
            ]
            .map(|cell| format!("{cell:>28}"))
            .concat();
            let name = if verdict.is_none() { format!("now: {setting}") } else { setting.to_string() };
            writeln!(text, "  {name:<44}{cells}")?;
            if let Some(verdict) = verdict {
                writeln!(text, "    {}", verdict.reason)?;
            }
        }
        writeln!(text, "rows/s and CPU at saturation, latencies at half of the present rows/s; {}", self.rule)
    }
}
