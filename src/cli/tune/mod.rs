//! `tune`: which threads, instances, batches, provider and precision a model is served best with on
//! this machine; and those in its `model.toml`.
//!
//! Never for the worse: what is not surely faster leaves the present settings as they are, and what
//! changes answers is only proposed unless it is asked for.

mod agreement;
mod arguments;
mod data;
mod judge;
mod manifest;
mod measure;
mod memory;
mod progress;
mod report;
mod screen;
mod served;
mod setting;
mod subject;

use std::process::ExitCode;

pub(super) use arguments::TuneArguments;
use manifest::Target;
use report::{Comparison, Outcome, Report};
use subject::Subject;

use super::args::Format;
use super::{Failure, print};

/// Measures, writes what won, and prints.
pub(super) fn run(arguments: &TuneArguments) -> Result<ExitCode, Failure> {
    let subject = Subject::find(&arguments.model, &arguments.variant)?;
    let target = Target::choose(arguments, &subject)?;
    let mut report = measure::measure(arguments, &subject)?;
    report.outcome = Some(conclude(arguments, &subject, &target, &report)?);
    let text = match arguments.format {
        Format::Text => report.text(),
        Format::Json => report.json().map_err(|error| Failure::failed(error.to_string()))?,
    };
    print(text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// Chooses, and writes or shows the manifest.
fn conclude(
    arguments: &TuneArguments,
    subject: &Subject,
    target: &Target,
    report: &Report,
) -> Result<Outcome, Failure> {
    let (same, other) = report.winners();
    let may_be_written =
        |won: &&Comparison| arguments.accept_precision && won.setting.numerics.variant.is_none();
    let taken = other.filter(may_be_written);
    let chosen = faster(same, taken).map_or(report.now, |won| won.setting);
    let wider = report.wider(chosen.numerics);
    let mut told = vec![match faster(same, taken) {
        Some(won) => format!("chosen: {}", won.setting),
        None => format!("the present settings stay: {}", why_not(report)),
    }];
    let proposed = other.filter(|won| won.setting != chosen).map(|won| won.setting);
    told.extend(proposed.map(
        |setting| match setting.numerics.variant.and_then(|v| subject.variants().nth(v)) {
            Some(path) => format!("proposed: serve {path} instead, with {setting}"),
            None => format!("proposed: {setting}; --accept-precision writes it"),
        },
    ));
    let changed = manifest::edited(&manifest::present_text(subject)?, (&report.now, &chosen), wider);
    let text = changed.map_err(Failure::failed)?;
    if !wider.is_empty() {
        let provider = chosen.numerics.provider;
        told.push(format!("{} golden samples get a wider tolerance for {provider}", wider.len()));
    }
    let is_change = chosen != report.now;
    let (mut written, mut shown) = (None, None);
    match target {
        Target::File(file) if is_change || arguments.output.is_some() => {
            manifest::write(file, &text)?;
            told.push(format!("written: {}", file.display()));
            written = Some(file.display().to_string());
        }
        Target::Shown(reason) if is_change => {
            told.push(format!("not written: {reason}"));
            shown = Some(text);
        }
        Target::File(_) | Target::Shown(_) => told.push("nothing is written".to_owned()),
    }
    Ok(Outcome { chosen, proposed, written, manifest: shown, told })
}

/// The one with the larger gain.
fn faster<'a>(one: Option<&'a Comparison>, other: Option<&'a Comparison>) -> Option<&'a Comparison> {
    let gain = |won: &Comparison| won.verdict.as_ref().map_or(0.0, |verdict| verdict.gain.median);
    one.into_iter().chain(other).max_by(|a, b| gain(a).total_cmp(&gain(b)))
}

/// The verdict on the best with the present numerics.
fn why_not(report: &Report) -> String {
    let same =
        report.compared.iter().find(|c| c.setting.numerics == report.now.numerics && c.verdict.is_some());
    let reason =
        same.and_then(|comparison| comparison.verdict.as_ref()).map(|verdict| verdict.reason.clone());
    reason.unwrap_or_else(|| "no other threads, instances or batches came near them".to_owned())
}
