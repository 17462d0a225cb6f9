//! The way to a Collector over TLS: authorities, client certificates, and what is told when they are wrong.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;
use tempfile::TempDir;

use super::collector::{about, builder, failing};
use crate::harness::Server;
use crate::harness::collector::Collector;
use crate::harness::server::Builder;
use crate::harness::wait::{self, PATIENCE};

/// An authority with certificates for a collector and for a server of ours, as files.
struct Pki(TempDir);

impl Pki {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, folder.path().to_str().unwrap());
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        for name in ["collector", "client"] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap();
            fs::write(folder.path().join(format!("{name}.pem")), certificate.pem()).unwrap();
            fs::write(folder.path().join(format!("{name}.key")), key.serialize_pem()).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A collector that shows its certificate and wants one.
    fn collector(&self) -> Collector {
        Collector::start_with(Some(&json!({
            "cert_file": self.path("collector.pem"),
            "key_file": self.path("collector.key"),
            "client_ca_file": self.path("ca.pem"),
        })))
    }

    fn client(&self, builder: Builder) -> Builder {
        builder
            .env("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", self.path("client.pem"))
            .env("OTEL_EXPORTER_OTLP_CLIENT_KEY", self.path("client.key"))
    }
}

#[test]
fn every_signal_arrives_where_both_sides_have_certificates() {
    let pki = Pki::new();
    for by in [Collector::by_grpc, Collector::by_http] {
        let collector = pki.collector();
        let builder = by(&collector, pki.client(builder()));
        let server = builder.env("OTEL_EXPORTER_OTLP_CERTIFICATE", pki.path("ca.pem")).start();
        assert_eq!(server.call(&failing("over-tls")).status, 500);
        let records = about(&collector, "over-tls");
        assert_eq!(records.len(), 1);
        let spans = collector.trace(&records[0].trace, 6);
        assert!(spans.iter().any(|span| span.id == records[0].span), "{spans:#?}");
        wait::until("metrics", PATIENCE, || (!collector.metrics().is_empty()).then_some(()));
    }
}

#[test]
fn what_a_wrong_certificate_costs_is_counted_and_told_once() {
    let (pki, other) = (Pki::new(), Pki::new());
    let collector = pki.collector();
    let trusted = |builder: Builder| builder.env("OTEL_EXPORTER_OTLP_CERTIFICATE", pki.path("ca.pem"));
    let wrong: [(&str, Builder); 4] = [
        (
            "an authority that vouched for nobody here",
            pki.client(builder()).env("OTEL_EXPORTER_OTLP_CERTIFICATE", other.path("ca.pem")),
        ),
        ("no certificate of ours", trusted(builder())),
        ("one of another authority", trusted(other.client(builder()))),
        (
            "no such file",
            pki.client(builder()).env("OTEL_EXPORTER_OTLP_CERTIFICATE", pki.path("missing.pem")),
        ),
    ];
    for (what, builder) in wrong {
        let builder = collector
            .by_grpc(builder)
            .env("OTEL_TRACES_EXPORTER", "none")
            .env("OTEL_EXPORTER_OTLP_TIMEOUT", "1000");
        let mut server = builder.env("OTEL_METRICS_EXPORTER", "none").start();
        let series = "otel_sdk_exporter_log_exported_total";
        let lost = |server: &Server| server.metrics().sum(series, &[("error_type", "unavailable")]);
        wait::until(what, PATIENCE, || (lost(&server) >= 1.0).then_some(()));
        let before = lost(&server);
        assert_eq!(server.call(&failing("lost")).status, 500, "{what}");
        wait::until(what, PATIENCE, || (lost(&server) > before).then_some(()));
        assert_eq!(server.terminate(), Some(0), "{what}");
        let said = server.process.stderr();
        let told: Vec<&str> = said.lines().filter(|line| line.contains("export fails")).collect();
        assert_eq!(told.len(), 1, "{what}: {told:#?}");
    }
    assert!(collector.records().is_empty());
}
