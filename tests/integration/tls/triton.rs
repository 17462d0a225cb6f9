//! Triton's own client over TLS.

use super::builder;
use super::pki::Pki;
use crate::clients::{triton, triton_grpc};

#[test]
fn tritons_client_infers_over_tls() {
    let pki = Pki::new();
    let server = pki.on(builder()).start();
    server.expects_strangers();
    let address = format!("localhost:{}", server.http.port());
    triton("Tls", &address, Some(&pki.path("ca.pem")));
    for port in [server.http.port(), server.grpc.port()] {
        triton_grpc("Tls", &format!("localhost:{port}"), Some(&pki.path("ca.pem")));
    }
}
