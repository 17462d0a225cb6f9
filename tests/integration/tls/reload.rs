//! Certificates that change while the server runs.

use std::time::Duration;

use serde_json::json;
use tokio::runtime::Runtime;

use super::client::{Http1, Stream, open};
use super::pki::{ENDS, Pki};
use crate::harness::Server;
use crate::harness::wait::{self, PATIENCE};

fn shown(stream: &Stream) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// How often files were read again, well and badly.
fn reloads(server: &Server) -> [String; 2] {
    let metrics = server.metrics();
    let count = |result| metrics.sum("secret_reload_total", &[("secret", "tls"), ("result", result)]);
    ["ok", "error"].map(|result| format!("{:.0}", count(result).abs()))
}

#[test]
fn a_new_certificate_is_for_new_connections_and_a_bad_one_for_nobody() {
    let pki = Pki::new();
    let server = pki.on(super::builder()).start();
    let runtime = Runtime::new().unwrap();
    let now = || runtime.block_on(async { shown(&open(&pki, server.http).await) });
    let first = runtime.block_on(open(&pki, server.http));
    let old = shown(&first);
    let mut kept = runtime.block_on(Http1::new(first));
    let mut ask = || runtime.block_on(kept.post("/predict/add-one", &json!([1, 2, 3]))).unwrap();
    ask();

    let renewed = pki.issue(ENDS + Duration::from_hours(24));
    pki.show(&renewed);
    wait::until("the new certificate", PATIENCE, || (now() == renewed.der().to_vec()).then_some(()));
    assert_ne!(old, renewed.der().to_vec());
    assert_eq!(ask()["y"], json!([2.0, 3.0, 4.0]), "the old connection goes on");
    let ends = (ENDS + Duration::from_hours(24)).as_secs_f64();
    server.wait_for_metric("tls_cert_expiry_timestamp_seconds", &[], ends);
    assert_eq!(reloads(&server), ["1", "0"]);

    // A certificate without its key.
    pki.put(&pki.issue(ENDS).certificate_pem());
    wait::until("the bad file", PATIENCE, || (reloads(&server) == ["1", "1"]).then_some(()));
    assert_eq!(now(), renewed.der().to_vec(), "the last good one stays");
    server.wait_for_metric("tls_cert_expiry_timestamp_seconds", &[], ends);
    let said = server.process.stderr();
    assert_eq!(said.matches("tls.key_file").count(), 1, "told once: {said}");
    assert!(!said.contains("PRIVATE KEY-----"), "{said}");

    // What was good comes back, and is told as such.
    pki.show(&renewed);
    wait::until("the good file", PATIENCE, || (reloads(&server) == ["2", "1"]).then_some(()));
    assert_eq!(now(), renewed.der().to_vec());
    ask();
}
