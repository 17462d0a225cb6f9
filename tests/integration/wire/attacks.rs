//! F3, F4, F5, A15: a client's text in labels, in headers of answers, in log lines, in paths.

use serde_json::{Value, json};

use super::{Raw, builder, statuses};
use crate::harness::{Connection, Invariants, Request};

#[test]
fn f3_thousands_of_names_make_no_series() {
    let server = builder().start();
    let mut connection = Connection::open(server.http);
    let mut attack = |n: u32| {
        let header = |request: Request| {
            request
                .header("host", &format!("host-{n}.example"))
                .header("user-agent", &format!("agent-{n}"))
                .header("x-tenant-id", &format!("tenant-{n}"))
                .header("tracestate", &format!("tenant={n}"))
                .header("x-request-id", &format!("id-{n}"))
        };
        let requests = [
            Request::get(&format!("/path-{n}/x?{n}")),
            Request::new(&format!("METHOD-{n}"), "/predict/add-one"),
            Request::new(&format!("M{n}"), &format!("/path-{n}")),
            Request::json(&format!("/predict/model-{n}"), &json!({})),
            Request::json(&format!("/predict/add-one/versions/{n}1"), &json!({})),
            Request::json("/predict/add-one", &json!({format!("input-{n}"): [1]})),
            Request::text("/predict/add-one", &format!("type/t{n}"), "{}"),
        ];
        for request in requests {
            let answer = connection.call(&header(request));
            assert!((400..500).contains(&answer.status), "{}", answer.text());
        }
    };
    attack(0);
    let invariants = Invariants::before(&server);
    let before = server.metrics().series();
    for n in 1..=600 {
        attack(n);
    }
    invariants.hold(7 * 600);
    let after = server.metrics().series();
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn f4_no_request_id_writes_into_the_answers_header() {
    let server = builder().start();
    let invariants = Invariants::before(&server);
    let long = "a".repeat(8 * 1024);
    let ids = [
        ("a\tset-cookie: x", 200),
        ("a%0d%0aset-cookie: x", 200),
        ("a\u{e9}\u{560d}\u{560a}set-cookie: x", 200),
        ("a, b", 200),
        ("", 200),
        (long.as_str(), 200),
        ("a\r\n set-cookie: x", 400),
        ("a\rset-cookie: x", 400),
        ("a\nset-cookie: x", 400),
        ("a\0b", 400),
        ("a\u{1b}[31m", 400),
    ];
    for (id, status) in ids {
        let mut raw = Raw::open(server.http);
        let text =
            format!("GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-request-id: {id}\r\n\r\n");
        raw.send(text.as_bytes());
        let answer = raw.rest();
        assert_eq!(statuses(&answer), [status], "{id:?}: {answer}");
        assert!(!answer.contains("set-cookie"), "{id:?}: {answer}");
        if status == 200 {
            let given: Vec<&str> =
                answer.lines().filter_map(|line| line.strip_prefix("x-request-id: ")).collect();
            assert!(given.len() == 1 && given[0].len() == 32, "{id:?}: {given:?}");
        }
    }
    invariants.hold(6);
}

#[test]
fn f5_nobody_forges_a_log_line() {
    let mut server = builder().env("ML_INFERENCE_LOG__ACCESS", "all").start();
    let forged = "\",\"level\":\"error\",\"message\":\"forged";
    let mut connection = Connection::open(server.http);
    let requests = [
        Request::json(&format!("/predict/{}", forged.replace('"', "%22")), &json!({})),
        Request::json("/predict/%0a%1b%5b31mforged", &json!({})),
        Request::json("/predict/add-one", &json!({"\n\u{1b}[31mforged": 1})),
        Request::json("/predict/add-one", &json!({"x": ["\n\u{1b}[31mforged", forged]})),
        Request::get("/health").header("user-agent", forged),
        Request::get("/health").header("user-agent", "forged\t\u{9b}31m\u{2028}"),
        Request::get("/health").header("x-request-id", forged),
        Request::get("/health").header("traceparent", forged),
        Request::new("FORGED", "/predict"),
    ];
    for request in &requests {
        connection.call(request);
    }
    // What HTTP does not allow is refused, and not logged either.
    let mut raw = Raw::open(server.http);
    raw.send(b"GET /health HTTP/1.1\r\nhost: a\r\nuser-agent: forged\x1b[31m\r\n\r\n");
    assert_eq!(statuses(&raw.rest()), [400]);
    assert_eq!(server.terminate(), Some(0));
    let said = server.process.stderr();
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let answered = lines.iter().filter(|line| line["message"] == "request answered").count();
    // The harness' own are logged too.
    let scrapes = usize::try_from(server.scrapes()).unwrap();
    assert_eq!(answered, requests.len() + scrapes, "{said}");
    assert!(!said.contains("forged") && !said.contains("FORGED") && !said.contains('\u{1b}'), "{said}");
}

#[test]
fn a15_names_of_models_open_no_file_and_are_not_repeated() {
    let server = builder().start();
    let invariants = Invariants::before(&server);
    let long = "n".repeat(10 * 1024);
    let names = [
        "..",
        "../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2fetc",
        "..\\..\\etc",
        "%5c%5cetc",
        "a%00b",
        "%20",
        "%ff%fe",
        "add-one%2f",
        "add-one%00",
        "%2e",
        "con",
        long.as_str(),
    ];
    for name in names {
        let mut raw = Raw::open(server.http);
        let head = "host: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
        raw.send(format!("POST /predict/{name} HTTP/1.1\r\n{head}").as_bytes());
        let answer = raw.rest();
        assert_eq!(statuses(&answer), [404], "{name}: {answer}");
        assert!(!answer.contains("passwd") && !answer.contains("nnnnnnnn"), "{name}: {answer}");
    }
    invariants.hold(u32::try_from(names.len()).unwrap());
}
