//! Hostile bytes on a raw socket. Each test is named after its case in `docs/robustness.md`, and ends
//! with the invariants that hold after every case.

mod attacks;
mod crowds;
mod floods;
mod framing;
mod slow;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::harness::ledger::{HeaderEnds, Ledger};
use crate::harness::server::Builder;
use crate::harness::wait::PATIENCE;
use crate::harness::{Repository, Server};

/// A server with one small model.
fn builder() -> Builder {
    Server::builder().repository(Repository::new().fixture("add-one"))
}

/// A socket, and nothing that understands HTTP.
struct Raw(TcpStream, Arc<Ledger>, HeaderEnds);

impl Raw {
    #[track_caller]
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(stream, Ledger::of(address), HeaderEnds::default())
    }

    /// The same socket once more, to be written while it is read.
    fn second(&self) -> Self {
        Self(self.0.try_clone().unwrap(), Arc::clone(&self.1), HeaderEnds::default())
    }

    /// Sends bytes as far as the other side takes them.
    fn send(&mut self, bytes: &[u8]) {
        self.1.begin(self.2.count(bytes));
        drop(self.0.write_all(bytes));
    }

    /// One byte at a time, until the other side takes no more.
    fn send_slowly(&mut self, bytes: &[u8]) {
        self.1.begin(self.2.count(bytes));
        for byte in bytes {
            if self.0.write_all(&[*byte]).is_err() {
                break;
            }
        }
    }

    /// All that comes until the other side closes or resets.
    #[track_caller]
    fn rest(&mut self) -> String {
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut bytes = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut bytes) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "still open");
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Up to `most` bytes that come within `limit`; none means the end.
    fn read_within(&mut self, limit: Duration, most: usize) -> Option<Vec<u8>> {
        self.0.set_read_timeout(Some(limit)).unwrap();
        let mut bytes = vec![0; most];
        match self.0.read(&mut bytes) {
            Ok(0) => None,
            Ok(count) => Some(bytes[..count].to_vec()),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => Some(Vec::new()),
            Err(_) => None,
        }
    }
}

/// The statuses of the answers in what came.
fn statuses(text: &str) -> Vec<u16> {
    text.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect()
}
