//! What a ready server says of itself.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Connection, Repository, Request, Server, shared};

#[test]
fn ready_live_and_startup_are_200_with_every_model() {
    let server = shared();
    for target in ["/health", "/health/ready"] {
        let body = server.get(target).ok();
        assert_eq!(body["status"], "ready");
        let models = body["models"].as_array().unwrap();
        let fraud = models.iter().find(|model| model["name"] == "fraud-detector").unwrap();
        assert_eq!(*fraud, json!({"name": "fraud-detector", "version": "1", "state": "ready"}));
        let versions = models.iter().filter(|model| model["name"] == "versions").count();
        assert_eq!(versions, 3, "{body}");
    }
    for target in ["/health/live", "/health/startup"] {
        assert_eq!(server.get(target).status, 200, "{target}");
    }
}

#[test]
fn head_works_on_every_health_route() {
    let mut connection = Connection::open(shared().http);
    for target in ["/health", "/health/ready", "/health/live", "/health/startup"] {
        let answer = connection.call(&Request::new("HEAD", target));
        assert_eq!(answer.status, 200, "{target}");
        assert!(answer.header("x-request-id").is_some());
    }
    // Nothing of a body was left on the connection.
    connection.call(&Request::get("/health")).ok();
}

#[test]
fn the_ready_file_names_the_addresses_and_goes_with_the_server() {
    let mut server = Server::builder().repository(Repository::new().fixture("add-one")).start();
    let file: Value = serde_json::from_str(&fs::read_to_string(&server.ready_file).unwrap()).unwrap();
    let keys: Vec<&String> = file.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 3, "{file}");
    assert_eq!(file["http"], server.http.to_string());
    assert_eq!(file["admin"], server.admin.to_string());
    assert_eq!(file["grpc"], server.grpc.to_string());
    assert_ne!(server.http.port(), 0);
    let leftovers: Vec<_> = fs::read_dir(server.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "home" && name != "ready.json")
        .collect();
    assert!(leftovers.is_empty(), "written by rename, with nothing left: {leftovers:?}");
    assert_eq!(server.terminate(), Some(0));
    assert!(!server.ready_file.exists());
}
