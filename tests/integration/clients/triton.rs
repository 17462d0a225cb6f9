//! Triton's clients for Python, over HTTP and gRPC. Their cases over TLS are started beside the other tests of TLS.

use std::ffi::OsStr;
use std::path::Path;

use super::unittest;
use crate::harness::loading::while_loading;
use crate::harness::server::shared_with_strangers as strangers;
use crate::harness::{Repository, Server, settings};

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
    let arguments = [classes, address].map(OsStr::new).into_iter().chain(authority.map(Path::as_os_str));
    unittest(&settings::triton_client(), script, arguments);
}

#[test]
fn tritons_client_learns_what_is_served() {
    triton("Facts", &strangers().http.to_string(), None);
}

#[test]
fn tritons_client_infers_in_every_form_it_has() {
    triton("Infer", &strangers().http.to_string(), None);
}

#[test]
fn tritons_grpc_client_learns_what_is_served() {
    triton_grpc("Facts", &strangers().grpc.to_string(), None);
}

#[test]
fn tritons_grpc_client_infers_in_every_form_it_has() {
    triton_grpc("Infer", &strangers().grpc.to_string(), None);
}

#[test]
fn tritons_grpc_client_infers_on_the_http_port() {
    triton_grpc("Infer", &strangers().http.to_string(), None);
}

#[test]
fn tritons_client_loads_and_unloads_over_the_admin_listener() {
    let repository = Repository::new().fixture("add-one").fixture("passthrough");
    let server = Server::builder().repository(repository).start();
    server.expects_strangers();
    triton("ModelRepository", &server.admin.to_string(), None);
}

#[test]
fn tritons_client_sees_a_server_that_is_not_ready() {
    while_loading(|http| {
        triton("NotReady", &http.to_string(), None);
        triton_grpc("NotReady", &http.to_string(), None);
    });
}
