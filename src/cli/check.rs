//! `check`: load, warm up and verify without serving; tell everything, good and bad.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::{CheckArguments, Format};
use super::{FAILED, Failure, models, print};
use crate::cores::{self, Cores, Throttling};
use crate::engine::{InUse, Runtime, advice};
use crate::model::{Discovered, ModelProblem, TensorSpec, VersionSource};
use crate::service::{LoadOptions, ModelFacts, load_version};

/// Checks every version of every model behind the paths.
pub(super) fn run(arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let throttled = cores::throttling();
    let Discovered { models: sources, mut problems, ignored } = models::find(&arguments.paths);
    let mut good = Vec::new();
    if !sources.is_empty() {
        let runtime = models::runtime()?;
        for source in &sources {
            for version in &source.versions {
                match load_version(runtime, source, version, &LoadOptions::default()) {
                    Ok(loaded) => good.push(Good::new(runtime, version, loaded.facts)),
                    Err(mut found) => problems.append(&mut found),
                }
            }
        }
    }
    let findings = cores_findings(&good, throttled);
    let report = Report { good: &good, problems: &problems, ignored: &ignored, findings: &findings };
    let text = match arguments.format {
        Format::Text => as_text(&report),
        Format::Json => as_json(&report),
    };
    print(text.trim_end())?;
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { FAILED.into() })
}

/// A model that may serve, and what it could use here and does not.
struct Good {
    facts: ModelFacts,
    advice: Vec<String>,
}

impl Good {
    fn new(runtime: &Runtime, version: &VersionSource, facts: ModelFacts) -> Self {
        let precision = version.description.manifest.execution.precision.unwrap_or_default();
        let (provider, device) = (facts.provider, facts.device.as_str());
        let in_use = InUse { graph: &version.graph, provider, device, precision };
        Self { advice: advice(runtime, &in_use), facts }
    }
}

struct Report<'a> {
    good: &'a [Good],
    problems: &'a [ModelProblem],
    ignored: &'a [String],
    findings: &'a [String],
}

/// What to know about cores and threads; `before` is what was throttled before the models were loaded.
fn cores_findings(good: &[Good], before: Option<Throttling>) -> Vec<String> {
    let threads: Vec<_> = good.iter().filter_map(|good| good.facts.cpu_threads()).collect();
    let throttled = cores::throttling().map(|now| now.since(before.unwrap_or(now)));
    cores::findings(&Cores::read(), &threads, throttled)
}

fn as_text(report: &Report<'_>) -> String {
    let Report { good, problems, ignored, findings } = report;
    let mut text = String::new();
    for Good { facts, advice } in *good {
        // Writing to a string can't fail.
        let _infallible = describe(&mut text, facts);
        for sentence in advice {
            let _infallible = writeln!(text, "      advice    {sentence}");
        }
    }
    for entry in *ignored {
        let _infallible = writeln!(text, "      ignored   {entry}: not a model");
    }
    for finding in *findings {
        let _infallible = writeln!(text, "      cores     {finding}");
    }
    for problem in *problems {
        let _infallible = writeln!(text, "BAD   {problem}");
    }
    let _infallible = writeln!(text, "{} good, {} problems", good.len(), problems.len());
    text
}

fn describe(text: &mut String, facts: &ModelFacts) -> std::fmt::Result {
    writeln!(text, "good  {} version {}: {}", facts.name, facts.version, facts.task.name())?;
    let signature = &facts.signature;
    let outlets =
        [("input", &signature.inputs), ("optional", &signature.optional), ("output", &signature.outputs)];
    for (kind, specs) in outlets {
        for spec in specs {
            writeln!(text, "      {kind:<9} {} {} {}", spec.name, spec.data_type, spec.shape_text())?;
        }
    }
    let batchable = if facts.batchable { "yes" } else { "no" };
    let nodes = facts.placement.iter().map(|(provider, nodes)| format!("{nodes} {provider}"));
    let nodes = nodes.collect::<Vec<_>>().join(", ");
    writeln!(text, "      provider  {} on {}; nodes: {nodes}", facts.provider, facts.device)?;
    let shared = facts
        .shared_weights_bytes
        .map_or_else(String::new, |bytes| format!(", one copy of the weights for all ({} kB)", bytes / 1000));
    writeln!(text, "      sessions  {} with {} threads each{shared}", facts.instances, facts.intra_threads)?;
    writeln!(text, "      batchable {batchable}: {}", facts.batchable_reason)?;
    if !facts.buckets.sizes().is_empty() {
        let (sizes, widths) = (facts.buckets.sizes(), facts.buckets.widths());
        writeln!(text, "      shapes    rows {sizes:?}, tokens {widths:?}")?;
    }
    writeln!(text, "      golden    {} right", facts.golden)?;
    writeln!(text, "      sha256    {}", facts.digest)?;
    let (load, warm) = (facts.load_time.as_secs_f64() * 1e3, facts.warmup_time.as_secs_f64() * 1e3);
    let memory =
        facts.memory_bytes.map_or_else(|| "unknown".to_owned(), |bytes| format!("{} kB", bytes / 1000));
    writeln!(text, "      load      {load:.0} ms, verified in {warm:.0} ms, memory {memory}")?;
    for note in &facts.notes {
        writeln!(text, "      note      {note}")?;
    }
    Ok(())
}

fn as_json(report: &Report<'_>) -> String {
    let Report { good, problems, ignored, findings } = report;
    let problems: Vec<Value> = problems
        .iter()
        .map(|problem| json!({ "model": problem.model, "message": problem.message }))
        .collect();
    let models: Vec<Value> = good.iter().map(good_json).collect();
    let report = json!({ "ok": problems.is_empty(), "models": models, "problems": problems, "ignored": ignored, "cores": findings });
    format!("{report:#}")
}

fn good_json(good: &Good) -> Value {
    let Good { facts, advice } = good;
    let specs = |specs: &[TensorSpec]| -> Vec<Value> {
        let one = |spec: &TensorSpec| json!({ "name": *spec.name, "datatype": spec.data_type.name(), "shape": spec.shape_text() });
        specs.iter().map(one).collect()
    };
    json!({
        "name": facts.name.as_str(),
        "version": facts.version.to_string(),
        "task": facts.task.name(),
        "inputs": specs(&facts.signature.inputs),
        "optional_inputs": specs(&facts.signature.optional),
        "outputs": specs(&facts.signature.outputs),
        "provider": facts.provider,
        "device": facts.device,
        "nodes": facts.placement,
        "batch_sizes": facts.buckets.sizes(),
        "batch_widths": facts.buckets.widths(),
        "instances": facts.instances,
        "intra_threads": facts.intra_threads,
        "batchable": facts.batchable,
        "batchable_reason": facts.batchable_reason,
        "max_batch_size": facts.max_batch_size,
        "max_batch_tokens": facts.max_batch_tokens,
        "golden": facts.golden,
        "sha256": facts.digest,
        "load_seconds": facts.load_time.as_secs_f64(),
        "warmup_seconds": facts.warmup_time.as_secs_f64(),
        "memory_bytes": facts.memory_bytes,
        "shared_weights_bytes": facts.shared_weights_bytes,
        "notes": facts.notes,
        "advice": advice,
    })
}
