//! A thousand requests at once: each answer belongs to its own request.

use serde_json::{Value, json};

use crate::harness::vectors::{self, assert_close};
use crate::harness::{Connection, Request, shared};

const CLIENTS: usize = 1000;

/// Opens a connection for each request, sends all of them, and only then reads the answers.
fn all_at_once(requests: impl Iterator<Item = Request>) -> Vec<Value> {
    rlimit::increase_nofile_limit(8192).unwrap();
    let mut connections: Vec<_> =
        requests.map(|request| (Connection::open(shared().http), request)).collect();
    for (connection, request) in &mut connections {
        connection.write(&request.bytes());
    }
    connections.iter_mut().map(|(connection, _)| connection.read().ok()).collect()
}

#[test]
fn a_thousand_rows_of_the_forest() {
    let rows = vectors::fraud()["rows"].as_array().unwrap();
    let requests =
        (0..CLIENTS).map(|client| Request::json("/predict/fraud-detector", &rows[client % rows.len()]));
    for (client, answer) in all_at_once(requests).iter().enumerate() {
        let expected = &vectors::fraud()["scores"][client % rows.len()];
        assert_close(&json!([answer["scores"]["legitimate"], answer["scores"]["fraud"]]), expected, 1e-5);
    }
}

#[test]
fn a_thousand_different_tensors() {
    let requests =
        (0..CLIENTS).map(|client| Request::json("/predict/add-one", &json!([client, 2 * client, -1])));
    for (client, answer) in all_at_once(requests).into_iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let expected = json!([client as f64 + 1.0, (2 * client) as f64 + 1.0, 0.0]);
        assert_eq!(answer["y"], expected);
    }
}

#[test]
fn requests_behind_one_another_on_one_connection_are_answered_in_order() {
    let mut connection = Connection::open(shared().http);
    let requests: Vec<u8> =
        (0..100).flat_map(|n| Request::json("/predict/add-one", &json!([n, 0, 0])).bytes()).collect();
    connection.write(&requests);
    for n in 0..100 {
        assert_eq!(connection.read().ok()["y"][0], json!(f64::from(n) + 1.0));
    }
}
