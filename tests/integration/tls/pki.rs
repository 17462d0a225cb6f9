//! An authority and its certificates, made for one test, with the files that a server reads.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::harness::server::Builder;

/// Where a server's certificate ends unless a test says otherwise: 2040.
pub(super) const ENDS: Duration = Duration::from_hours(25_567 * 24);
/// A time that has gone: 2020.
pub(super) const GONE: Duration = Duration::from_hours(18_262 * 24);

/// The time from the epoch to now.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// A certificate with its key.
pub(super) struct Leaf {
    certificate: Certificate,
    key: KeyPair,
}

impl Leaf {
    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }

    pub(super) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The certificate as a file holds it.
    pub(super) fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    pub(super) fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }
}

/// An authority, and a folder with what it gave to a server.
pub(super) struct Pki {
    pub(super) authority: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Pki {
    /// With a certificate for a server until [`ENDS`].
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let folder = TempDir::new().unwrap();
        params.distinguished_name.push(DnType::CommonName, folder.path().to_str().unwrap());
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pki = Self { authority, folder };
        pki.show(&pki.issue(ENDS));
        fs::write(pki.path("ca.pem"), pki.authority.pem()).unwrap();
        pki
    }

    /// A certificate for `localhost`, a server's or a client's, that ends then.
    pub(super) fn issue(&self, ends: Duration) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(1970, 1, 1) + ends;
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        Leaf { certificate, key }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a certificate where the server looks.
    pub(super) fn show(&self, leaf: &Leaf) {
        self.put(&(leaf.certificate_pem() + &leaf.key_pem()));
    }

    /// Puts anything there, at once: one file holds certificate and key, and is renamed to its place.
    pub(super) fn put(&self, text: &str) {
        fs::write(self.path("new.pem"), text).unwrap();
        fs::rename(self.path("new.pem"), self.path("server.pem")).unwrap();
    }

    /// Points a server at the certificate.
    pub(super) fn on(&self, builder: Builder) -> Builder {
        let builder = builder.env("ML_INFERENCE_TLS__CERT_FILE", self.path("server.pem"));
        builder.env("ML_INFERENCE_TLS__KEY_FILE", self.path("server.pem"))
    }

    /// The same, and clients need a certificate of this authority.
    pub(super) fn on_both_sides(&self, builder: Builder) -> Builder {
        self.on(builder).env("ML_INFERENCE_TLS__CLIENT_CA_FILE", self.path("ca.pem"))
    }
}
