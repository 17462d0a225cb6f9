//! Batches over requests: who shares one, that nobody's answer shows it, and what is refused because its
//! turn would come too late.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::collector::Collector;
use crate::harness::vectors::{self, assert_close};
use crate::harness::{Connection, Repository, Request, Server, assert_problem, models, settings};

/// A model of one session, with what `more` says of it.
fn slow(more: &str) -> Repository {
    Repository::new().model("slow", "slow", &format!("{}{more}", models::slow_manifest(100)))
}

fn send(server: &Server, request: &Request) -> Connection {
    let mut connection = Connection::open(server.http);
    connection.write(&request.bytes());
    connection
}

fn ask(milliseconds: u64, x: f64) -> Request {
    Request::json("/predict/slow", &models::slow_for(milliseconds, x))
}

/// Keeps the model busy for so long, then sends `requests`, which wait.
fn behind(server: &Server, milliseconds: u64, requests: &[Request]) -> Vec<Connection> {
    let mut connections = vec![send(server, &ask(milliseconds, 0.0))];
    server.wait_for_metric("inference_workers", &[("state", "busy")], 1.0);
    #[expect(clippy::cast_precision_loss, reason = "a few requests")]
    for (index, request) in requests.iter().enumerate() {
        connections.push(send(server, request));
        server.wait_for_metric("inference_queue_depth", &[("model", "slow")], (index + 1) as f64);
    }
    connections
}

#[test]
fn what_waits_while_a_batch_runs_is_the_next_batch() {
    let server = Server::builder().repository(slow("")).start();
    let requests: Vec<Request> = (1..=4).map(|x| ask(1, f64::from(x))).collect();
    let mut connections = behind(&server, 600, &requests);
    for (x, connection) in (0_u32..).zip(&mut connections) {
        let answer = connection.read();
        assert_eq!(answer.ok()["y"][0].as_f64(), Some(f64::from(x)), "its own answer");
        let size = if x == 0 { "desc=\"1\"" } else { "desc=\"4\"" };
        assert!(answer.header("server-timing").unwrap().contains(size), "{answer:?}");
    }
    let metrics = server.metrics();
    let of = |name: &str| metrics.sum(name, &[("model", "slow")]);
    assert!((of("inference_batch_size_sum") - 5.0).abs() < 0.5);
    assert!((of("inference_batch_size_count") - 2.0).abs() < 0.5);
    assert!((of("inference_duration_seconds_count") - 2.0).abs() < 0.5);
    assert!((of("inference_queue_wait_seconds_count") - 5.0).abs() < 0.5, "once per request");
}

#[test]
fn a_batch_and_its_members_are_linked_both_ways() {
    let collector = Collector::start();
    let server = collector.by_grpc(Server::builder().repository(slow(""))).start();
    let trace = |n: u32| format!("{n:032x}");
    let requests: Vec<Request> = (1..=3)
        .map(|n| {
            // The second one is not sampled: it rides along, and nothing points to it.
            let flags = if n == 2 { "00" } else { "01" };
            ask(1, 0.0).header("traceparent", &format!("00-{}-00f067aa0ba902b7-{flags}", trace(n)))
        })
        .collect();
    for mut connection in behind(&server, 600, &requests) {
        connection.read().ok();
    }
    let mut links_of_batch = Vec::new();
    for n in [1, 3] {
        let spans = collector.trace(&trace(n), 6);
        let find = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
        let (inference, execute) = (find("model-inference"), find("inference.execute"));
        assert_eq!(inference.attributes["inference.batch.size"], json!(3));
        let [to_batch] = &execute.links[..] else { panic!("{execute:#?}") };
        let batch =
            collector.trace(&to_batch.trace, 1).into_iter().find(|span| span.name == "inference.batch");
        let batch = batch.unwrap();
        assert_eq!(batch.id, to_batch.id);
        assert_eq!(batch.attributes["inference.batch.reason"], json!("drain"));
        assert!(
            batch.links.iter().any(|link| link.trace == trace(n) && link.id == inference.id),
            "{batch:#?}"
        );
        links_of_batch.push((batch.id, batch.links.len()));
    }
    assert_eq!(links_of_batch[0], links_of_batch[1], "one batch");
    assert_eq!(links_of_batch[0].1, 2, "of those that are sampled");
}

#[test]
fn texts_of_any_length_answer_in_company_as_they_do_alone() {
    let server = Server::builder().models(settings::package("models/sentence-embedder")).start();
    let sentences = vectors::sentences();
    let (texts, expected) = (sentences["sentences"].as_array().unwrap(), &sentences["embeddings"]);
    thread::scope(|scope| {
        for client in 0..12 {
            let server = &server;
            scope.spawn(move || {
                let mut connection = Connection::open(server.http);
                for step in 0..12 {
                    let index = (client * 7 + step * 5) % texts.len();
                    let request = Request::json("/predict", &json!({ "text": texts[index] }));
                    assert_close(&connection.call(&request).ok()["embedding"], &expected[index], 1e-4);
                }
            });
        }
    });
    let metrics = server.metrics();
    let of = |name: &str| metrics.sum(name, &[]);
    assert!((of("inference_batch_size_sum") - 144.0).abs() < 0.5);
    assert!(of("inference_batch_size_count") < 144.0, "some were run together");
    assert!(of("inference_batch_padding_ratio_count") > 0.0, "and what was padding is measured");
}

#[test]
fn what_cannot_be_in_time_behind_what_waits_is_refused_at_once() {
    // What a row takes is known from a real example.
    let warmup = "[warmup]\ninputs = [{ x = [1.0], iterations = [57000] }]\n[batching]\nmax_batch_size = 1\n";
    let server = Server::builder().repository(slow(warmup)).start();
    let waiting: Vec<Request> = (0..10).map(|_| ask(200, 1.0)).collect();
    let mut connections = behind(&server, 200, &waiting);
    let hasty = server.call(&ask(200, 1.0).header("x-request-timeout-ms", "250"));
    let body = assert_problem(&hasty, 503, "deadline_unmeetable");
    assert_eq!(body["retryable"], true);
    let after: u64 = hasty.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&after));
    connections.push(send(&server, &ask(1, 1.0)));
    for connection in &mut connections {
        connection.read().ok();
    }
    let rejected = [("model", "slow"), ("reason", "deadline_unmeetable")];
    let metrics = server.metrics();
    assert!((metrics.sum("inference_requests_rejected_total", &rejected) - 1.0).abs() < 0.5);
    server.call(&ask(1, 1.0).header("x-request-timeout-ms", "5000")).ok();
}

#[test]
fn company_is_awaited_where_the_manifest_says_so() {
    let batching = "[batching]\nmax_batch_size = 2\nmax_queue_delay = \"500ms\"\n";
    let server = Server::builder().repository(slow(batching)).start();
    let begun = Instant::now();
    server.call(&ask(1, 1.0)).ok();
    assert!(begun.elapsed() >= Duration::from_millis(500), "it waited for company in vain");
    let mut pair = [send(&server, &ask(1, 1.0)), send(&server, &ask(1, 2.0))];
    let timings: Vec<String> =
        pair.iter_mut().map(|one| one.read().header("server-timing").unwrap().to_owned()).collect();
    assert!(timings.iter().all(|timing| timing.contains("desc=\"2\"")), "{timings:?}");
}

#[test]
fn a_bad_row_spoils_nobody_elses_answer() {
    let repository = Repository::new().model("gather", "gather", "[execution]\ninstances = 1\n");
    let server = Server::builder().repository(repository).start();
    let (good, bad) = (json!({"ids": [3, -4]}), json!({"ids": [1, 4]}));
    let expected: Value = server.post("/predict/gather", &good).ok();
    thread::scope(|scope| {
        for client in 0..8 {
            let (server, good, bad, expected) = (&server, &good, &bad, &expected);
            scope.spawn(move || {
                let mut connection = Connection::open(server.http);
                for step in 0..100 {
                    if (client + step) % 5 == 0 {
                        let answer = connection.call(&Request::json("/predict/gather", bad));
                        assert_problem(&answer, 400, "invalid_input");
                    } else {
                        let answer = connection.call(&Request::json("/predict/gather", good)).ok();
                        assert_eq!(answer, *expected);
                    }
                }
            });
        }
    });
}
