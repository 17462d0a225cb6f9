//! The same promises over TLS: clients that leave, half-close, stall or do not read.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;

/// A server with a certificate, and clients that trust it.
struct Secure {
    server: Server,
    connector: TlsConnector,
    _folder: TempDir,
}

impl Secure {
    fn start(mut options: ConnectionOptions) -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["test".to_owned()]).unwrap();
        let folder = TempDir::new().unwrap();
        // One file may hold both.
        let file = folder.path().join("pem");
        std::fs::write(&file, cert.pem() + &signing_key.serialize_pem()).unwrap();
        let files = TlsFiles { cert_file: file.clone(), key_file: file, client_ca_file: None };
        options.tls = Some(Arc::new(Tls::load(files).unwrap()));
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = Server::start(options);
        Self { server, connector: TlsConnector::from(Arc::new(config)), _folder: folder }
    }

    async fn client(&self) -> TlsStream<TcpStream> {
        let tcp = self.server.client().await.0;
        let name = ServerName::try_from("test").unwrap();
        timeout(PATIENCE, self.connector.connect(name, tcp)).await.unwrap().unwrap()
    }

    async fn ask(&self, path: &str) -> TlsStream<TcpStream> {
        let mut client = self.client().await;
        client.write_all(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await.unwrap();
        client
    }
}

/// Reads up to `end`.
async fn until(client: &mut TlsStream<TcpStream>, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        text.push(timeout(PATIENCE, client.read_u8()).await.expect("no answer").unwrap());
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn the_service_knows_of_tls_and_an_idle_client_is_told_of_the_end() {
    let secure = Secure::start(ConnectionOptions { idle_timeout: SHORT, ..patient() });
    let mut client = secure.ask("/ok").await;
    assert!(until(&mut client, "\r\n\r\nok").await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(secure.server.starts.lock().unwrap()[0].1.is_tls);
    // Without close_notify this would be an error.
    assert_eq!(timeout(PATIENCE, client.read(&mut [0])).await.unwrap().unwrap(), 0);
    assert_eq!(secure.server.heard.until(|heard| heard.closed == 1).await.errors, []);
}

#[tokio::test]
async fn a_client_that_half_closes_gets_its_answer() {
    for says_so in [true, false] {
        let secure = Secure::start(patient());
        let mut client = secure.ask("/wait").await;
        secure.server.heard.until(|heard| heard.waiting == 1).await;
        if says_so {
            client.shutdown().await.unwrap();
        } else {
            client.get_mut().0.shutdown().await.unwrap();
        }
        // The first byte comes ahead of the answer: the end was seen.
        assert_eq!(timeout(PATIENCE, client.read_u8()).await.unwrap().unwrap(), b'H');
        secure.server.gate.notify_one();
        assert!(until(&mut client, "waited").await.starts_with("TTP/1.1 200 OK\r\n"), "{says_so}");
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "told of the end");
        assert_eq!(secure.server.heard.until(|heard| heard.closed == 1).await.errors, []);
    }
}

#[tokio::test]
async fn a_client_that_leaves_drops_its_handler() {
    for says_so in [true, false] {
        let secure = Secure::start(patient());
        let mut client = secure.ask("/wait").await;
        secure.server.heard.until(|heard| heard.waiting == 1).await;
        if says_so {
            client.shutdown().await.unwrap();
        }
        drop(client);
        let heard = secure.server.heard.until(|heard| heard.closed == 1).await;
        assert_eq!((heard.dropped, heard.busy), (1, 0), "{says_so}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed() {
    let secure = Secure::start(ConnectionOptions { write_timeout: SHORT, ..patient() });
    let _client = secure.ask("/large").await;
    let heard = secure.server.heard.until(|heard| heard.closed == 1).await;
    assert_eq!(heard.errors, [ConnectionErrorKind::WriteTimeout]);
}

#[tokio::test]
async fn a_client_that_reads_slowly_but_steadily_gets_everything() {
    let secure = Secure::start(ConnectionOptions { write_timeout: SHORT, ..patient() });
    let mut client = secure.ask("/large").await;
    until(&mut client, "\r\n\r\n").await;
    let (mut left, mut chunk) = (64 << 20, vec![0; 4 << 20]);
    while left > 0 {
        let count = timeout(PATIENCE, client.read(&mut chunk)).await.unwrap().unwrap();
        assert!(count > 0 && chunk[..count].iter().all(|byte| *byte == b'x'), "{left} bytes are missing");
        left -= count;
    }
    assert_eq!(secure.server.heard.so_far().errors, []);
}

#[tokio::test]
async fn c8_a_stalled_handshake_is_closed_and_counted_while_others_are_served() {
    let header_timeout = SHORT * 10;
    let secure = Secure::start(ConnectionOptions { header_timeout, ..patient() });
    let mut silent = secure.server.client().await;
    let mut partial = secure.server.client().await;
    // The head of a record that never comes.
    partial.0.write_all(&[22, 3, 1, 2, 0, 1, 0]).await.unwrap();
    until(&mut secure.ask("/ok").await, "\r\n\r\nok").await;
    assert_eq!((silent.rest().await, partial.rest().await), (String::new(), String::new()));
    let heard = secure.server.heard.until(|heard| heard.errors.len() >= 2).await;
    assert_eq!(heard.errors[..2], [ConnectionErrorKind::Tls; 2]);
}

#[tokio::test]
async fn c8_a_stalled_handshake_makes_room_at_the_cap() {
    let secure = Secure::start(ConnectionOptions { max_connections: 1, ..patient() });
    let mut stalled = secure.server.client().await;
    let served = timeout(PATIENCE, async {
        loop {
            let tcp = secure.server.client().await.0;
            let name = ServerName::try_from("test").unwrap();
            // Refused as long as the one that stalls is spared.
            if let Ok(mut client) = secure.connector.connect(name, tcp).await
                && client.write_all(GET.as_bytes()).await.is_ok()
            {
                return until(&mut client, "\r\n\r\nok").await;
            }
        }
    });
    assert!(served.await.expect("no room").starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(stalled.rest().await, "");
}

#[tokio::test]
async fn a_port_that_is_only_looked_at_is_no_fault() {
    let secure = Secure::start(patient());
    drop(secure.server.client().await);
    assert_eq!(secure.server.heard.until(|heard| heard.closed == 1).await.errors, []);
}

#[tokio::test]
async fn half_a_handshake_does_not_hold_the_end() {
    let secure = Secure::start(patient());
    let mut partial = secure.server.client().await;
    partial.0.write_all(&[22, 3, 1, 2, 0, 1, 0]).await.unwrap();
    until(&mut secure.ask("/ok").await, "\r\n\r\nok").await;
    secure.server.heard.until(|heard| heard.opened == 2).await;
    secure.server.shutdown.advance(Phase::Stopping);
    assert_eq!(partial.rest().await, "");
    assert_eq!(secure.server.report().await, ServeReport { forced: 0 });
}
