//! From a graph's file to sessions that can run it.
//!
//! Loads by path, never from bytes (the runtime would look for external data in the working
//! directory), and only after the file and what it refers to were found to lie inside the model's
//! folder. Error texts name no absolute path, so `check` and the admin interface may show them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ort::ErrorCode;
use ort::logging::LogLevel;
use ort::session::builder::{AutoDevicePolicy, GraphOptimizationLevel, SessionBuilder};

use super::graph_file::GraphFile;
use super::load_error::LoadError;
use super::message::tidy;
use super::plan::Plan;
use super::providers::{self, ProviderRequest};
use super::shared_weights::{self, Proof, Written};
use super::{Runtime, Session, external_data, graph_file, outlets};
use crate::cores::Cores;
use crate::model::{Execution, GraphOptimization, Precision, ProviderKind, Signature};

/// What to load, and how.
#[derive(Clone, Copy, Debug)]
pub struct SessionOptions<'a> {
    /// The graph's file, absolute, inside `folder`.
    pub graph: &'a Path,
    /// The folder that nothing of the model may lie outside of.
    pub folder: &'a Path,
    /// Providers, threads, instances.
    pub execution: &'a Execution,
    /// The model's name, for the runtime's log.
    pub name: &'a str,
}

/// A graph, loaded.
#[derive(Debug)]
pub struct LoadedGraph {
    /// Inputs and outputs.
    pub signature: Signature,
    /// At least one; each runs one batch at a time.
    pub sessions: Vec<Session>,
    /// The provider that is first in line for every node.
    pub provider: ProviderKind,
    /// What was asked for and could not be had, where the manifest allows a fallback.
    pub providers_note: Vec<String>,
    /// Where `provider` runs: `cpu`, `cuda:0`.
    pub device: String,
    /// Class labels found in the graph's classifiers; else empty.
    pub class_labels: Vec<String>,
    /// What the author wrote into the graph.
    pub metadata: GraphMetadata,
    /// Threads of one session inside a run.
    pub intra_threads: usize,
    /// How long loading took.
    pub load_time: Duration,
    /// By how much the process grew meanwhile; none where that is not known.
    pub memory_bytes: Option<i64>,
    /// The size of the file of weights that all sessions map, bytes; none where each has its own copy.
    pub shared_weights_bytes: Option<u64>,
}

/// What a graph's author wrote about it; empty texts are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphMetadata {
    /// The tool that made the file.
    pub producer: Option<String>,
    /// The author's name space.
    pub domain: Option<String>,
    /// What the model is.
    pub description: Option<String>,
    /// The author's version.
    pub version: Option<i64>,
}

/// Loads the graph into as many sessions as its options or the cores ask for.
///
/// # Errors
/// When a file is not what and where it should be, the graph can't be served, or a provider can't
/// be had.
pub fn load(runtime: &'static Runtime, options: &SessionOptions<'_>) -> Result<LoadedGraph, LoadError> {
    load_sharing(runtime, options, shared_weights::WORTHWHILE)
}

/// The same, with one copy of the weights for all sessions from `worthwhile` bytes on.
pub(super) fn load_sharing(
    runtime: &'static Runtime,
    options: &SessionOptions<'_>,
    worthwhile: u64,
) -> Result<LoadedGraph, LoadError> {
    let started = Instant::now();
    let resident = resident_bytes();
    let file = Checked::new(options)?;
    let loader = Loader { runtime, options, file: &file, worthwhile };
    let mut attempt = Attempt {
        providers: options
            .execution
            .providers
            .clone()
            .filter(|list| !list.is_empty())
            .unwrap_or_else(|| vec![ProviderKind::Cpu]),
        precision: options.execution.precision.unwrap_or_default(),
    };
    let mut notes = Vec::new();
    let made = loop {
        match loader.make(&attempt) {
            Ok(made) => break made,
            Err(error) if error.is_of_provider() && options.execution.allow_fallback == Some(true) => {
                attempt = attempt.without(&error).ok_or_else(|| error.clone())?;
                notes.push(error.to_string());
            }
            Err(error) => return Err(error),
        }
    };
    let provider = attempt.first();
    Ok(LoadedGraph {
        signature: made.said.signature,
        sessions: made.sessions,
        provider,
        providers_note: notes,
        device: providers::device(provider, options.execution),
        class_labels: file.contents.class_labels,
        metadata: made.said.metadata,
        intra_threads: made.intra_threads,
        load_time: started.elapsed(),
        memory_bytes: resident.zip(resident_bytes()).map(|(before, after)| after - before),
        shared_weights_bytes: made.shared_weights_bytes,
    })
}

/// The graph's file after our own checks.
struct Checked {
    name: String,
    contents: GraphFile,
    /// The graph and its external data.
    bytes: u64,
}

impl Checked {
    fn new(options: &SessionOptions<'_>) -> Result<Self, LoadError> {
        let name = external_data::shown_name(options.graph);
        let (real_folder, mut bytes) = external_data::check_graph(options.graph, options.folder)?;
        let contents = graph_file::read(options.graph).map_err(|error| LoadError::Graph {
            file: name.clone(),
            reason: format!("corrupt or truncated: {error}"),
        })?;
        for location in &contents.locations {
            bytes += external_data::check_location(location, options.graph, &real_folder)?;
        }
        Ok(Self { name, contents, bytes })
    }
}

/// Providers and precision to try.
struct Attempt {
    providers: Vec<ProviderKind>,
    precision: Precision,
}

impl Attempt {
    fn first(&self) -> ProviderKind {
        self.providers.first().copied().unwrap_or(ProviderKind::Cpu)
    }

    fn is_cpu_alone(&self) -> bool {
        self.providers == [ProviderKind::Cpu]
    }

    /// The next attempt after `error`: a precision that can't be had gives way before the provider
    /// does, and the last attempt is the CPU with the graph as it is. None when that failed too.
    fn without(mut self, error: &LoadError) -> Option<Self> {
        match error {
            LoadError::Precision { .. } if self.precision != Precision::Fp32 => {
                self.precision = Precision::Fp32;
                return Some(self);
            }
            LoadError::Provider { provider, .. } => self.providers.retain(|kind| kind != provider),
            _ => return None,
        }
        if self.providers.is_empty() {
            self.providers.push(ProviderKind::Cpu);
            return matches!(error, LoadError::Provider { provider, .. } if *provider != ProviderKind::Cpu)
                .then_some(self);
        }
        Some(self)
    }
}

/// The runtime's option for the largest constant that it computes at load, bytes.
const FOLDED_BYTES: &str = "optimization.constant_folding_max_output_size_in_bytes";

/// What a graph says of itself.
struct Said {
    signature: Signature,
    metadata: GraphMetadata,
    labels: Arc<[String]>,
    /// Names of the optional inputs.
    optional: Arc<[Arc<str>]>,
}

/// Sessions, and what is to be told about them.
struct Made {
    said: Said,
    sessions: Vec<Session>,
    intra_threads: usize,
    shared_weights_bytes: Option<u64>,
}

struct Loader<'a> {
    runtime: &'static Runtime,
    options: &'a SessionOptions<'a>,
    file: &'a Checked,
    /// The size from which sessions share their weights, bytes.
    worthwhile: u64,
}

impl Loader<'_> {
    fn make(&self, attempt: &Attempt) -> Result<Made, LoadError> {
        let execution = self.options.execution;
        let plan = Plan::new(execution, attempt.first(), self.file.bytes, Cores::read().threads());
        let mut builder = self.builder(plan, attempt.first()).map_err(|error| self.failed(&error))?;
        for (index, &kind) in attempt.providers.iter().enumerate() {
            // The precision is the first provider's; those behind it take what it leaves over.
            let precision = if index == 0 { attempt.precision } else { Precision::Fp32 };
            let intra_threads = plan.intra_threads;
            let request = ProviderRequest { kind, precision, intra_threads, execution };
            providers::register(&mut builder, self.runtime, request)?;
        }
        if attempt.is_cpu_alone() && plan.instances > 1 && self.file.bytes >= self.worthwhile {
            match self.share(&builder, plan) {
                Ok(made) => return Ok(made),
                Err(reason) => {
                    let model = self.options.name;
                    tracing::info!(model, reason, "each session has its own copy of the weights");
                }
            }
        }
        let sessions: Result<Vec<_>, _> = (0..plan.instances)
            .map(|_| self.commit(&mut builder, self.options.graph, attempt.first()))
            .collect();
        let sessions = sessions?;
        let [first, ..] = sessions.as_slice() else { unreachable!("a plan has at least one session") };
        let said = self.said(first)?;
        let sessions: Result<_, _> =
            sessions.into_iter().map(|session| self.session(session, &said)).collect();
        let intra_threads = plan.intra_threads;
        Ok(Made { sessions: sessions?, said, intra_threads, shared_weights_bytes: None })
    }

    /// Sessions that map one file of weights. The one that writes it goes before the others come: what it
    /// held is theirs then.
    fn share(&self, builder: &SessionBuilder, plan: Plan) -> Result<Made, String> {
        let told = |error: LoadError| error.reason();
        let written = Written::folder().map_err(|error| format!("no folder for a shared one: {error}"))?;
        let mut writer = written.write_by(builder.clone()).map_err(|error| tidy(&error.to_string()))?;
        let (said, proof) = {
            let writer = self.commit(&mut writer, self.options.graph, ProviderKind::Cpu).map_err(told)?;
            let said = self.said(&writer).map_err(told)?;
            let mut writer = self.session(writer, &said).map_err(told)?;
            let proof = Proof::of(&mut writer, &said.signature);
            (said, proof.ok_or("it runs no made-up input, so that a shared one can't be checked")?)
        };
        let mut reader = Written::read_by(builder.clone()).map_err(|error| tidy(&error.to_string()))?;
        let mut sessions = Vec::new();
        for _ in 0..plan.instances {
            let session = self.commit(&mut reader, &written.graph(), ProviderKind::Cpu).map_err(told)?;
            let mut session = self.session(session, &said).map_err(told)?;
            if !proof.holds_for(&mut session) {
                return Err("with shared weights its outputs are others".into());
            }
            sessions.push(session);
        }
        Ok(Made {
            said,
            sessions,
            intra_threads: plan.intra_threads,
            shared_weights_bytes: written.weights_bytes(),
        })
    }

    fn said(&self, session: &ort::session::Session) -> Result<Said, LoadError> {
        let signature = outlets::signature(session, &self.file.contents)?;
        let optional = signature.optional.iter().map(|spec| Arc::clone(&spec.name)).collect();
        let labels = self.file.contents.class_labels.as_slice().into();
        Ok(Said { signature, metadata: outlets::metadata(session), labels, optional })
    }

    fn session(&self, session: ort::session::Session, said: &Said) -> Result<Session, LoadError> {
        let (labels, optional) = (Arc::clone(&said.labels), Arc::clone(&said.optional));
        Session::new(session, labels, optional).map_err(|error| self.failed(&error))
    }

    fn builder(&self, plan: Plan, provider: ProviderKind) -> ort::Result<SessionBuilder> {
        let level = match self.options.execution.graph_optimization.unwrap_or_default() {
            GraphOptimization::Disabled => GraphOptimizationLevel::Disable,
            GraphOptimization::Basic => GraphOptimizationLevel::Level1,
            GraphOptimization::Extended => GraphOptimizationLevel::Level2,
            GraphOptimization::All => GraphOptimizationLevel::All,
        };
        Ok(ort::session::Session::builder(self.runtime.environment())?
            .with_log_id(self.options.name.replace('\0', ""))?
            .with_log_level(LogLevel::Warning)?
            .with_optimization_level(level)?
            .with_intra_threads(plan.intra_threads)?
            .with_inter_threads(1)?
            // Spinning doubles the CPU of a run where cores are shared, as in a pod.
            .with_intra_op_spinning(false)?
            .with_inter_op_spinning(false)?
            // On the CPU it doubles what random shapes make the arena hold, and saves no time.
            .with_memory_pattern(provider != ProviderKind::Cpu)?
            // The crate's own default may pick an accelerator that nobody asked for.
            .with_auto_device(AutoDevicePolicy::PreferCPU)?
            .with_config_entry(FOLDED_BYTES, self.most_folded_bytes().to_string())?)
    }

    /// Unpacking quantised weights quadruples them; a graph of a hundred bytes has no gigabyte to
    /// compute beforehand. What exceeds it is computed at the run instead, where it can be stopped.
    fn most_folded_bytes(&self) -> u64 {
        self.file.bytes.saturating_mul(8).max(64 << 20)
    }

    /// One session. The crate panics on types of inputs and outputs that it does not know.
    fn commit(
        &self,
        builder: &mut SessionBuilder,
        graph: &Path,
        provider: ProviderKind,
    ) -> Result<ort::session::Session, LoadError> {
        let committed = catch_unwind(AssertUnwindSafe(|| builder.commit_from_file(graph)));
        let error = match committed {
            Ok(Ok(session)) => return Ok(session),
            Ok(Err(error)) => error,
            Err(panic) => return Err(self.panicked(panic.as_ref())),
        };
        let file = self.file.name.clone();
        let text = tidy(&error.to_string());
        let reason = text.strip_prefix(&format!("Load model from {file} ")).unwrap_or(&text);
        let reason = reason.strip_prefix("failed:").unwrap_or(reason).to_owned();
        Err(match error.code() {
            ErrorCode::InvalidProtobuf
            | ErrorCode::InvalidGraph
            | ErrorCode::InvalidArgument
            | ErrorCode::NoSuchFile
            | ErrorCode::NoModel
            | ErrorCode::NotImplemented => LoadError::Graph { file, reason },
            _ if provider != ProviderKind::Cpu => providers::unavailable(provider, reason),
            ErrorCode::GenericFailure => LoadError::Graph { file, reason },
            _ => LoadError::Session { file, reason },
        })
    }

    fn failed(&self, error: &ort::Error) -> LoadError {
        LoadError::Session { file: self.file.name.clone(), reason: tidy(&error.to_string()) }
    }

    fn panicked(&self, panic: &(dyn Any + Send)) -> LoadError {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
        LoadError::Unsupported(format!(
            "{} has an input or output of a type that can't be served ({})",
            self.file.name,
            tidy(text)
        ))
    }
}

/// Memory of the process that is resident. What sessions map together counts once: it is the proportional set
/// size (`proc_pid_smaps(5)`), where the kernel tells that.
fn resident_bytes() -> Option<i64> {
    let of = |path: &str, name: &str| -> Option<i64> {
        let text = std::fs::read_to_string(path).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    };
    of("/proc/self/smaps_rollup", "Pss:").or_else(|| of("/proc/self/status", "VmRSS:"))
}
