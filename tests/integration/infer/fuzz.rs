//! A20 of the fault list for `/v2`: valid requests, damaged in their structure, bytes, lengths and
//! headers. Every answer is a 200 or a 4xx with its problem, and nothing of a request stays behind.

use serde_json::{Value, json};

use super::{LENGTH, binary_input, input, route, singles};
use crate::harness::models::Repository;
use crate::harness::{Connection, Request, Response, Server, assert_problem};

const CASES: usize = 64_000;
/// Requests on the wire at once.
const PIPELINED: usize = 32;
/// What buffers of connections and of the allocator may add, once a part of the cases has been.
const GROWTH_BYTES: u64 = 8 << 20;

/// What a JSON value is replaced with.
fn odd(random: &mut fastrand::Rng) -> Value {
    let all = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(1e300),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(""),
        json!("FP32"),
        json!("é\u{0}\n".repeat(90)),
        json!([]),
        json!([[], 1, "x", null]),
        json!([i64::MAX, i64::MAX, 0]),
        json!({}),
        json!({"binary_data_size": 4}),
        json!({"x": [{}]}),
    ];
    random.choice(all).unwrap()
}

/// Damages one place of a document, found by a walk that may stop anywhere.
fn damage(random: &mut fastrand::Rng, value: &mut Value) {
    let stops = random.u8(..) < 50;
    match value {
        Value::Array(values) if !stops && !values.is_empty() => {
            let at = random.usize(0..values.len());
            match random.u8(0..8) {
                0 => {
                    values.remove(at);
                }
                1 => values.insert(at, values[at].clone()),
                2 => values.push(odd(random)),
                _ => damage(random, &mut values[at]),
            }
        }
        Value::Object(members) if !stops && !members.is_empty() => {
            let name = members.keys().nth(random.usize(0..members.len())).unwrap().clone();
            match random.u8(0..8) {
                0 => {
                    members.remove(&name);
                }
                1 => {
                    let moved = members.remove(&name).unwrap();
                    members.insert(name.to_uppercase(), moved);
                }
                _ => damage(random, &mut members[&name]),
            }
        }
        any => *any = odd(random),
    }
}

/// A request: the model, its JSON, and the raw tensors behind it.
type Valid = (&'static str, Value, Vec<u8>);

fn valid() -> Vec<Valid> {
    let row = singles(&[1.0, -2.0, 0.5]);
    let texts = [&2_u32.to_le_bytes()[..], "é".as_bytes(), &0_u32.to_le_bytes()].concat();
    let types = [("int8", "INT8", 1), ("float16", "FP16", 2), ("uint64", "UINT64", 8), ("bool", "BOOL", 1)];
    let of_types = types
        .map(|(name, datatype, width)| binary_input(&format!("{name}_in"), datatype, &[1, 2], 2 * width));
    let everything = json!({"binary_data_output": true});
    let best =
        json!([{"name": "output_probability", "parameters": {"classification": 2, "binary_data": true}}]);
    vec![
        (
            "add-one",
            json!({"id": "1", "inputs": [input("x", "FP32", &[1, 3], &json!([1, -2, 0.5]))]}),
            vec![],
        ),
        (
            "two-inputs",
            json!({"inputs": [input("a", "FP32", &[2, 2], &json!([[1, 2], [3, 4]])),
                input("b", "INT64", &[2, 2], &json!([1, 2, 3, 4]))], "outputs": [{"name": "rows"}]}),
            vec![],
        ),
        ("strings", json!({"inputs": [input("x", "BYTES", &[2], &json!(["a", "é"]))]}), vec![]),
        ("gather", json!({"inputs": [input("ids", "INT64", &[1, 2], &json!([3, -4]))]}), vec![]),
        ("any-rank", json!({"inputs": [input("x", "FP32", &[1, 1, 2], &json!([[[1, 2]]]))]}), vec![]),
        (
            "optional-input",
            json!({"inputs": [input("x", "FP32", &[1, 2], &json!([1, 2])), input("scale", "FP32", &[], &json!(3))]}),
            vec![],
        ),
        (
            "zipmap",
            json!({"inputs": [input("features", "FP32", &[1, 2], &json!([1, 2]))], "outputs": best}),
            vec![],
        ),
        ("add-one", json!({"inputs": [binary_input("x", "FP32", &[1, 3], 12)]}), row.clone()),
        (
            "passthrough",
            json!({"inputs": [binary_input("x", "FP32", &[3, 1], 12)], "parameters": everything}),
            row.clone(),
        ),
        ("any-rank", json!({"inputs": [{"name": "x", "datatype": "FP32", "shape": [3]}]}), row),
        ("strings", json!({"inputs": [binary_input("x", "BYTES", &[2], texts.len())]}), texts),
        ("dtypes", json!({"inputs": of_types}), (0..24).map(|byte| byte % 2).collect()),
    ]
}

fn lengths(random: &mut fastrand::Rng, json: usize, body: usize) -> String {
    let near = random.usize(0..5);
    let all = [
        "0".to_owned(),
        (json + near).saturating_sub(2).to_string(),
        body.to_string(),
        (body + 1).to_string(),
        u64::MAX.to_string(),
        "99999999999999999999".to_owned(),
        "-1".to_owned(),
        "+1".to_owned(),
        "1.0".to_owned(),
        "x".to_owned(),
        String::new(),
        format!(" {json} "),
    ];
    random.choice(all).unwrap()
}

/// A header that a client might send, wrongly or for no reason.
fn header(random: &mut fastrand::Rng) -> (&'static str, &'static str) {
    let all = [
        ("content-type", "text/html; charset=utf-16"),
        ("content-encoding", "gzip"),
        ("content-encoding", "deflate"),
        ("content-encoding", "br"),
        ("accept-encoding", "gzip, deflate;q=0, *;q=x"),
        ("accept", "nothing/at-all"),
        ("x-request-id", "\u{80} no id"),
        ("x-request-timeout-ms", "-5"),
        ("x-request-timeout-ms", "soon"),
        ("traceparent", "00-zz-zz-zz"),
        ("expect", "100-continue"),
        (LENGTH, "7"),
    ];
    random.choice(all).unwrap()
}

fn damaged(random: &mut fastrand::Rng, (model, envelope, tensors): &Valid) -> Request {
    let mut envelope = envelope.clone();
    for _ in 0..random.u8(0..3) {
        damage(random, &mut envelope);
    }
    let mut json = envelope.to_string().into_bytes();
    if random.u8(..) < 40 {
        let at = random.usize(0..json.len());
        json[at] = random.choice(*b"{}[]\",:0-+eE.tfn\\u \n\0\xff").unwrap();
    }
    let mut tail = tensors.clone();
    if !tail.is_empty() {
        let at = random.usize(0..tail.len());
        match random.u8(0..6) {
            0 => tail.truncate(at),
            1 => tail.extend([random.u8(..), random.u8(..)]),
            2 => tail[at] = random.u8(..),
            _ => {}
        }
    }
    let length = json.len();
    let mut body = [json, tail].concat();
    if random.u8(..) < 20 {
        body.truncate(random.usize(0..=body.len()));
    }
    let mut request = Request::new("POST", &route(model));
    if random.u8(..) < 40 {
        request = request.header(LENGTH, &lengths(random, length, body.len()));
    } else if !tensors.is_empty() {
        request = request.header(LENGTH, &length.to_string());
    }
    if random.u8(..) < 40 {
        let (name, value) = header(random);
        request = request.header(name, value);
    }
    request.body(body)
}

#[track_caller]
fn assert_sane(answer: &Response, request: &Request) {
    if answer.status != 200 {
        let said = || String::from_utf8_lossy(&request.bytes()).into_owned();
        assert!((400..500).contains(&answer.status), "{} for {}", answer.text(), said());
        let code = answer.json()["code"]
            .as_str()
            .unwrap_or_else(|| panic!("{} for {}", answer.text(), said()))
            .to_owned();
        assert_problem(answer, answer.status, &code);
    }
}

#[test]
fn a20_damaged_inferences_are_answered_and_leave_nothing_behind() {
    let finite = "[limits]\nfinite = true\n";
    let models =
        ["add-one", "two-inputs", "gather", "any-rank", "optional-input", "zipmap", "passthrough", "dtypes"];
    let repository = models.iter().fold(Repository::new(), |all, name| all.model(name, name, finite));
    let server = Server::builder().repository(repository.fixture("strings")).start();
    let mut random = fastrand::Rng::with_seed(23);
    let mut connections: Vec<Connection> = (0..4).map(|_| Connection::open(server.http)).collect();
    let valid = valid();
    let mut accepted = 0;
    let mut run = |random: &mut fastrand::Rng, cases: usize| {
        for round in 0..cases / PIPELINED {
            let chosen: Vec<&Valid> = (0..PIPELINED).map(|_| random.choice(&valid).unwrap()).collect();
            let requests: Vec<Request> = chosen.iter().map(|valid| damaged(random, valid)).collect();
            let at = round % connections.len();
            let answers = connections[at].pipeline(&requests);
            for (answer, request) in answers.iter().zip(&requests) {
                assert_sane(answer, request);
                accepted += usize::from(answer.status == 200);
            }
        }
    };
    run(&mut random, CASES / 4);
    // The first scrape makes series of its own.
    server.metrics();
    let (before, memory) = (server.metrics().series(), server.peak_memory());
    run(&mut random, CASES - CASES / 4);
    // Neither is everything refused, nor everything taken.
    assert!((CASES / 10..CASES / 10 * 9).contains(&accepted), "{accepted} of {CASES} were accepted");
    server.wait_for_no_request_in_flight();
    let after = server.metrics();
    let left = after.sum("inference_in_flight", &[]) + after.sum("inference_queue_depth", &[]);
    assert!(left < 0.5, "{left} inferences are left");
    let new: Vec<String> = after.series().difference(&before).cloned().collect();
    assert!(new.is_empty(), "{new:?}");
    let grown = server.peak_memory() - memory;
    assert!(grown < GROWTH_BYTES, "{grown} bytes more");
    for (model, envelope, _) in &valid[..7] {
        assert_eq!(server.post(&route(model), envelope).status, 200, "{model}");
    }
}
