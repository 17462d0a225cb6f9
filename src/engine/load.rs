//! From a graph's file to sessions that can run it.
//!
//! Loads by path, never from bytes (the runtime would look for external data in the working
//! directory), and only after the file and what it refers to were found to lie inside the model's
//! folder. Error texts name no absolute path, so `check` and the admin interface may show them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ort::ErrorCode;
use ort::logging::LogLevel;
use ort::session::builder::{AutoDevicePolicy, GraphOptimizationLevel, SessionBuilder};

use super::attempt::Attempt;
use super::bound::{Capture, Place};
use super::core::Shared;
use super::devices::Devices;
use super::graph_file::GraphFile;
use super::load_error::LoadError;
use super::loaded::{GraphMetadata, LoadedGraph, left_to_the_cpu};
use super::message::tidy;
use super::placement::{self, Placement};
use super::plan::Plan;
use super::profile::{self, LargestShape};
use super::providers::{self, ProviderRequest, Target};
use super::shared_weights::{self, Proof, Written};
use super::stream::Stream;
use super::{Runtime, Session, beside, external_data, graph_file, graphs, outlets};
use crate::cores::Cores;
use crate::model::{Execution, GraphOptimization, ProviderKind, Signature};

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
    /// Where what is compiled for this graph is kept for the next start; made where it is missing.
    pub engines: Option<&'a Path>,
    /// How large anything may get that it is asked to run.
    pub largest: LargestShape,
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
    let mut attempt = Attempt::first_of(options.execution);
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
    notes.extend(left_to_the_cpu(provider, &made.placement));
    Ok(LoadedGraph {
        signature: made.said.signature,
        sessions: made.sessions,
        provider,
        providers_note: notes,
        device: made.devices.name,
        cuda_devices: made.devices.cuda,
        placement: made.placement,
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

/// The runtime's option for the largest constant that it computes at load, bytes.
const FOLDED_BYTES: &str = "optimization.constant_folding_max_output_size_in_bytes";

/// What a graph says of itself.
struct Said {
    signature: Signature,
    metadata: GraphMetadata,
    shared: Shared,
}

/// Sessions, and what is to be told about them.
struct Made {
    said: Said,
    sessions: Vec<Session>,
    devices: Devices,
    placement: Placement,
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
        let provider = attempt.first();
        let devices = Devices::of(provider, execution)?;
        let plan = Plan::new(execution, provider, self.file.bytes, Cores::read().threads());
        if attempt.is_cpu_alone() && plan.instances > 1 && self.file.bytes >= self.worthwhile {
            match self.share(&self.builder_for(attempt, plan, Target::default())?, plan) {
                Ok(made) => return Ok(made),
                Err(reason) => {
                    let model = self.options.name;
                    tracing::info!(model, reason, "each session has its own copy of the weights");
                }
            }
        }
        // Sessions of one device do not follow each other: they take turns.
        let ranges = self.ranges(attempt, plan)?;
        let mut sessions = Vec::new();
        for _ in 0..plan.instances {
            for device in devices.each() {
                let stream = self.stream(attempt, device)?;
                let (engines, stream_of) = (self.options.engines, stream.as_ref());
                let target = Target { device, stream: stream_of, engines, ranges: &ranges };
                let mut builder = self.builder_for(attempt, plan, target)?;
                let session = self.commit(&mut builder, self.options.graph, provider)?;
                sessions.push((device, session, stream));
            }
        }
        let [(_, first, _), ..] = sessions.as_slice() else {
            unreachable!("a plan has at least one session")
        };
        let (said, placement) = (self.said(first)?, placement::of(first));
        let bound =
            |(device, session, stream)| self.session((session, stream), &said, self.place(provider, device)?);
        let sessions: Result<_, _> = sessions.into_iter().map(bound).collect();
        let intra_threads = plan.intra_threads;
        Ok(Made { sessions: sessions?, said, devices, placement, intra_threads, shared_weights_bytes: None })
    }

    /// Options of a session on `device`, with every provider in line.
    fn builder_for(
        &self,
        attempt: &Attempt,
        plan: Plan,
        target: Target<'_>,
    ) -> Result<SessionBuilder, LoadError> {
        let (execution, intra_threads) = (self.options.execution, plan.intra_threads);
        let builder = self.builder(plan, attempt.first());
        let mut builder = builder.map_err(|error| self.failed(&error))?;
        for (kind, precision) in attempt.in_line() {
            let request = ProviderRequest { kind, precision, intra_threads, target, execution };
            providers::register(&mut builder, self.runtime, request)?;
        }
        Ok(builder)
    }

    /// A stream for the two providers of a session that TensorRT is the first of.
    fn stream(&self, attempt: &Attempt, device: Option<u32>) -> Result<Option<Stream>, LoadError> {
        let kind = ProviderKind::Tensorrt;
        let Some(device) = device.filter(|_| attempt.first() == kind && self.runtime.has_provider(kind))
        else {
            return Ok(None);
        };
        beside::preload(self.runtime.path());
        Stream::of(device).map(Some).map_err(|error| providers::failed(kind, error))
    }

    /// The ranges of shapes for TensorRT, where the manifest gives none. What the inputs are a session says that runs
    /// nothing.
    fn ranges(&self, attempt: &Attempt, plan: Plan) -> Result<Vec<(&'static str, String)>, LoadError> {
        let table = self.options.execution.tensorrt.iter().flat_map(|table| table.keys());
        if attempt.first() != ProviderKind::Tensorrt
            || table.into_iter().any(|key| key.starts_with("trt_profile"))
        {
            return Ok(Vec::new());
        }
        let builder = self.builder(plan, ProviderKind::Cpu);
        let builder =
            builder.and_then(|builder| Ok(builder.with_optimization_level(GraphOptimizationLevel::Disable)?));
        let mut builder = builder.map_err(|error| self.failed(&error))?;
        let session = self.commit(&mut builder, self.options.graph, ProviderKind::Cpu)?;
        let signature = outlets::signature(&session, &self.file.contents)?;
        Ok(profile::options(&signature, self.options.largest).map_or_else(Vec::new, Vec::from))
    }

    /// The memory that a session of `provider` on `device` is bound to.
    fn place(
        &self,
        provider: ProviderKind,
        device: Option<u32>,
    ) -> Result<Option<(Place, Capture)>, LoadError> {
        let Some(device) = device else { return Ok(None) };
        let id = i32::try_from(device);
        let id = id.map_err(|_| providers::unavailable(provider, format!("there is no device {device}")))?;
        let capture = if providers::captures(provider, self.options.execution) {
            Capture::Shapes
        } else {
            Capture::Off
        };
        Ok(Some((Place::Cuda(id), capture)))
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
            let mut writer = self.session((writer, None), &said, None).map_err(told)?;
            let proof = Proof::of(&mut writer, &said.signature);
            (said, proof.ok_or("it runs no made-up input, so that a shared one can't be checked")?)
        };
        let mut reader = Written::read_by(builder.clone()).map_err(|error| tidy(&error.to_string()))?;
        let (mut sessions, mut placement) = (Vec::new(), Placement::new());
        for _ in 0..plan.instances {
            let session = self.commit(&mut reader, &written.graph(), ProviderKind::Cpu).map_err(told)?;
            placement = placement::of(&session);
            let mut session = self.session((session, None), &said, None).map_err(told)?;
            if !proof.holds_for(&mut session) {
                return Err("with shared weights its outputs are others".into());
            }
            sessions.push(session);
        }
        Ok(Made {
            said,
            sessions,
            devices: Devices::of(ProviderKind::Cpu, self.options.execution).map_err(told)?,
            placement,
            intra_threads: plan.intra_threads,
            shared_weights_bytes: written.weights_bytes(),
        })
    }

    fn said(&self, session: &ort::session::Session) -> Result<Said, LoadError> {
        let signature = outlets::signature(session, &self.file.contents)?;
        let optional = signature.optional.iter().map(|spec| Arc::clone(&spec.name)).collect();
        let class_labels = self.file.contents.class_labels.as_slice().into();
        let shared = Shared { class_labels, optional };
        Ok(Said { signature, metadata: outlets::metadata(session), shared })
    }

    fn session(
        &self,
        session: (ort::session::Session, Option<Stream>),
        said: &Said,
        place: Option<(Place, Capture)>,
    ) -> Result<Session, LoadError> {
        Session::new(session, &said.shared, place).map_err(|error| self.failed(&error))
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
            .with_config_entry(placement::RECORDED, "1")?
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
        let _nobody_captures = (provider != ProviderKind::Cpu).then(graphs::running);
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
            _ if provider != ProviderKind::Cpu => providers::failed(provider, reason),
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
