//! What the runtime itself needs of memory: loads ONNX Runtime and the sessions of the given graphs
//! as the server does, runs each alone and at batch 32, prints its resident memory, and ends.
//! `benches/run.sh` sets the idle server beside it.
//!
//! Arguments: the runtime's library, then graphs. Texts are given the length of a short sentence.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use ml_inference_api::engine::{
    LargestShape, LoadedGraph, Run as _, Runtime, RuntimeOptions, SessionOptions, load,
};
use ml_inference_api::model::{Dim, Execution, TensorSpec};
use ml_inference_api::tensor::{DataType, Tensor};

/// Rows of a batch, and elements along any other free dimension.
const SIZES: [usize; 2] = [1, 32];
const TOKENS: usize = 12;

type Fault = Box<dyn std::error::Error>;

fn main() -> Result<(), Fault> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let dylib_path = Some(arguments.next().ok_or("expected the runtime's library")?);
    // Set by `benches/run.sh` before this process starts.
    let runtime = Runtime::load(&RuntimeOptions { dylib_path, telemetry_disabled: true })?;
    let library_only = resident_bytes()?;
    let mut graphs = Vec::new();
    for path in arguments {
        graphs.push(loaded(runtime, &path)?);
    }
    for graph in &mut graphs {
        for rows in SIZES {
            let inputs = graph.signature.inputs.iter().map(|spec| ones(spec, rows));
            let inputs: Vec<Tensor> = inputs.collect::<Result<_, _>>()?;
            for session in &mut graph.sessions {
                session.run(&inputs)?;
            }
        }
    }
    let resident = resident_bytes()?;
    writeln!(std::io::stdout(), "{{\"library\": {library_only}, \"resident\": {resident}}}")?;
    Ok(())
}

fn loaded(runtime: &'static Runtime, path: &Path) -> Result<LoadedGraph, Fault> {
    let graph = path.canonicalize()?;
    let folder = graph.parent().ok_or("a graph lies in a folder")?;
    let execution = Execution::default();
    Ok(load(
        runtime,
        &SessionOptions {
            graph: &graph,
            folder,
            execution: &execution,
            name: "bare",
            engines: None,
            largest: LargestShape { rows: 32, tokens: None },
        },
    )?)
}

fn ones(spec: &TensorSpec, rows: usize) -> Result<Tensor, Fault> {
    let size = |(axis, dim): (usize, &Dim)| match dim {
        Dim::Fixed(size) => *size,
        Dim::Free(_) if axis == 0 => rows,
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

fn resident_bytes() -> Result<u64, Fault> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_ascii_whitespace().next()).ok_or("no VmRSS")?;
    Ok(kib.parse::<u64>()? * 1024)
}
