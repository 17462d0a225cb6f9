//! Sessions without a server, for instruction counts, thread pools and what sessions share.
//!
//! `run LIBRARY GRAPH RUNS`: one session through `engine/`, one row a run, so that a profiler sees
//! only that. The difference between two numbers of runs is what a run costs.
//!
//! `pools LIBRARY GRAPH POOL SESSIONS INTRA DRIVERS RUNS`: as many sessions, whose threads are each
//! one's own (POOL `own`) or shared by all (`shared`), asked in turn by as many drivers.
//!
//! `instances LIBRARY GRAPH SESSIONS SHARING`: what several sessions of a graph hold with packed
//! weights shared or not (SHARING `packed` or `none`), before and after a run of each.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use ml_inference_api::engine::{LargestShape, Run as _, Runtime, RuntimeOptions, SessionOptions, load};
use ml_inference_api::model::{Dim, Execution, TensorSpec};
use ml_inference_api::tensor::{DataType, Tensor};
use ort::environment::GlobalThreadPoolOptions;
use ort::session::Session;
use ort::session::builder::{PrepackedWeights, SessionBuilder};
use ort::value::{Tensor as OrtTensor, ValueType};

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Elements along any free dimension but the first.
const TOKENS: usize = 32;

fn main() -> Result<(), Fault> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let line = match *arguments.as_slice() {
        ["run", library, graph, runs] => run(library, graph, runs.parse()?)?,
        ["pools", library, graph, pool, ref counts @ ..] => {
            let counts: Vec<usize> = counts.iter().map(|count| count.parse()).collect::<Result<_, _>>()?;
            let [sessions, intra, drivers, runs] = *counts else { return Err("four numbers".into()) };
            pools((library, graph), pool == "shared", Load { sessions, intra, drivers, runs })?
        }
        ["instances", library, graph, sessions, sharing] => {
            instances((library, graph), sessions.parse()?, sharing == "packed")?
        }
        _ => return Err("see the head of benches/sessions.rs for the arguments".into()),
    };
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

fn run(library: &str, graph: &str, runs: usize) -> Result<String, Fault> {
    let options = RuntimeOptions { dylib_path: Some(library.into()), telemetry_disabled: true };
    let runtime = Runtime::load(&options)?;
    let graph = Path::new(graph).canonicalize()?;
    let folder = graph.parent().ok_or("a graph lies in a folder")?;
    let one = std::num::NonZeroUsize::new(1);
    let execution = Execution { instances: one, intra_threads: one, ..Execution::default() };
    let options = SessionOptions {
        graph: &graph,
        folder,
        execution: &execution,
        name: "sessions",
        engines: None,
        largest: LargestShape { rows: 32, tokens: None },
    };
    let mut loaded = load(runtime, &options)?;
    let inputs: Vec<Tensor> = loaded.signature.inputs.iter().map(ones).collect::<Result<_, _>>()?;
    let (before, began) = (cpu_seconds()?, Instant::now());
    for _ in 0..runs {
        loaded.sessions[0].run(&inputs)?;
    }
    Ok(format!("{runs} runs, {:.3} s, CPU {:.2} s", began.elapsed().as_secs_f64(), cpu_seconds()? - before))
}

fn ones(spec: &TensorSpec) -> Result<Tensor, Fault> {
    let size = |(axis, dim): (usize, &Dim)| match dim {
        Dim::Fixed(size) => *size,
        Dim::Free(_) if axis == 0 => 1,
        Dim::Free(_) | Dim::AnyRank => TOKENS,
    };
    let shape: Vec<usize> = spec.dims.iter().enumerate().map(size).collect();
    let count = shape.iter().product();
    match spec.data_type {
        DataType::Fp32 => Ok(Tensor::new(shape, vec![1.0_f32; count])?),
        DataType::Int64 => Ok(Tensor::new(shape, vec![1_i64; count])?),
        other => Err(format!("{other} inputs are not made here").into()),
    }
}

/// The runtime with a pool for all sessions, where `shared` is the threads of one.
fn environment(library: &str, shared: Option<usize>) -> Result<ort::environment::Environment, Fault> {
    let mut builder = ort::init_from(PathBuf::from(library))?.with_telemetry(false);
    if let Some(threads) = shared {
        let pool = GlobalThreadPoolOptions::default().with_intra_threads(threads)?;
        builder = builder.with_global_thread_pool(pool.with_inter_threads(1)?.with_spin_control(false)?);
    }
    let environment = builder.build()?;
    environment.set_log_level(ort::logging::LogLevel::Warning);
    Ok(environment)
}

fn own_threads(builder: SessionBuilder, threads: usize) -> Result<SessionBuilder, Fault> {
    builder
        .with_intra_threads(threads)
        .map_err(|error| said(&error))?
        .with_intra_op_spinning(false)
        .map_err(|error| said(&error))
}

/// The text of an error that holds the builder, which can't go to another thread.
fn said(error: &dyn std::fmt::Display) -> Fault {
    error.to_string().into()
}

#[derive(Clone, Copy)]
struct Load {
    sessions: usize,
    intra: usize,
    drivers: usize,
    runs: usize,
}

fn pools((library, graph): (&str, &str), is_shared: bool, load: Load) -> Result<String, Fault> {
    let environment = environment(library, is_shared.then_some(load.intra))?;
    let made = (0..load.sessions).map(|_| {
        let builder = Session::builder(&environment)?;
        let mut builder = if is_shared { builder } else { own_threads(builder, load.intra)? };
        Ok(Mutex::new(builder.commit_from_file(graph)?))
    });
    let sessions: Vec<Mutex<Session>> = made.collect::<Result<_, Fault>>()?;
    sessions.iter().try_for_each(run_raw)?;
    let threads = status_field("Threads:")?;
    let (before, began) = (cpu_seconds()?, Instant::now());
    std::thread::scope(|scope| {
        let driver = |driver: usize| {
            (0..load.runs).try_for_each(|index| run_raw(&sessions[(driver + index) % sessions.len()]))
        };
        let drivers: Vec<_> = (0..load.drivers).map(|at| scope.spawn(move || driver(at))).collect();
        drivers
            .into_iter()
            .try_for_each(|driver| driver.join().unwrap_or_else(|_| Err("a driver panicked".into())))
    })?;
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds()? - before);
    #[expect(clippy::cast_precision_loss, reason = "a count of runs")]
    let runs = (load.runs * load.drivers) as f64;
    Ok(format!("{threads} threads, CPU {:.3} ms a run, {:.1} runs/s", cpu * 1e3 / runs, runs / seconds))
}

/// One run of a row with `TOKENS` tokens, all ones, of INT64 inputs.
fn run_raw(session: &Mutex<Session>) -> Result<(), Fault> {
    let mut session = session.lock().map_err(|_| "a driver panicked")?;
    let mut inputs = Vec::new();
    for outlet in session.inputs() {
        let ValueType::Tensor { .. } = outlet.dtype() else { return Err("not a tensor".into()) };
        let ones = OrtTensor::from_array(([1, TOKENS], vec![1_i64; TOKENS]))?;
        inputs.push((outlet.name().to_owned(), ones));
    }
    session.run(inputs)?;
    Ok(())
}

fn instances((library, graph): (&str, &str), count: usize, is_packed: bool) -> Result<String, Fault> {
    let environment = environment(library, None)?;
    let before = status_field("RssAnon:")?;
    let mut builder = own_threads(Session::builder(&environment)?, 1)?;
    if is_packed {
        builder = builder.with_prepacked_weights(&PrepackedWeights::new()).map_err(|error| said(&error))?;
    }
    let mut sessions = Vec::new();
    let mut grown = Vec::new();
    for _ in 0..count {
        sessions.push(Mutex::new(builder.commit_from_file(graph)?));
        grown.push((status_field("RssAnon:")? - before) / 1024);
    }
    sessions.iter().try_for_each(run_raw)?;
    Ok(format!(
        "{grown:?} MiB after each session, {} after a run of each",
        (status_field("RssAnon:")? - before) / 1024
    ))
}

fn status_field(name: &str) -> Result<usize, Fault> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|rest| rest.split_ascii_whitespace().next()).ok_or("no such field")?;
    Ok(value.parse()?)
}

/// User and system time, in the kernel's hundredths of a second.
fn cpu_seconds() -> Result<f64, Fault> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').ok_or("no name")?.1;
    let ticks: f64 =
        fields.split_ascii_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks / 100.0)
}
