//! Handshakes that must not succeed (F2) or do not come (C8): an alert, a count, and never an answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use super::client::{Http1, VERSIONS, Version, config, connect, open};
use super::pki::{ENDS, GONE, Leaf, Pki};
use crate::harness::wait::PATIENCE;
use crate::harness::{Request, Server};

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const FATAL: u8 = 2;

/// Suites of TLS 1.2 that this server takes.
const GOOD: [u16; 2] = [0xc02b, 0xc02f];

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes()[..], bytes].concat()
}

/// A whole first record of a client: the version and suites that it offers, and a server's name.
fn hello(version: u16, suites: &[u16], name: &[u8]) -> Vec<u8> {
    let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    let groups = [&[0, 10][..], &with_length(&with_length(&[0, 29]))].concat();
    let signatures = [&[0, 13][..], &with_length(&with_length(&[4, 3, 8, 4]))].concat();
    let points = [0, 11, 0, 2, 1, 0];
    let name = [&[0, 0][..], &with_length(name)].concat();
    let extensions = [&name[..], &groups, &signatures, &points].concat();
    let body = [
        &version.to_be_bytes()[..],
        &[7; 32],
        &[0],
        &with_length(&suites),
        &[1, 0],
        &with_length(&extensions),
    ]
    .concat();
    let message = [&[1, 0][..], &with_length(&body)].concat();
    [&[HANDSHAKE, 3, 1][..], &with_length(&message)].concat()
}

fn server_name(name: &[u8]) -> Vec<u8> {
    with_length(&[&[0][..], &with_length(name)].concat())
}

/// Sends bytes; everything that comes back until the end, which may be a reset.
fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer);
    assert!(end.is_ok() || end.unwrap_err().kind() == std::io::ErrorKind::ConnectionReset, "still open");
    answer
}

#[test]
fn f2_old_versions_weak_suites_junk_names_and_plain_bytes_get_an_alert() {
    let pki = Pki::new();
    let server = pki.on(super::builder()).start();
    let localhost = server_name(b"localhost");
    let welcome = TcpStream::connect(server.http).and_then(|mut stream| {
        stream.write_all(&hello(0x0303, &GOOD, &localhost))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut first = [0];
        stream.read_exact(&mut first).map(|()| first[0])
    });
    assert_eq!(welcome.unwrap(), HANDSHAKE, "a good one begins a handshake");
    let request = Request::get("/health").bytes();
    let bad: [(&str, Vec<u8>); 10] = [
        ("SSL 3", hello(0x0300, &GOOD, &localhost)),
        ("TLS 1.0", hello(0x0301, &GOOD, &localhost)),
        ("TLS 1.1", hello(0x0302, &GOOD, &localhost)),
        // RC4, 3DES, and AES-CBC with an RSA key exchange.
        ("weak suites", hello(0x0303, &[0x0005, 0x000a, 0x002f], &localhost)),
        ("no suite", hello(0x0303, &[], &localhost)),
        ("junk for a name", hello(0x0303, &GOOD, &[0xff; 9])),
        ("a name with a NUL", hello(0x0303, &GOOD, &server_name(b"local\0host"))),
        ("an empty name", hello(0x0303, &GOOD, &server_name(b""))),
        ("HTTP/1.1", request.clone()),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()),
    ];
    for (what, bytes) in &bad {
        let answer = exchange(server.http, bytes);
        assert!(answer.len() == 7 && answer[0] == ALERT && answer[5] == FATAL, "{what}: {answer:?}");
    }
    // The good one above was not finished.
    let count = f64::from(u32::try_from(bad.len()).unwrap()) + 1.0;
    server.wait_for_metric("http_connection_errors_total", &[("kind", "tls")], count);
    assert_eq!(server.metrics().sum("http_requests_total", &[("route", "/health")]).to_string(), "0");
}

/// What the client hears of its certificate, by the handshake or by its first read.
fn refused(server: &Server, pki: &Pki, version: Version, identity: Option<&Leaf>) -> String {
    let tried = Runtime::new().unwrap().block_on(async {
        let mut stream = connect(server.http, config(pki, version, identity)).await?;
        stream.write_all(&Request::get("/health").bytes()).await?;
        stream.read(&mut [0]).await
    });
    tried.expect_err("nothing is answered").to_string()
}

#[test]
fn f2_clients_need_a_certificate_of_the_authority_that_is_valid() {
    let (pki, stranger) = (Pki::new(), Pki::new());
    let server = pki.on_both_sides(super::builder()).start();
    let (valid, expired, other) = (pki.issue(ENDS), pki.issue(GONE), stranger.issue(ENDS));
    for version in VERSIONS {
        for (identity, alerts) in [
            (None, ["CertificateRequired", "HandshakeFailure"]),
            (Some(&expired), ["CertificateExpired"; 2]),
            (Some(&other), ["UnknownCA"; 2]),
        ] {
            let heard = refused(&server, &pki, version, identity);
            assert!(alerts.iter().any(|alert| heard.contains(alert)), "{version:?} {alerts:?}: {heard}");
        }
        let answer = Runtime::new().unwrap().block_on(async {
            let stream = connect(server.http, config(&pki, version, Some(&valid))).await.unwrap();
            Http1::new(stream).await.post("/predict/add-one", &json!([1, 2, 3])).await.unwrap()
        });
        assert_eq!(answer["y"], json!([2.0, 3.0, 4.0]));
    }
    server.wait_for_metric("http_connection_errors_total", &[("kind", "tls")], 6.0);
    assert_eq!(server.metrics().sum("http_requests_total", &[("route", "/health")]).to_string(), "0");
}

#[test]
fn c8_stalled_handshakes_are_closed_and_others_served_meanwhile() {
    let pki = Pki::new();
    let server = pki.on(super::builder()).env("ML_INFERENCE_HTTP__HEADER_TIMEOUT", "3s").start();
    let stalled: Vec<_> = (0..20)
        .map(|n| {
            let mut stream = TcpStream::connect(server.http).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let hello = hello(0x0303, &GOOD, &server_name(b"localhost"));
            // Nothing, a byte, a part of a record, and a whole hello without what should follow.
            stream.write_all(&hello[..[0, 1, hello.len() / 2, hello.len()][n % 4]]).unwrap();
            stream
        })
        .collect();
    Runtime::new().unwrap().block_on(async {
        let mut http = Http1::new(open(&pki, server.http).await).await;
        let answer = http.post("/predict/add-one", &json!([1, 2, 3])).await.unwrap();
        assert_eq!(answer["y"], json!([2.0, 3.0, 4.0]));
    });
    for mut stream in stalled {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(!answer.windows(4).any(|window| window == b"HTTP"), "{answer:?}");
    }
    server.wait_for_metric("http_connection_errors_total", &[("kind", "tls")], 20.0);
}
