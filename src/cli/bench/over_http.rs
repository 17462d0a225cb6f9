//! A prediction route over HTTP. The load generator is one thread: it shares the machine with the
//! server, and what it needs is shown beside what the server needs.

use std::sync::Arc;

use super::arguments::{BenchArguments, Bounds};
use super::connection::Server;
use super::drive::drive;
use super::figures::Reading;
use super::open::{Client, Plan};
use super::progress::Progress;
use super::report::{self, Report, Run};
use super::{cores, in_process, input};
use crate::cli::Failure;
use crate::http::connection::raise_descriptor_limit;

/// Measures the route; before that the bare loop of its model, where it is given.
pub(super) fn run(arguments: &BenchArguments, uri: &http::Uri, bounds: Bounds) -> Result<Report, Failure> {
    let server = Server::find(uri).map_err(Failure::failed)?;
    // Each connection holds a descriptor.
    raise_descriptor_limit();
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let body = match &arguments.input {
        Some(file) => input::read(file)?,
        None => executor.block_on(example(&server, path))?,
    };
    let bare = match &arguments.model {
        Some(model) => in_process::bare_loop(arguments, model, bounds)?,
        None => Vec::new(),
    };
    let rows = input::rows(&body);
    let request = server.request(path, Some(&body), None);
    let closed = arguments.closed_loops().into_iter().map(|connections| {
        let progress = Progress::new(format!("{connections} connections"), bounds);
        let all = (0..connections).map(|_| server.connection(Arc::clone(&request))).collect();
        let measured = executor.block_on(drive(all, bounds, &progress, async || read(&server).await));
        Run::closed(connections, rows, cores(), &measured)
    });
    let mut runs: Vec<Run> = closed.collect();
    let request = server.request(path, Some(&body), arguments.deadline);
    let mut client = Client::new(&server, request, arguments.in_flight()).map_err(failed)?;
    for plan in Plan::all(arguments, bounds, report::capacity(&runs)).map_err(Failure::failed)? {
        let progress = Progress::new(plan.label(), bounds);
        let probe = || executor.block_on(read(&server));
        let measured = client.measure(&plan, &progress, probe).map_err(failed)?;
        runs.push(Run::open(plan.in_flight(), rows, cores(), measured));
    }
    Ok(Report {
        target: uri.to_string(),
        mode: "http",
        kind: arguments.kind(),
        cores: cores(),
        input_bytes: body.len(),
        rows_per_request: rows,
        bare,
        runs,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that map_err wants")]
fn failed(error: std::io::Error) -> Failure {
    Failure::failed(format!("no event loop: {error}"))
}

/// The example that the route itself gives to a GET.
async fn example(server: &Server, path: &str) -> Result<Vec<u8>, Failure> {
    let hint = "give the body to send with --input";
    let (status, body) =
        server.get(path).await.map_err(|error| Failure::failed(format!("GET {path}: {error}")))?;
    if status != 200 {
        return Err(Failure::failed(format!("GET {path} answers {status}: {hint}")));
    }
    input::example(&body).ok_or_else(|| Failure::failed(format!("GET {path} gives no example: {hint}")))
}

/// Our CPU time and, from a server of ours on this machine, its own.
async fn read(server: &Server) -> Reading {
    if !server.is_local() {
        return Reading::of(None);
    }
    let metrics = match server.get("/metrics").await {
        Ok((200, text)) => String::from_utf8(text).ok(),
        Ok(_) | Err(_) => None,
    };
    Reading::of(metrics.as_deref())
}
