//! `health`: exit codes for a container's HEALTHCHECK.

use crate::harness::command::run;
use crate::harness::ports;
use crate::harness::server::shared_with_strangers as strangers;

#[test]
fn zero_when_ready() {
    let url = format!("http://{}", strangers().http);
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
fn by_default_it_asks_the_configured_admin_listener() {
    let admin = strangers().admin.to_string();
    // Nobody listens there: the public listener is not asked, so TLS on it does not matter.
    let nobody = ports::free(1)[0].to_string();
    let health = |http: &str, admin: &str| {
        run(["health"]).env("ML_INFERENCE_HTTP__ADDR", http).env("ML_INFERENCE_ADMIN__ADDR", admin).finish()
    };
    health(&nobody, &admin).exits(0);
    health(&strangers().http.to_string(), &nobody).exits(1);
}

#[test]
fn an_https_url_is_refused_with_what_to_ask_instead() {
    let finished = run(["health", "--url", "https://127.0.0.1:1/health"]).finish().exits(64);
    assert!(finished.stderr.contains("admin"), "{}", finished.stderr);
}
