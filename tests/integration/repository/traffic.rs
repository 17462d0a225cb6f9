//! Models that come, go and change under requests: no answer is wrong, nobody else notices, nothing is
//! kept.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use super::{change, put};
use crate::harness::{Connection, Repository, Request, Server, wait};

/// Resident memory, bytes.
fn resident(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Threads of one caller: answers that were right, by whether the model was there.
#[derive(Default)]
struct Seen {
    served: AtomicUsize,
    absent: AtomicUsize,
}

const ROUNDS: usize = 25;

#[test]
fn reloads_and_unloads_under_requests_lose_none() {
    let repository = Repository::new()
        .version("steady", "1", "add-one")
        .version("changing", "1", "add-one")
        .version("leaving", "1", "add-one")
        .version("big", "1", "big-matmul");
    let folder = repository.path().to_owned();
    let server = Server::builder().repository(repository).start();
    let (is_over, seen) = (AtomicBool::new(false), [Seen::default(), Seen::default(), Seen::default()]);
    std::thread::scope(|scope| {
        for (model, seen) in ["steady", "changing", "leaving"].iter().zip(&seen) {
            for caller in 0..2_u8 {
                let (server, is_over) = (&server, &is_over);
                scope.spawn(move || call(server, (model, caller), is_over, seen));
            }
        }
        let changes = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rounds(&server, &folder)));
        is_over.store(true, Ordering::Relaxed);
        assert!(changes.is_ok(), "a change failed; see above");
    });
    for (seen, may_leave) in seen.iter().zip([false, false, true]) {
        assert!(seen.served.load(Ordering::Relaxed) > ROUNDS, "it was asked all the time");
        assert_eq!(seen.absent.load(Ordering::Relaxed) > 0, may_leave);
    }
    server.wait_for_no_request_in_flight();
    server.wait_for_metric("inference_queue_depth", &[], 0.0);
    server.wait_for_metric("model_info", &[], 4.0);
}

/// Changes, reloads and unloads; the memory after the first third is about that of the end.
fn rounds(server: &Server, folder: &std::path::Path) {
    let mut settled = 0;
    for round in 0..ROUNDS {
        put(folder, "changing", "1", if round % 2 == 0 { "passthrough" } else { "add-one" });
        put(folder, "big", "1", "big-matmul");
        for (model, verb) in
            [("changing", "load"), ("leaving", "unload"), ("big", "load"), ("leaving", "load")]
        {
            let answer = change(server, model, verb);
            assert_eq!(answer.status, 200, "{model} {verb}: {}", answer.text());
        }
        if round == ROUNDS / 3 {
            settled = resident(server);
        }
    }
    // Sessions of the big model hold megabytes each: were they kept, this would grow by far more.
    let limit = settled + (48 << 20);
    let fell = wait::at_most(std::time::Duration::from_secs(20), || (resident(server) < limit).then_some(()));
    assert!(fell.is_some(), "resident memory grew from {settled} to {}", resident(server));
}

/// Asks again and again, with numbers that no other answer has.
fn call(server: &Server, (model, caller): (&str, u8), is_over: &AtomicBool, seen: &Seen) {
    let mut connection = Connection::open(server.http);
    let mut number = f64::from(caller);
    while !is_over.load(Ordering::Relaxed) {
        number += 2.0;
        let body = json!({ "x": [number, 0.0, -number] });
        let answer = connection.call(&Request::json(&format!("/predict/{model}"), &body));
        if answer.status == 404 && model == "leaving" {
            seen.absent.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let body = answer.ok();
        let added = body["y"] == json!([number + 1.0, 1.0, 1.0 - number]);
        let passed = body["x"] == json!([number, 0.0, -number]);
        assert!(added || (passed && model == "changing"), "{model}: {number}: {body}");
        seen.served.fetch_add(1, Ordering::Relaxed);
    }
}
