//! Loading and unloading while the server serves, over the admin listener.

mod access;
mod changes;
mod traffic;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::models::fixture_path;
use crate::harness::{Connection, Request, Response, Server};

/// `load` or `unload` of a model.
#[track_caller]
fn change(server: &Server, model: &str, verb: &str) -> Response {
    ask(server, &format!("/v2/repository/models/{model}/{verb}"), "")
}

/// A POST to the admin listener.
#[track_caller]
fn ask(server: &Server, target: &str, body: &str) -> Response {
    Connection::open(server.admin).call(&Request::new("POST", target).body(body))
}

/// `NAME/VERSION: STATE REASON` of each entry of the admin listener's index.
#[track_caller]
fn index(server: &Server) -> Vec<String> {
    let entries = ask(server, "/v2/repository/index", "").ok();
    let text = |entry: &Value| {
        let of = |key: &str| entry[key].as_str().unwrap().to_owned();
        format!("{}/{}: {} {}", of("name"), of("version"), of("state"), of("reason")).trim().to_owned()
    };
    entries.as_array().unwrap().iter().map(text).collect()
}

/// Puts a fixture in place as a deployment does: whole, by a rename.
fn put(repository: &Path, model: &str, version: &str, fixture: &str) {
    write(repository, model, version, &fs::read(fixture_path(fixture)).unwrap());
}

fn write(repository: &Path, model: &str, version: &str, graph: &[u8]) {
    let folder = repository.join(model).join(version);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("part"), graph).unwrap();
    fs::rename(folder.join("part"), folder.join("model.onnx")).unwrap();
}

#[track_caller]
fn predict(server: &Server, model: &str) -> Response {
    server.post(&format!("/predict/{model}"), &json!({ "x": [1, 2, 3] }))
}
