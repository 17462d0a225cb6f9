//! Rates of large tensors over REST: what the Open Inference Protocol's four ways (binary or JSON in,
//! binary or JSON out) carry over one connection, beside a memory copy, a bare run of the same graph
//! and a socket that only echoes. `benches/run.sh` calls it and puts its figures into the page.
//!
//! Everything is measured in every round, one after the other; nothing leaves the loopback. Arguments:
//! the server's binary, the runtime's library, the graph (`x` FP32 [batch, width] to `y` = -x), rounds.
//! Prints one JSON object: per measurement, what each round gave.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ml_inference_api::engine::{
    LargestShape, LoadedGraph, Run as _, Runtime, RuntimeOptions, SessionOptions, load,
};
use ml_inference_api::model::Execution;
use ml_inference_api::tensor::Tensor;
use serde_json::json;

const SIZES: [(&str, usize); 2] = [("1 MiB", 1 << 20), ("16 MiB", 16 << 20)];
/// For how long a measurement goes on, at least twice over.
const SPAN: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_mins(1);

type Fault = Box<dyn std::error::Error>;

/// What a measurement gave in one round, of one transfer.
struct Figures {
    seconds: f64,
    /// Of the process that is measured, where it is not this one.
    cpu_seconds: Option<f64>,
}

fn main() -> Result<(), Fault> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [binary, dylib, graph, rounds] = arguments.as_slice() else {
        return Err("expected the server's binary, the runtime's library, a graph, rounds".into());
    };
    let rounds: usize = rounds.to_string_lossy().parse()?;
    let mut server = Server::start(binary, dylib, graph)?;
    let mut bare = bare(dylib, graph)?;
    let mut echo = echo()?;
    let bodies: Vec<Bodies> = SIZES.iter().map(|&(_, bytes)| Bodies::new(bytes)).collect::<Result<_, _>>()?;
    let mut client = Client::new(server.address()?)?;
    let mut found: BTreeMap<String, Vec<serde_json::Value>> = BTreeMap::new();
    for _ in 0..rounds {
        for ((size, bytes), bodies) in SIZES.iter().zip(&bodies) {
            let mut keep = |what: &str, figures: &Figures| {
                #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
                let rate = *bytes as f64 / figures.seconds / 1e6;
                let cpu = figures.cpu_seconds.map(|seconds| seconds * 1e3);
                let kept = json!({"mb_per_second": rate, "cpu_ms": cpu});
                found.entry(format!("{size}/{what}")).or_default().push(kept);
            };
            keep("memory copy", &copied(&bodies.raw));
            keep("bare run", &ran(&mut bare, &bodies.values)?);
            keep("echo", &echoed(&mut echo, &bodies.raw)?);
            for (what, request) in &bodies.requests {
                keep(what, &client.measured(server.process.id(), request, *bytes)?);
            }
        }
    }
    server.stop()?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&found)?)?;
    Ok(())
}

/// Repeats `work` and tells what one took.
fn repeated(process: Option<u32>, mut work: impl FnMut() -> Result<(), Fault>) -> Result<Figures, Fault> {
    // Buffers grow and pages are touched before it counts.
    work()?;
    let before = process.map(cpu_times).transpose()?;
    let begun = Instant::now();
    let mut count = 0_u32;
    while count < 2 || begun.elapsed() < SPAN {
        work()?;
        count += 1;
    }
    let seconds = begun.elapsed().as_secs_f64() / f64::from(count);
    let spent = |before: HashMap<_, u64>, process| -> Result<f64, Fault> {
        let after = cpu_times(process)?;
        let since = |(thread, time): (_, u64)| time.saturating_sub(before.get(&thread).copied().unwrap_or(0));
        Ok(Duration::from_nanos(after.into_iter().map(since).sum()).as_secs_f64() / f64::from(count))
    };
    let cpu_seconds = before.zip(process).map(|(before, process)| spent(before, process)).transpose()?;
    Ok(Figures { seconds, cpu_seconds })
}

/// What each thread of a process has had of the processors, in nanoseconds.
fn cpu_times(process: u32) -> Result<HashMap<std::ffi::OsString, u64>, Fault> {
    let mut times = HashMap::new();
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let task = task?;
        // A thread may end meanwhile.
        let Ok(text) = std::fs::read_to_string(task.path().join("schedstat")) else { continue };
        let time = text.split_ascii_whitespace().next().ok_or("an empty schedstat")?;
        times.insert(task.file_name(), time.parse()?);
    }
    Ok(times)
}

fn copied(raw: &[u8]) -> Figures {
    let mut target = vec![0_u8; raw.len()];
    let copy = || {
        target.copy_from_slice(black_box(raw));
        black_box(&mut target);
        Ok(())
    };
    repeated(None, copy).unwrap_or(Figures { seconds: f64::NAN, cpu_seconds: None })
}

fn bare(dylib: &Path, graph: &Path) -> Result<LoadedGraph, Fault> {
    let options = RuntimeOptions { dylib_path: Some(dylib.to_owned()), telemetry_disabled: true };
    let runtime = Runtime::load(&options)?;
    let graph = graph.canonicalize()?;
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

fn ran(bare: &mut LoadedGraph, values: &[f32]) -> Result<Figures, Fault> {
    let session = bare.sessions.first_mut().ok_or("a graph has a session")?;
    let inputs = [Tensor::new(vec![1, values.len()], values.to_vec())?];
    let run = || {
        black_box(session.run(black_box(&inputs))?);
        Ok(())
    };
    repeated(None, run)
}

/// A connection whose other end reads eight bytes of length and so many bytes, and writes the latter back.
fn echo() -> io::Result<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let ours = TcpStream::connect(listener.local_addr()?)?;
    ours.set_nodelay(true)?;
    let (mut theirs, _) = listener.accept()?;
    std::thread::spawn(move || -> io::Result<()> {
        theirs.set_nodelay(true)?;
        let mut whole = Vec::new();
        loop {
            let mut length = [0; 8];
            theirs.read_exact(&mut length)?;
            whole.resize(usize::try_from(u64::from_le_bytes(length)).map_err(io::Error::other)?, 0);
            theirs.read_exact(&mut whole)?;
            theirs.write_all(&whole)?;
        }
    });
    Ok(ours)
}

fn echoed(connection: &mut TcpStream, raw: &[u8]) -> Result<Figures, Fault> {
    let mut back = vec![0; raw.len()];
    let echo = || {
        connection.write_all(&(raw.len() as u64).to_le_bytes())?;
        connection.write_all(raw)?;
        connection.read_exact(&mut back)?;
        Ok(())
    };
    repeated(None, echo)
}

/// Requests of one size.
struct Bodies {
    values: Vec<f32>,
    raw: Vec<u8>,
    /// By what is asked for.
    requests: Vec<(&'static str, Request)>,
}

/// A request as it goes over the wire, and what its answer must be like.
struct Request {
    wire: Vec<u8>,
    binary_answer: bool,
}

impl Bodies {
    fn new(bytes: usize) -> Result<Self, Fault> {
        // Between -1 and 1 with all their bits, as a model's numbers are.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let values: Vec<f32> = (0..bytes / 4)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let bits = (state >> 32) as u32;
                f32::from_bits(0x3f80_0000 | bits >> 9) - 1.0
                    + f32::from_bits(0x3f80_0000 | (bits & 0x1ff) << 14)
                    - 2.0
            })
            .collect();
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut requests = Vec::new();
        for (what, binary_body, binary_answer) in [
            ("binary to binary", true, true),
            ("JSON to JSON", false, false),
            ("binary to JSON", true, false),
            ("JSON to binary", false, true),
        ] {
            requests.push((what, Request::new(&values, &raw, binary_body, binary_answer)?));
        }
        Ok(Self { values, raw, requests })
    }
}

impl Request {
    fn new(values: &[f32], raw: &[u8], binary_body: bool, binary_answer: bool) -> Result<Self, Fault> {
        let input = if binary_body {
            format!(r#""parameters":{{"binary_data_size":{}}}"#, raw.len())
        } else {
            format!(r#""data":{}"#, serde_json::to_string(values)?)
        };
        let body = format!(
            r#"{{"inputs":[{{"name":"x","datatype":"FP32","shape":[1,{}],{input}}}],"outputs":[{{"name":"y","parameters":{{"binary_data":{binary_answer}}}}}]}}"#,
            values.len()
        );
        let tail = if binary_body { raw } else { &[] };
        let mut wire = format!(
            "POST /v2/models/passthrough/infer HTTP/1.1\r\nhost: loopback\r\ncontent-length: {}\r\n",
            body.len() + tail.len()
        )
        .into_bytes();
        if binary_body {
            wire.extend(format!("inference-header-content-length: {}\r\n", body.len()).into_bytes());
        }
        wire.extend(b"\r\n");
        wire.extend(body.into_bytes());
        wire.extend(tail);
        Ok(Self { wire, binary_answer })
    }
}

/// One keep-alive connection to the server.
struct Client {
    connection: BufReader<TcpStream>,
    body: Vec<u8>,
}

impl Client {
    fn new(address: String) -> Result<Self, Fault> {
        let connection = TcpStream::connect(address)?;
        connection.set_nodelay(true)?;
        Ok(Self { connection: BufReader::new(connection), body: Vec::new() })
    }

    fn measured(&mut self, server: u32, request: &Request, bytes: usize) -> Result<Figures, Fault> {
        repeated(Some(server), || {
            let is_right = self.exchange(&request.wire)? && {
                let last = self.body.last() == Some(&b'}');
                if request.binary_answer { self.body.len() > bytes } else { last }
            };
            if is_right { Ok(()) } else { Err("the server refused a request".into()) }
        })
    }

    /// Sends a request and takes the whole answer; true when it is 200.
    fn exchange(&mut self, wire: &[u8]) -> Result<bool, Fault> {
        self.connection.get_mut().write_all(wire)?;
        let mut line = String::new();
        self.connection.read_line(&mut line)?;
        let is_ok = line.starts_with("HTTP/1.1 200");
        let mut length = None;
        while line.trim_end() != "" {
            line.clear();
            self.connection.read_line(&mut line)?;
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse()?);
            }
        }
        self.body.resize(length.ok_or("an answer without its length")?, 0);
        self.connection.read_exact(&mut self.body)?;
        Ok(is_ok)
    }
}

/// The server under measurement, and the folder of its ready file.
struct Server {
    process: Child,
    folder: tempfile::TempDir,
}

impl Server {
    fn start(binary: &Path, dylib: &Path, graph: &Path) -> Result<Self, Fault> {
        let folder = tempfile::tempdir()?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let process = Command::new(binary)
            .args([
                "serve",
                "--http",
                "127.0.0.1:0",
                "--grpc",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
                "--models",
            ])
            .arg(graph)
            .arg("--ready-file")
            .arg(folder.path().join("ready.json"))
            .env("ORT_DYLIB_PATH", dylib)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut server = Self { process, folder };
        let begun = Instant::now();
        while !server.folder.path().join("ready.json").exists() {
            if server.process.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(server.folder.path().join("log"))?;
                return Err(format!("the server did not become ready: {log}").into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(server)
    }

    fn address(&self) -> Result<String, Fault> {
        let ready = std::fs::read(self.folder.path().join("ready.json"))?;
        let ready: serde_json::Value = serde_json::from_slice(&ready)?;
        Ok(ready["http"].as_str().ok_or("a ready file without an address")?.to_owned())
    }

    fn stop(&mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait().map(|_| ())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ended already, unless a measurement failed.
        drop(self.stop());
    }
}
