//! No client makes the number of series grow, however many requests it sends and whatever stands in them.

use std::net::Ipv4Addr;
use std::ops::Range;
use std::thread;

use serde_json::json;
use tokio::task::JoinSet;

use crate::grpc::with;
use crate::harness::grpc::{Client, Ended, INFER, framed, framed_bytes, rows};
use crate::harness::{Connection, Invariants, Repository, Request, Server, settings};

/// All that are sent, over both protocols.
const REQUESTS: u32 = 100_000;
/// Those of them that are gRPC's.
const CALLS: u32 = 10_000;
const CONNECTIONS: u32 = 4;
/// Requests on the wire at once.
const PIPELINED: usize = 50;

/// Every header that telemetry reads, or that somebody might think of as a label, with a text of its own.
fn headers(n: u32) -> Vec<(&'static str, String)> {
    vec![
        ("host", format!("host-{n}.example")),
        ("user-agent", format!("agent-{n}")),
        ("x-request-id", format!("id-{n}")),
        ("traceparent", format!("00-{:032x}-{:016x}-01", u128::from(n) + 1, n + 1)),
        ("tracestate", format!("vendor{n}=value{n}")),
        ("baggage", format!("tenant{n}=value{n}")),
        ("x-forwarded-for", Ipv4Addr::from_bits(n).to_string()),
        ("x-tenant-id", format!("tenant-{n}")),
        ("cookie", format!("session={n}")),
    ]
}

fn hostile(n: u32) -> Request {
    let infer = |name: String| json!({"inputs": [{"name": name, "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}]});
    let alcohol = 11 + n / 16 % 4;
    let request = match n % 16 {
        0 => Request::get(&format!("/path-{n}/x?{n}")),
        1 => Request::new(&format!("METHOD-{n}"), "/predict/add-one"),
        2 => Request::new(&format!("M{n}"), &format!("/path-{n}")),
        3 => Request::json(&format!("/predict/model-{n}"), &json!({})),
        4 => Request::json(&format!("/predict/add-one/versions/{n}1"), &json!({})),
        5 => Request::json("/predict/add-one", &json!({format!("input-{n}"): [1]})),
        6 => Request::json("/predict/wine", &json!({format!("feature-{n}"): 1, "alcohol": 13})),
        7 => Request::json("/predict/wine", &json!({"alcohol": alcohol, "colour": format!("colour-{n}")})),
        8 => Request::text("/predict/wine", "text/csv", &format!("alcohol,name-{n}\n1,2\n")),
        9 => Request::json("/predict/wine", &json!({"alcohol": alcohol})),
        10 => Request::text("/predict/add-one", &format!("type/t{n}"), "{}"),
        11 => Request::get(&format!("/v2/models/model-{n}/versions/{n}/stats")),
        12 => Request::json("/v2/models/add-one/infer", &infer(format!("x-{n}"))),
        13 => Request::json(&format!("/v1/models/model-{n}:predict"), &json!({"instances": []})),
        14 => Request::json("/v1/embeddings", &json!({"model": format!("model-{n}"), "input": "text"})),
        _ => Request::get("/health"),
    };
    headers(n).into_iter().fold(request, |request, (name, value)| request.header(name, &value))
}

/// Sends them behind each other over one connection; gives how many were answered.
fn send(server: &Server, numbers: Range<u32>) -> u32 {
    let mut connection = Connection::open(server.http);
    let requests: Vec<Request> = numbers.map(hostile).collect();
    let mut answered = 0;
    for bundle in requests.chunks(PIPELINED) {
        for (answer, request) in connection.pipeline(bundle).iter().zip(bundle) {
            let sent = || String::from_utf8_lossy(&request.bytes()).into_owned();
            assert!((200..500).contains(&answer.status), "{} for {}", answer.text(), sent());
            answered += 1;
        }
    }
    answered
}

async fn hostile_call(client: &Client, n: u32) -> Ended {
    let headers = headers(n);
    // The library writes the host itself.
    let metadata: Vec<(&str, &str)> =
        headers.iter().skip(1).map(|(name, value)| (*name, value.as_str())).collect();
    let (path, body) = match n % 4 {
        0 => (format!("/inference.GRPCInferenceService/Method{n}"), framed_bytes(0, b"")),
        1 => (format!("/service{n}.Service/Method"), framed_bytes(0, b"")),
        2 => (INFER.to_owned(), framed(&rows(&format!("model-{n}"), &[1.0; 3]))),
        _ => (INFER.to_owned(), framed(&rows("add-one", &[1.0; 3]))),
    };
    client.raw(&path, &metadata, body).await
}

/// The same by calls: methods, services and models that there are not.
fn call(server: &Server, numbers: Range<u32>) -> u32 {
    let numbers: Vec<u32> = numbers.collect();
    with(server, async |client| {
        let mut answered = 0;
        for bundle in numbers.chunks(PIPELINED) {
            let mut calls = JoinSet::new();
            for &n in bundle {
                let client = client.clone();
                calls.spawn(async move { hostile_call(&client, n).await });
            }
            for ended in calls.join_all().await {
                assert!([0, 5, 12].contains(&ended.status), "{ended:?}");
                answered += 1;
            }
        }
        answered
    })
}

#[test]
fn a_hundred_thousand_hostile_requests_make_no_series() {
    let wine = settings::package("tests/fixtures/exports/native-imputer/model");
    let repository = Repository::new().fixture("add-one");
    let server = Server::builder().models(format!("wine={}", wine.display())).repository(repository).start();
    // Some of each kind make what series there are to make: a status of a route, a class of the model.
    send(&server, 0..64);
    call(&server, 0..4);
    let invariants = Invariants::before(&server);
    let before = server.metrics().series();
    let answered: u32 = thread::scope(|scope| {
        let share = (REQUESTS - CALLS) / CONNECTIONS;
        let server = &server;
        let starts = (0..CONNECTIONS).map(|connection| 64 + connection * share);
        let mut clients: Vec<_> =
            starts.map(|start| scope.spawn(move || send(server, start..start + share))).collect();
        clients.push(scope.spawn(move || call(server, REQUESTS..REQUESTS + CALLS)));
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(answered, REQUESTS);
    invariants.hold(REQUESTS);
    let after = server.metrics().series();
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(after.len(), before.len());
}
