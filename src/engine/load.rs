//! From a graph's file to sessions that can run it.
//!
//! Loads by path, never from bytes (the runtime would look for external data in the working
//! directory), and only after the file and what it refers to were found to lie inside the model's
//! folder. Error texts name no absolute path, so `check` and the admin interface may show them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ort::ErrorCode;
use ort::logging::LogLevel;
use ort::session::builder::{AutoDevicePolicy, GraphOptimizationLevel, PrepackedWeights, SessionBuilder};

use super::graph_file::GraphFile;
use super::message::tidy;
use super::plan::Plan;
use super::providers::{self, ProviderRequest};
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

/// Why a graph can't be served. Texts name no absolute path and no source line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The graph's file is missing, unreadable or outside the folder.
    #[error("{file}: {reason}")]
    File {
        /// The graph's file name.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is not an ONNX graph that the runtime understands.
    #[error("{file} is not an ONNX graph that can be loaded: {reason}")]
    Graph {
        /// The graph's file name.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The graph refers to a file that it must not use.
    #[error("external data {location:?}: {reason}")]
    External {
        /// The file, as the graph writes it.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An input or output that can't be served.
    #[error("{0}")]
    Unsupported(String),
    /// A provider that was asked for can't be had.
    #[error("provider {provider} can't be had: {reason}")]
    Provider {
        /// The provider.
        provider: ProviderKind,
        /// Driver, library or version that is missing.
        reason: String,
    },
    /// A precision that the provider does not have.
    #[error("provider {provider} has no precision {precision}: {hint}")]
    Precision {
        /// The provider.
        provider: ProviderKind,
        /// The precision asked for.
        precision: &'static str,
        /// What to do instead.
        hint: String,
    },
    /// The runtime failed otherwise.
    #[error("no session could be made of {file}: {reason}")]
    Session {
        /// The graph's file name.
        file: String,
        /// What the runtime says.
        reason: String,
    },
}

impl LoadError {
    /// True where another provider might do.
    const fn is_of_provider(&self) -> bool {
        matches!(self, Self::Provider { .. } | Self::Precision { .. })
    }
}

/// Loads the graph into as many sessions as its options or the cores ask for.
///
/// # Errors
/// When a file is not what and where it should be, the graph can't be served, or a provider can't
/// be had.
pub fn load(runtime: &'static Runtime, options: &SessionOptions<'_>) -> Result<LoadedGraph, LoadError> {
    let started = Instant::now();
    let resident = resident_bytes();
    let file = Checked::new(options)?;
    let loader = Loader { runtime, options, file: &file };
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
    let (plan, sessions) = loop {
        match loader.sessions(&attempt) {
            Ok(made) => break made,
            Err(error) if error.is_of_provider() && options.execution.allow_fallback == Some(true) => {
                attempt = attempt.without(&error).ok_or_else(|| error.clone())?;
                notes.push(error.to_string());
            }
            Err(error) => return Err(error),
        }
    };
    let [first, ..] = sessions.as_slice() else { unreachable!("a plan has at least one session") };
    let provider = attempt.first();
    let (signature, metadata) = (outlets::signature(first, &file.contents)?, outlets::metadata(first));
    let labels: Arc<[String]> = file.contents.class_labels.as_slice().into();
    let optional: Arc<[Arc<str>]> = signature.optional.iter().map(|spec| Arc::clone(&spec.name)).collect();
    let sessions: ort::Result<Vec<Session>> = sessions
        .into_iter()
        .map(|session| Session::new(session, Arc::clone(&labels), Arc::clone(&optional)))
        .collect();
    Ok(LoadedGraph {
        signature,
        sessions: sessions.map_err(|error| loader.failed(&error))?,
        provider,
        providers_note: notes,
        device: providers::device(provider, options.execution),
        class_labels: file.contents.class_labels,
        metadata,
        intra_threads: plan.intra_threads,
        load_time: started.elapsed(),
        memory_bytes: resident.zip(resident_bytes()).map(|(before, after)| after - before),
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

struct Loader<'a> {
    runtime: &'static Runtime,
    options: &'a SessionOptions<'a>,
    file: &'a Checked,
}

impl Loader<'_> {
    fn sessions(&self, attempt: &Attempt) -> Result<(Plan, Vec<ort::session::Session>), LoadError> {
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
        let sessions: Result<_, _> =
            (0..plan.instances).map(|_| self.commit(&mut builder, attempt.first())).collect();
        Ok((plan, sessions?))
    }

    fn builder(&self, plan: Plan, provider: ProviderKind) -> ort::Result<SessionBuilder> {
        let level = match self.options.execution.graph_optimization.unwrap_or_default() {
            GraphOptimization::Disabled => GraphOptimizationLevel::Disable,
            GraphOptimization::Basic => GraphOptimizationLevel::Level1,
            GraphOptimization::Extended => GraphOptimizationLevel::Level2,
            GraphOptimization::All => GraphOptimizationLevel::All,
        };
        let builder = ort::session::Session::builder(self.runtime.environment())?
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
            .with_config_entry(FOLDED_BYTES, self.most_folded_bytes().to_string())?;
        if plan.instances == 1 {
            return Ok(builder);
        }
        Ok(builder.with_prepacked_weights(&PrepackedWeights::new())?)
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
        provider: ProviderKind,
    ) -> Result<ort::session::Session, LoadError> {
        let committed = catch_unwind(AssertUnwindSafe(|| builder.commit_from_file(self.options.graph)));
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

/// Memory of the process that is resident.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string(PathBuf::from("/proc/self/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
