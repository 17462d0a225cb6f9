//! The clients of OpenAI, KServe and MLflow.

use super::unittest;
use crate::access::{KeysFile, make, with_keys};
use crate::harness::server::shared_with_strangers as strangers;
use crate::harness::{Repository, Server, settings};

#[track_caller]
fn run<const N: usize>(script: &str, arguments: [&str; N]) {
    unittest(&settings::clients(), script, arguments);
}

#[test]
fn openais_client_gets_embeddings() {
    run("openai_sdk.py", ["Embeddings", &strangers().http.to_string()]);
}

#[test]
fn openais_client_sends_its_key() {
    let made = make("openai", "predict,metadata", &[]);
    let file = KeysFile::new(&[&made]);
    let server = with_keys(file.path()).start();
    server.expects_strangers();
    run("openai_sdk.py", ["Keys", &server.http.to_string(), &made.key]);
}

#[test]
fn kserves_sdk_predicts_by_v1_and_v2_over_http_and_grpc() {
    run("kserve_sdk.py", ["V1,V2,Grpc", &strangers().http.to_string(), &strangers().grpc.to_string()]);
}

#[test]
fn mlflows_client_scores_in_every_form_it_has() {
    run("mlflow_scoring.py", ["Scoring", &strangers().http.to_string()]);
}

#[test]
fn mlflows_client_scores_arrays() {
    let server = Server::builder().repository(Repository::new().fixture("add-one")).start();
    server.expects_strangers();
    run("mlflow_scoring.py", ["Tensors", &server.http.to_string()]);
}
