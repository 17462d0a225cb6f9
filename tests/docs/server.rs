//! The real binary as a child process, and as much HTTP as the examples need.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::example::Request;
use super::root;

/// Longer than any start takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// The real binary on free ports, killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    _folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start(models: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the ready file");
        let ready = folder.path().join("ready.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ml-inference-api"));
        command.current_dir(root()).arg("serve").args([
            "--http",
            "127.0.0.1:0",
            "--grpc",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ]);
        command.args(models.iter().flat_map(|model| ["--models", model])).arg("--ready-file").arg(&ready);
        // Spans on stderr, so that the metrics about spans are there too.
        command.env("OTEL_TRACES_EXPORTER", "console");
        // As `make serve` sets it; what has another name is the only model.
        if models.iter().any(|model| model.starts_with("models")) {
            command.env("MODEL_NAME", "fraud-detector");
        }
        command
            .env("RUST_LOG", "info")
            .env("ML_INFERENCE_LOG__FORMAT", "json")
            .env_remove("OTEL_SDK_DISABLED");
        let mut child =
            command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the server starts");
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let mut server = Self { child, address: String::new(), _folder: folder };
        wait_until_ready(stderr);
        let ready = fs::read(&ready).expect("a server that is ready has written the ready file");
        let addresses: Value = serde_json::from_slice(&ready).expect("the ready file is JSON");
        server.address.push_str(addresses["http"].as_str().expect("HTTP is served"));
        server
    }

    pub(crate) fn send(&self, request: &Request) -> Answer {
        let Request { method, path, headers, body } = request;
        let mut head = vec![
            format!("{method} {path} HTTP/1.1"),
            format!("host: {}", self.address),
            "connection: close".to_owned(),
        ];
        head.extend(headers.iter().cloned());
        if method != "GET" {
            head.push(format!("content-length: {}", body.len()));
        }
        let text = format!("{}\r\n\r\n{body}", head.join("\r\n"));
        let mut stream = TcpStream::connect(&self.address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        stream.write_all(text.as_bytes()).expect("the server takes the request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the server answers");
        let (head, text) = answer.split_once("\r\n\r\n").expect("an HTTP answer has a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        let body = serde_json::from_str(text).unwrap_or(Value::Null);
        Answer { status, body, text: text.to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and the test that saw that fails for it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads the log until it says that the server is ready; the rest is read and dropped.
fn wait_until_ready(stderr: impl BufRead + Send + 'static) {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            // Nobody listens once the server is ready.
            drop(sender.send(line));
        }
    });
    let mut log = Vec::new();
    loop {
        let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|error| {
            panic!("the server did not become ready ({error}); its log:\n{}", log.join("\n"))
        });
        if line.contains(r#""message":"ready""#) {
            return;
        }
        log.push(line);
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) text: String,
}
