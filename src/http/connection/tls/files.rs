//! From PEM files to what the TLS library serves with; every fault named with its key.
//!
//! Invariant: messages say what was expected, and never hold a piece of a file.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig};

use super::expiry::not_after;

const CERT: &str = "tls.cert_file";
const KEY: &str = "tls.key_file";
const CLIENT_CA: &str = "tls.client_ca_file";

/// What clients may speak over TLS, the better first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where the certificate, its key and the clients' authorities are, in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, then its chain.
    pub cert_file: PathBuf,
    /// The certificate's private key.
    pub key_file: PathBuf,
    /// The authorities whose clients are let in; none = clients need no certificate.
    pub client_ca_file: Option<PathBuf>,
}

impl TlsFiles {
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let required = [&self.cert_file, &self.key_file];
        required.into_iter().chain(&self.client_ca_file).cloned().collect()
    }
}

/// One fault of one file.
#[derive(Debug, thiserror::Error)]
#[error("{key} = \"{}\": expected {expected}", path.display())]
pub struct TlsProblem {
    /// The key that names the file.
    pub key: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What should be in it.
    pub expected: String,
}

/// The files as they are at one moment.
pub(super) struct Contents {
    cert: io::Result<Vec<u8>>,
    key: io::Result<Vec<u8>>,
    client_ca: Option<io::Result<Vec<u8>>>,
}

impl Contents {
    pub(super) fn read(files: &TlsFiles) -> Self {
        Self {
            cert: std::fs::read(&files.cert_file),
            key: std::fs::read(&files.key_file),
            client_ca: files.client_ca_file.as_ref().map(std::fs::read),
        }
    }

    /// Differs where the contents do.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for content in [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()] {
            content.map(|read| read.as_ref().ok()).hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// What handshakes are made with.
pub(super) struct Identity {
    pub(super) config: Arc<ServerConfig>,
    /// When the certificate ends.
    pub(super) ends: SystemTime,
}

/// One file: its key, its path, and what was read.
type File<'a> = (&'static str, &'a Path, &'a io::Result<Vec<u8>>);

/// Makes an identity of what was read.
///
/// # Errors
/// Everything that is wrong with any of the files.
pub(super) fn identity(files: &TlsFiles, contents: &Contents) -> Result<Identity, Vec<TlsProblem>> {
    let provider = Arc::new(ring::default_provider());
    let cert_file = (CERT, files.cert_file.as_path(), &contents.cert);
    let key_file = (KEY, files.key_file.as_path(), &contents.key);
    let ca_file = files.client_ca_file.as_deref().zip(contents.client_ca.as_ref());
    let certificate = certificates(cert_file).and_then(|chain| {
        let ends = not_after(&chain[0]).map_err(|_| problem(cert_file, "an X.509 certificate"))?;
        Ok((chain, ends))
    });
    let key = private_key(key_file, &provider);
    let clients = ca_file.map(|(path, read)| clients_of((CLIENT_CA, path, read), &provider)).transpose();
    match (certificate, key, clients) {
        (Ok((chain, ends)), Ok(key), Ok(clients)) => {
            let certified = CertifiedKey::new(chain, key);
            let fault = match certified.keys_match() {
                // Some kinds of keys cannot tell.
                Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => None,
                Err(Error::InconsistentKeys(_)) => {
                    Some(problem(key_file, "the private key of the certificate in `tls.cert_file`"))
                }
                Err(_) => Some(problem(cert_file, "an X.509 certificate of version 3")),
            };
            match fault {
                Some(fault) => Err(vec![fault]),
                None => Ok(Identity { config: Arc::new(config(certified, clients, provider)), ends }),
            }
        }
        (certificate, key, clients) => {
            Err([certificate.err(), key.err(), clients.err()].into_iter().flatten().collect())
        }
    }
}

fn config(
    certified: CertifiedKey,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    provider: Arc<CryptoProvider>,
) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("the provider has suites for both versions");
    let has_clients = clients.is_some();
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    if has_clients {
        // A resumed session would not look at the client's certificate again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    } else if let Ok(ticketer) = ring::Ticketer::new() {
        // Tickets keep nothing here, however many clients there are.
        config.ticketer = ticketer;
    }
    config
}

/// The certificates of a file, at least one.
fn certificates(file: File<'_>) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(content(file)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(problem(file, "a certificate in PEM form (BEGIN CERTIFICATE)")),
    }
}

fn private_key(file: File<'_>, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, TlsProblem> {
    let pem = content(file)?;
    // Both forms of encryption have the word in their header, and base64 knows no such line.
    let marks: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];
    if marks.iter().any(|mark| pem.windows(mark.len()).any(|window| window == *mark)) {
        return Err(problem(file, "a private key that is not encrypted"));
    }
    let key = PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| problem(file, "a private key in PEM form (BEGIN PRIVATE KEY)"))?;
    provider.key_provider.load_private_key(key).map_err(|_| {
        problem(file, "a private key of RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519")
    })
}

/// Lets in clients with a certificate of the file's authorities, and nobody else.
fn clients_of(
    file: File<'_>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsProblem> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|_| problem(file, "certificates that can be authorities"))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map(|verifier| verifier as Arc<dyn ClientCertVerifier>)
        .map_err(|_| problem(file, "certificates that can be authorities"))
}

fn content((key, path, read): File<'_>) -> Result<&[u8], TlsProblem> {
    read.as_deref().map_err(|error| {
        problem((key, path, read), &format!("the path of a file that can be read ({})", error.kind()))
    })
}

fn problem((key, path, _): File<'_>, expected: &str) -> TlsProblem {
    TlsProblem { key, path: path.to_owned(), expected: expected.to_owned() }
}
