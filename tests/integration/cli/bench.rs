//! `bench`: closed and open loop, in process and over HTTP.

use serde_json::Value;

use crate::harness::command::{Finished, run};
use crate::harness::{Repository, Server, models, settings};

/// The command on a target with a body that fits the `add-one` fixture.
fn bench(target: &str, arguments: &str) -> Finished {
    let fixed = ["bench", target, "--input", "body.json", "--warmup", "10ms", "--batch", "1"];
    run(fixed.into_iter().chain(arguments.split(' '))).file("body.json", b"{\"x\":[1,2,3]}").finish()
}

fn add_one() -> String {
    settings::package("tests/fixtures/models/add-one.onnx").to_str().unwrap().to_owned()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("expected a number: {value}"))
}

/// What every open loop reports, and that it adds up.
fn assert_open(run: &Value, arrivals: &str) {
    assert_eq!((&run["kind"], &run["arrivals"]), (&"open".into(), &arrivals.into()), "{run}");
    let refused: f64 = run["refused"].as_object().unwrap().values().map(number).sum();
    assert!((number(&run["ok"]) + refused - number(&run["sent"])).abs() < 0.5, "{run}");
    let good = number(&run["goodput_per_second"]);
    assert!(good > 0.0 && good <= number(&run["requests_per_second"]), "{run}");
    for (figure, percentile) in
        [("latency_ms", "p99.9"), ("refusal_latency_ms", "max"), ("schedule_lag_ms", "p99")]
    {
        number(&run[figure][percentile]);
    }
    let batches: f64 =
        run["batch_sizes"].as_array().unwrap().iter().map(|size| number(&size["batches"])).sum();
    assert!(batches >= 1.0 && batches <= number(&run["ok"]), "{run}");
}

#[test]
fn an_open_loop_in_process_measures_its_capacity_first() {
    let line = "--duration 300ms --rate 0.3x,0.5x --deadline 2s --format json";
    let report = bench(&add_one(), line).exits(0).json();
    let runs = report["runs"].as_array().unwrap();
    assert_eq!((&report["loop"], runs.len()), (&"open".into(), 3));
    assert_eq!((&runs[0]["kind"], &runs[0]["connections"]), (&"closed".into(), &64.into()));
    let capacity = number(&runs[0]["requests_per_second"]);
    for (run, multiple) in runs[1..].iter().zip([0.3, 0.5]) {
        assert_open(run, "poisson");
        assert!((number(&run["rate"]) / capacity - multiple).abs() < 1e-6, "{run}");
        assert!((number(&run["rate_of_capacity"]) - multiple).abs() < 1e-9);
    }
}

#[test]
fn an_open_loop_over_http_sends_its_number_and_draws() {
    let server = Server::builder().models(add_one()).start();
    server.expects_strangers();
    let url = format!("http://{}/predict/add-one", server.http);
    let line = "--rate 500,1000 --arrivals constant --requests 100 --plot load.svg --connections 8";
    let report = bench(&url, &format!("{line} --format json")).exits(0).json();
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    for run in runs {
        assert_open(run, "constant");
        assert_eq!(run["sent"], 100);
    }
    let text = bench(&url, line).exits(0).stdout;
    for said in ["open loop, constant arrivals", "goodput/s", "batches by rows: 1: ", "sent late by"] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

/// A deadline that nothing can meet: the header is sent, the refusals are counted, and since no answer
/// was good the command fails.
#[test]
fn a_deadline_is_told_to_the_server_and_what_it_refuses_is_counted() {
    let repository = Repository::new().model("slow", "slow", &models::slow_manifest(2048));
    let server = Server::builder().repository(repository).start();
    server.expects_strangers();
    let url = format!("http://{}/predict/slow", server.http);
    let body = models::slow_for(100, 1.0).to_string();
    let fixed = ["bench", &url, "--input", "body.json", "--warmup", "0s", "--format", "json"];
    let line = "--rate 200 --requests 20 --deadline 1ms".split(' ');
    let finished = run(fixed.into_iter().chain(line)).file("body.json", body.as_bytes()).finish().exits(1);
    let refused = finished.json()["runs"][0]["refused"].clone();
    let count: f64 = refused.as_object().unwrap().values().map(number).sum();
    assert!((count - 20.0).abs() < 0.5, "{refused}");
}

#[test]
fn what_makes_no_sense_is_64() {
    for line in ["--rate 0", "--rate 5 --connections 1,2", "--deadline 1s", "--rate 1y", "--arrivals x"] {
        bench(&add_one(), line).exits(64);
    }
}
