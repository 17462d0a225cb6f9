//! Triton's clients for Python, over HTTP and gRPC. Their cases over TLS are started beside the other tests of TLS.

use std::path::Path;
use std::process::Command;

use crate::harness::{Connection, Repository, Server, ports, settings, shared, wait};

/// Runs classes of `tests/clients/triton_http.py`, and demands that all their tests pass.
#[track_caller]
pub(crate) fn triton(classes: &str, address: &str, authority: Option<&Path>) {
    run("triton_http.py", classes, address, authority);
}

/// The same of `tests/clients/triton_grpc.py`.
#[track_caller]
pub(crate) fn triton_grpc(classes: &str, address: &str, authority: Option<&Path>) {
    run("triton_grpc.py", classes, address, authority);
}

#[track_caller]
fn run(script: &str, classes: &str, address: &str, authority: Option<&Path>) {
    let mut command = Command::new(settings::triton_client());
    let script = settings::package("tests/clients").join(script);
    command.arg(script).args([classes, address]).args(authority);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("\nOK"), "{said}");
}

#[test]
fn tritons_client_learns_what_is_served() {
    triton("Facts", &shared().http.to_string(), None);
}

#[test]
fn tritons_client_infers_in_every_form_it_has() {
    triton("Infer", &shared().http.to_string(), None);
}

#[test]
fn tritons_grpc_client_learns_what_is_served() {
    triton_grpc("Facts", &shared().grpc.to_string(), None);
}

#[test]
fn tritons_grpc_client_infers_in_every_form_it_has() {
    triton_grpc("Infer", &shared().grpc.to_string(), None);
}

#[test]
fn tritons_grpc_client_infers_on_the_http_port() {
    triton_grpc("Infer", &shared().http.to_string(), None);
}

#[test]
fn tritons_client_loads_and_unloads_over_the_admin_listener() {
    let repository = Repository::new().fixture("add-one").fixture("passthrough");
    let server = Server::builder().repository(repository).start();
    triton("ModelRepository", &server.admin.to_string(), None);
}

#[test]
fn tritons_client_sees_a_server_that_is_not_ready() {
    // A warm-up of minutes, which the signal ends.
    let warmup = "[execution]\ninstances = 1\nintra_threads = 1\n[warmup]\ninputs = [{ x = [1.0], iterations = [100000000] }]\n";
    let [http, admin] = ports::free(2)[..] else { unreachable!("asked for two") };
    let repository = Repository::new().model("slow", "slow", warmup);
    let builder = Server::builder().repository(repository).addresses(http, admin);
    let mut process = builder.spawn();
    wait::until("the listener", wait::PATIENCE, || {
        assert!(process.ended().is_none(), "it ended");
        Connection::try_open(http).ok()
    });
    triton("NotReady", &http.to_string(), None);
    triton_grpc("NotReady", &http.to_string(), None);
    process.signal("TERM");
    assert!(process.wait(wait::PATIENCE).is_some(), "{}", process.stderr());
}
