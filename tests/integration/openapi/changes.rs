//! The description follows the models and the keys.

use serde_json::Value;

use super::{document, operations};
use crate::access::{KeysFile, make, with_keys};
use crate::harness::loading::while_loading;
use crate::harness::{Connection, Repository, Request, Server, assert_problem};

#[test]
fn the_text_stays_until_a_model_changes() {
    let repository = Repository::new().fixture("add-one").fixture("passthrough");
    let server = Server::builder().repository(repository).start();
    let first = server.get("/openapi.json");
    let etag = first.header("etag").unwrap().to_owned();
    assert_eq!(server.get("/openapi.json").header("etag"), Some(etag.as_str()));
    let asked = |etag: &str| server.call(&Request::get("/openapi.json").header("if-none-match", etag)).status;
    assert_eq!((asked(&etag), asked("\"other\""), asked(&format!("\"other\", W/{etag}"))), (304, 200, 304));
    let unload = Request::new("POST", "/v2/repository/models/passthrough/unload");
    assert_eq!(Connection::open(server.admin).call(&unload).status, 200);
    assert_eq!(asked(&etag), 200);
    let after = document(&server);
    assert!(after["paths"].get("/predict/passthrough").is_none());
    assert!(after["paths"].get("/predict/add-one").is_some());
}

#[test]
fn what_is_there_is_described_while_models_load() {
    while_loading(|http| {
        let mut connection = Connection::open(http);
        let described = connection.call(&Request::get("/openapi.json")).ok();
        assert!(described["paths"]["/predict/{model}"]["post"].is_object());
        assert!(described["paths"].get("/predict/slow").is_none());
        let page = connection.call(&Request::get("/docs"));
        assert!(
            page.status == 200 && page.text().contains("slow version 1</a> (loading)"),
            "{}",
            page.text()
        );
    });
}

#[test]
fn keys_are_described_where_they_are_asked_for() {
    let made = make("all", "predict,metadata", &[]);
    let file = KeysFile::new(&[&made]);
    let server = with_keys(file.path()).start();
    assert_problem(&server.get("/openapi.json"), 401, "unauthenticated");
    let bearer = format!("Bearer {}", made.key);
    let authorized = Request::get("/openapi.json").header("authorization", &bearer);
    let described: Value = server.call(&authorized).ok();
    assert_eq!(described["components"]["securitySchemes"]["key"]["scheme"], "bearer");
    for (path, method, operation) in operations(&described) {
        let target = path.replace("{model}", "add-one").replace("{version}", "1");
        let answer = server.call(&Request::new(&method.to_ascii_uppercase(), &target));
        let is_described = operation.get("security").is_some();
        assert_eq!(answer.status == 401, is_described, "{method} {path}: {}", answer.status);
        assert_eq!(operation["responses"].get("401").is_some(), is_described, "{method} {path}");
    }
    let page = server.get("/docs").text();
    assert!(!page.contains("add-one"), "models are shown to callers with a key");
}
