//! Ports of this machine that are free right now, for what must be told its address beforehand.

use std::net::{SocketAddr, TcpListener};

/// `count` different free addresses.
pub(crate) fn free(count: usize) -> Vec<SocketAddr> {
    let bound: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    bound.iter().map(|listener| listener.local_addr().unwrap()).collect()
}
