//! Triton's statistics: they add up after a known number of predictions.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::{Repository, Request, Server, assert_problem, shared};

const STAGES: [&str; 4] = ["queue", "compute_input", "compute_infer", "compute_output"];

fn stats(server: &Server, model: &str) -> Value {
    let answer = server.get(&format!("/v2/models/{model}/stats")).ok();
    assert_eq!(answer["model_stats"].as_array().unwrap().len(), 1, "{answer}");
    answer["model_stats"][0].clone()
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn a_model_that_was_never_asked_has_every_field_at_zero() {
    let server = Server::builder().repository(Repository::new().fixture("add-one")).start();
    let zero = json!({"count": 0, "ns": 0});
    let expected = json!({
        "name": "add-one",
        "version": "1",
        "last_inference": 0,
        "inference_count": 0,
        "execution_count": 0,
        "inference_stats": {
            "success": zero, "fail": zero, "queue": zero, "compute_input": zero, "compute_infer": zero,
            "compute_output": zero, "cache_hit": zero, "cache_miss": zero
        },
        "response_stats": {},
        "batch_stats": [],
        "memory_usage": []
    });
    assert_eq!(stats(&server, "add-one"), expected, "neither warm-up nor verification counts");
}

#[test]
fn requests_rows_and_runs_add_up() {
    let server = Server::builder().repository(Repository::new().fixture("add-one")).start();
    let begun = now_ms();
    let rows = |count: usize| json!({"instances": vec![json!([1, 2, 3]); count]});
    for body in [json!([1, 2, 3]), json!([4, 5, 6]), json!([7, 8, 9]), rows(4), rows(40)] {
        server.post("/predict/add-one", &body).ok();
    }
    let refused = Request::text("/predict/add-one", "application/json", "{");
    assert_problem(&server.call(&refused), 400, "invalid_json");
    let late = Request::json("/predict/add-one", &json!([1, 2, 3])).header("x-request-timeout-ms", "0");
    assert_problem(&server.call(&late), 504, "deadline_exceeded");
    // Asking for it is no inference.
    server.get("/predict/add-one").ok();

    let stats = stats(&server, "add-one");
    assert_eq!(stats["inference_count"], 47, "{stats}");
    assert_eq!(stats["execution_count"], 6, "40 rows are two runs: {stats}");
    let inference = &stats["inference_stats"];
    assert_eq!((&inference["success"]["count"], &inference["fail"]["count"]), (&json!(5), &json!(2)));
    assert!(number(&inference["fail"]["ns"]) > 0, "{stats}");
    let mut in_stages = 0;
    for stage in STAGES {
        assert_eq!(inference[stage]["count"], 5, "{stage}: {stats}");
        in_stages += number(&inference[stage]["ns"]);
    }
    for stage in ["compute_input", "compute_infer", "compute_output"] {
        assert!(number(&inference[stage]["ns"]) > 0, "{stage}: {stats}");
    }
    assert!(in_stages <= number(&inference["success"]["ns"]), "{stats}");
    for cache in ["cache_hit", "cache_miss"] {
        assert_eq!(inference[cache], json!({"count": 0, "ns": 0}));
    }
    let last = u128::from(number(&stats["last_inference"]));
    assert!((begun..=now_ms()).contains(&last), "{stats}");

    let batches: Vec<(u64, u64)> = stats["batch_stats"]
        .as_array()
        .unwrap()
        .iter()
        .map(|batch| {
            assert!(number(&batch["compute_infer"]["ns"]) > 0, "{batch}");
            let counts = STAGES[1..].iter().map(|stage| number(&batch[*stage]["count"]));
            let counts: Vec<u64> = counts.collect();
            assert!(counts.iter().all(|count| *count == counts[0]), "{batch}");
            (number(&batch["batch_size"]), counts[0])
        })
        .collect();
    assert_eq!(batches, [(1, 3), (4, 1), (20, 2)]);
    assert_same_as_metrics(&server, &stats);
}

/// The two ways to ask say the same.
fn assert_same_as_metrics(server: &Server, stats: &Value) {
    let metrics = server.metrics();
    let requests = |outcome: &str| metrics.sum("inference_requests_total", &[("outcome", outcome)]);
    assert!((requests("ok") - 5.0).abs() < 0.5);
    assert!((requests("client_error") + requests("timeout") - 2.0).abs() < 0.5);
    #[expect(clippy::cast_precision_loss, reason = "a test's microseconds are far below 2^53 ns")]
    let infer_seconds = number(&stats["inference_stats"]["compute_infer"]["ns"]) as f64 / 1e9;
    let measured = metrics.sum("inference_stage_duration_seconds_sum", &[("stage", "execute")]);
    assert!((infer_seconds - measured).abs() < 1e-6, "{infer_seconds} and {measured}");
}

#[test]
fn runs_count_when_they_gave_outputs_and_requests_when_they_were_answered() {
    let repository = Repository::new().fixture("nan").fixture("gather");
    let server = Server::builder().repository(repository).start();
    let answer = server.post("/predict/nan", &json!({"x": [-1.0]}));
    assert_problem(&answer, 500, "non_finite_output");
    let answer = server.post("/predict/gather", &json!({"ids": [0, 99]}));
    assert_problem(&answer, 400, "invalid_input");
    for (model, executions) in [("nan", 1), ("gather", 0)] {
        let stats = stats(&server, model);
        assert_eq!(stats["execution_count"], executions, "{stats}");
        assert_eq!(stats["inference_count"], 0, "{stats}");
        assert_eq!(stats["inference_stats"]["fail"]["count"], 1, "{stats}");
        assert_eq!(stats["inference_stats"]["queue"]["count"], 0, "{stats}");
        assert!(number(&stats["last_inference"]) > 0, "{stats}");
    }
}

#[test]
fn statistics_are_of_all_models_of_one_or_of_a_version() {
    let repository = Repository::new()
        .version("versions", "2", "add-one")
        .version("versions", "10", "add-one")
        .fixture("nan");
    let server = Server::builder().repository(repository).start();
    server.post("/predict/versions/versions/2", &json!([1, 2, 3])).ok();
    let listed = |target: &str| -> Vec<Value> {
        let answer = server.get(target).ok();
        let all = answer["model_stats"].as_array().unwrap().iter();
        all.map(|model| json!([model["name"], model["version"], model["inference_count"]])).collect()
    };
    let (two, ten) = (json!(["versions", "2", 1]), json!(["versions", "10", 0]));
    assert_eq!(listed("/v2/models/stats"), [json!(["nan", "1", 0]), two.clone(), ten.clone()]);
    assert_eq!(listed("/v2/models/versions/stats"), [two.clone(), ten.clone()]);
    assert_eq!(listed("/v2/models/versions/versions/2/stats"), [two]);
    assert_eq!(listed("/v2/models/versions/versions/10/stats"), [ten]);
}

#[test]
fn what_there_is_not_is_404() {
    assert_problem(&shared().get("/v2/models/nobody/stats"), 404, "model_not_found");
    assert_problem(&shared().get("/v2/models/versions/versions/3/stats"), 404, "version_not_found");
}

#[test]
fn a_model_called_stats_hides_behind_the_statistics_of_all() {
    let server = Server::builder().repository(Repository::new().model("stats", "add-one", "")).start();
    assert_eq!(server.get("/v2/models/stats").ok()["model_stats"][0]["name"], "stats");
    assert_eq!(server.get("/v2/models/stats/versions/1").ok()["platform"], "onnx_onnxv1");
    assert_eq!(server.get("/v2/models/stats/ready").ok(), json!({"name": "stats", "ready": true}));
    assert_eq!(server.get("/v2/models/stats/stats").ok()["model_stats"][0]["name"], "stats");
}
