//! Bodies that nobody would write by hand: every answer is a 4xx with its problem, and the server lives.

use serde_json::json;

use crate::harness::vectors;
use crate::harness::{Connection, Repository, Request, Response, Server, assert_problem, settings};

const CASES: usize = 32_000;
/// Requests on the wire at once.
const PIPELINED: usize = 32;

fn server() -> Server {
    Server::builder()
        .models(settings::package("models/fraud-detector"))
        .repository(Repository::new().fixture("two-inputs").fixture("strings").fixture("columns"))
        .start()
}

#[track_caller]
fn assert_sane(answer: &Response, request: &Request) {
    if answer.status != 200 {
        let code = answer.json()["code"].as_str().unwrap().to_owned();
        let sent = request.bytes();
        assert!((400..500).contains(&answer.status), "{code} for {:?}", String::from_utf8_lossy(&sent));
        assert_problem(answer, answer.status, &code);
    }
}

/// Sends as many requests as there are cases, in bundles on one connection.
#[track_caller]
fn send(server: &Server, mut request: impl FnMut(usize) -> Request) {
    let mut connection = Connection::open(server.http);
    for first in (0..CASES).step_by(PIPELINED) {
        let requests: Vec<Request> = (first..first + PIPELINED).map(&mut request).collect();
        for (answer, request) in connection.pipeline(&requests).iter().zip(&requests) {
            assert_sane(answer, request);
        }
    }
    assert_eq!(server.get("/health").status, 200);
}

#[test]
fn random_bytes() {
    let server = server();
    let mut random = fastrand::Rng::with_seed(7);
    send(&server, |_| {
        let length = random.usize(0..200);
        let body: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
        let target =
            random.choice(["/predict/fraud-detector", "/predict/two-inputs", "/predict/strings"]).unwrap();
        let content_type = random.choice(["application/json", "text/csv"]).unwrap();
        Request::new("POST", target).header("content-type", content_type).body(&body)
    });
}

/// Changes a valid body in a few places, by bytes that matter to a parser.
fn mutated(random: &mut fastrand::Rng, valid: &str) -> Vec<u8> {
    let mut body = valid.as_bytes().to_vec();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(0..body.len());
        let byte = random.choice(*b"{}[]\",:0-+eE.tfn\\u \n\0\xff").unwrap();
        match random.u8(0..3) {
            0 => body[at] = byte,
            1 => body.insert(at, byte),
            _ => {
                body.remove(at);
            }
        }
    }
    body
}

#[test]
fn valid_bodies_with_small_damage() {
    let server = server();
    let mut random = fastrand::Rng::with_seed(11);
    let person = json!({"age": 30, "income": 1000, "city": "Oslo", "visits": 2});
    let valid = [
        ("/predict/fraud-detector", "application/json", vectors::fraud_instance(0).to_string()),
        ("/predict/two-inputs", "application/json", json!({"a": [0.5, 1], "b": [2, 3]}).to_string()),
        (
            "/predict/two-inputs",
            "application/json",
            json!({"instances": [{"a": [1, 2], "b": [3, 4]}]}).to_string(),
        ),
        ("/predict/columns", "application/json", json!({"instances": [person, [1, 2, "x", 3]]}).to_string()),
        ("/predict/columns", "text/csv", "age,income,city,visits\n30,1000,\"Oslo\",2\n".to_owned()),
    ];
    send(&server, |case| {
        let (target, content_type, text) = &valid[case % valid.len()];
        let body = mutated(&mut random, text);
        Request::new("POST", target).header("content-type", content_type).body(&body)
    });
}
