//! `health`: exit codes for a container's HEALTHCHECK.

use crate::harness::command::run;
use crate::harness::{ports, shared};

#[test]
fn zero_when_ready() {
    let url = format!("http://{}", shared().http);
    run(["health", "--url", &url]).finish().exits(0);
    run(["health", "--url", &format!("{url}/health/ready")]).finish().exits(0);
}

#[test]
fn one_when_nobody_answers() {
    let url = format!("http://{}", ports::free(1)[0]);
    let finished = run(["health", "--url", &url]).finish().exits(1);
    assert!(!finished.stderr.is_empty());
    run(["health", "--url", "no url"]).finish().exits(64);
}

#[test]
fn by_default_it_asks_the_configured_address() {
    let admin = shared().admin.to_string();
    let http = shared().http.to_string();
    run(["health"])
        .env("ML_INFERENCE_HTTP__ADDR", &http)
        .env("ML_INFERENCE_ADMIN__ADDR", &admin)
        .finish()
        .exits(0);
}
