//! Logs: JSON lines on standard error, with ids and without anything a client sent.

use serde_json::{Value, json};

use crate::harness::{Repository, Request, Server, models};

fn lines(server: &Server) -> Vec<Value> {
    let text = server.process.stderr();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn builder() -> crate::harness::server::Builder {
    Server::builder().repository(Repository::new().fixture("add-one").model("nan", "nan", ""))
}

#[test]
fn every_line_is_json_with_the_fixed_keys() {
    let mut server = builder().start();
    server.post("/predict/add-one", &json!([1, 2, 3])).ok();
    assert_eq!(server.terminate(), Some(0));
    let lines = lines(&server);
    assert!(lines.len() >= 2, "the life of the process is logged: {lines:?}");
    for line in lines {
        for key in ["timestamp", "level", "message", "target"] {
            assert!(line[key].is_string(), "{key}: {line}");
        }
    }
    assert_eq!(server.process.stdout(), "", "logs go to standard error");
}

#[test]
fn a_fault_of_ours_is_logged_once_with_its_ids_and_without_the_input() {
    let mut server = builder().start();
    let request =
        Request::json("/predict/nan", &json!({"x": [-123_456.5]})).header("x-request-id", "find-me");
    let answer = server.call(&request);
    assert_eq!(answer.status, 500);
    assert_eq!(server.terminate(), Some(0));
    let lines = lines(&server);
    let about: Vec<&Value> = lines.iter().filter(|line| line["request_id"] == "find-me").collect();
    assert_eq!(about.len(), 1, "{lines:#?}");
    let trace = answer.header("traceresponse").unwrap().split('-').nth(1).unwrap();
    assert_eq!(about[0]["trace_id"], trace, "{}", about[0]);
    assert!(about[0]["span_id"].is_string(), "{}", about[0]);
    assert!(!server.process.stderr().contains("123456"));
}

#[test]
fn access_logs_are_a_choice_and_cannot_be_forged() {
    let mut server = builder().env("ML_INFERENCE_LOG__ACCESS", "all").start();
    let forged =
        Request::json("/predict/add-one", &json!([1, 2, 3])).header("user-agent", "a\"}{\"level\":\"forged");
    server.call(&forged.header("x-request-id", "accessed")).ok();
    assert_eq!(server.terminate(), Some(0));
    let lines = lines(&server);
    assert_eq!(lines.iter().filter(|line| line["request_id"] == "accessed").count(), 1, "{lines:#?}");
    assert!(!server.process.stderr().contains('\u{1b}'));
}

#[test]
fn an_empty_variable_is_unset_with_a_warning() {
    let mut server = builder().env("ML_INFERENCE_LIMITS__MAX_INSTANCES", "").start();
    assert_eq!(server.terminate(), Some(0));
    let warned = lines(&server).iter().any(|line| {
        line["level"].as_str().unwrap().eq_ignore_ascii_case("warn")
            && line.to_string().contains("ML_INFERENCE_LIMITS__MAX_INSTANCES")
    });
    assert!(warned, "{}", server.process.stderr());
}

#[test]
fn what_is_slow_is_told_without_being_asked_for() {
    let repository = Repository::new().fixture("add-one").model("slow", "slow", &models::slow_manifest(10));
    let mut server =
        Server::builder().repository(repository).env("ML_INFERENCE_LOG__SLOWER_THAN", "400ms").start();
    let ask = |route: &str, body: &Value, id: &str| {
        server.call(&Request::json(route, body).header("x-request-id", id)).ok();
    };
    ask("/predict/add-one", &json!([1, 2, 3]), "fast");
    ask("/predict/slow", &models::slow_for(800, 1.0), "slow");
    assert_eq!(server.terminate(), Some(0));
    let lines = lines(&server);
    let of = |id: &str| lines.iter().filter(|line| line["request_id"] == id).collect::<Vec<_>>();
    assert!(of("fast").is_empty(), "{lines:#?}");
    let [line] = of("slow")[..] else { panic!("{lines:#?}") };
    assert_eq!((&line["message"], &line["level"]), (&json!("request was slow"), &json!("WARN")));
    assert!(line["took_ms"].as_f64().unwrap() > 400.0 && line["untold"] == 0, "{line}");
}
