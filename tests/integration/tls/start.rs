//! What is wrong with the files is told at start, all at once, before anything is bound.

use std::fs;
use std::time::Duration;

use super::client::{config, connect};
use super::pki::{GONE, Pki, now};
use crate::harness::Server;
use crate::harness::server::Builder;
use crate::harness::wait::{self, PATIENCE};

/// Starts a server with these texts for its files; what it says as it gives up with 64.
#[track_caller]
fn refused(pki: &Pki, certificate: &str, key: &str, authorities: &str) -> String {
    for (name, text) in [("cert", certificate), ("key", key), ("authorities", authorities)] {
        fs::write(pki.path(name), text).unwrap();
    }
    let builder = super::builder()
        .env("ML_INFERENCE_TLS__CERT_FILE", pki.path("cert"))
        .env("ML_INFERENCE_TLS__KEY_FILE", pki.path("key"))
        .env("ML_INFERENCE_TLS__CLIENT_CA_FILE", pki.path("authorities"));
    gives_up(&builder)
}

#[track_caller]
fn gives_up(builder: &Builder) -> String {
    let mut process = builder.spawn();
    let code = process.wait(PATIENCE);
    let said = process.stderr();
    assert_eq!(code, Some(64), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[track_caller]
fn names(said: &str, keys: &[&str]) {
    for key in ["tls.cert_file", "tls.key_file", "tls.client_ca_file"] {
        let lines = said.lines().filter(|line| line.trim_start().starts_with(key)).count();
        assert_eq!(lines, usize::from(keys.contains(&key)), "{key}: {said}");
    }
}

#[test]
fn every_bad_file_is_named_at_once() {
    let pki = Pki::new();
    let said = refused(&pki, "no certificate", "no key", "no authority");
    names(&said, &["tls.cert_file", "tls.key_file", "tls.client_ca_file"]);
    let missing = super::builder()
        .env("ML_INFERENCE_TLS__CERT_FILE", pki.path("nowhere"))
        .env("ML_INFERENCE_TLS__KEY_FILE", pki.path(""))
        .env("ML_INFERENCE_TLS__CLIENT_CA_FILE", pki.path("nowhere"));
    names(&gives_up(&missing), &["tls.cert_file", "tls.key_file", "tls.client_ca_file"]);
    let alone = super::builder().env("ML_INFERENCE_TLS__CERT_FILE", pki.path("server.pem"));
    names(&gives_up(&alone), &["tls.cert_file"]);
}

#[test]
fn each_fault_alone_is_named_with_its_file() {
    let pki = Pki::new();
    let (leaf, other) = (pki.issue(super::pki::ENDS), pki.issue(super::pki::ENDS));
    let (certificate, key, authority) = (leaf.certificate_pem(), leaf.key_pem(), pki.authority.pem());
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let legacy = key.replace("PRIVATE KEY", "EC PRIVATE KEY").replacen(
        "-----\n",
        "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
        1,
    );
    let cut = format!("{}\n-----END CERTIFICATE-----\n", &certificate[..certificate.len() / 2]);
    let faults = [
        ("tls.cert_file", "certificate in PEM form", refused(&pki, &key, &key, &authority)),
        ("tls.cert_file", "certificate", refused(&pki, &cut, &key, &authority)),
        ("tls.key_file", "private key in PEM form", refused(&pki, &certificate, &certificate, &authority)),
        ("tls.key_file", "not encrypted", refused(&pki, &certificate, &encrypted, &authority)),
        ("tls.key_file", "not encrypted", refused(&pki, &certificate, &legacy, &authority)),
        (
            "tls.key_file",
            "private key of the certificate",
            refused(&pki, &certificate, &other.key_pem(), &authority),
        ),
        ("tls.client_ca_file", "certificate in PEM form", refused(&pki, &certificate, &key, &key)),
    ];
    for (key, expected, said) in faults {
        names(&said, &[key]);
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(!said.contains("BEGIN") || said.contains("(BEGIN"), "nothing of a file is told: {said}");
    }
}

fn warned(server: &Server, text: &str) {
    wait::until("the warning", PATIENCE, || server.process.stderr().contains(text).then_some(()));
}

#[test]
fn a_certificate_that_ends_or_has_ended_is_a_warning() {
    let pki = Pki::new();
    pki.show(&pki.issue(GONE));
    let server = pki.on(super::builder()).start();
    warned(&server, "the certificate has ended");
    let refusal = tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(connect(server.http, config(&pki, super::client::VERSIONS[1], None)));
    assert!(refusal.is_err(), "clients refuse it");
    // The client said why, by an alert.
    server.wait_for_metric("http_connection_errors_total", &[("kind", "tls")], 1.0);

    pki.show(&pki.issue(now() + Duration::from_hours(13 * 24)));
    let server = pki.on(super::builder()).start();
    warned(&server, "the certificate ends soon");

    pki.show(&pki.issue(now() + Duration::from_hours(15 * 24)));
    let server = pki.on(super::builder()).start();
    let looked_at = || server.metrics().sum("tls_cert_expiry_timestamp_seconds", &[]) > 0.5;
    wait::until("the look at the certificate", PATIENCE, || looked_at().then_some(()));
    assert!(!server.process.stderr().contains("the certificate ends soon"));
}
