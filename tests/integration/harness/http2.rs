//! HTTP/2 frame by frame, for what no well-behaved client sends.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::ledger::Ledger;
use super::wait::PATIENCE;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A frame as it stands on the wire.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The header of a POST to a short path; its body is to follow unless `flags` end the stream.
pub(crate) fn post(stream: u32, path: &str, flags: u8) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap();
    let mut block = vec![0x83, 0x86, 0x01, 1, b'a', 0x04, length];
    block.extend(path.bytes());
    frame(HEADERS, flags | END_HEADERS, stream, &block)
}

/// RST_STREAM with CANCEL.
pub(crate) fn cancel(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])
}

/// A connection whose preface and settings are sent.
pub(crate) struct Frames(TcpStream);

impl Frames {
    pub(crate) fn open(address: SocketAddr) -> Self {
        // Which of its frames become requests is for the test to know.
        Ledger::of(address).has_strangers();
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
        Self(stream)
    }

    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)
    }

    /// The next frame: kind, flags and payload.
    pub(crate) fn read(&mut self) -> std::io::Result<(u8, u8, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload)?;
        Ok((head[3], head[4], payload))
    }

    /// Sends all pieces as fast as they are taken, while it reads; returns whether the peer ended the
    /// connection for it, by GOAWAY or by closing.
    pub(crate) fn flood(mut self, pieces: impl Iterator<Item = Vec<u8>>) -> bool {
        let mut reader = Self(self.0.try_clone().unwrap());
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let is_told = loop {
                    match reader.read() {
                        Ok((GOAWAY, ..)) => break true,
                        Ok(_) => {}
                        Err(error) => {
                            break !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                        }
                    }
                };
                is_over.store(true, Ordering::Relaxed);
                is_told
            });
            for piece in pieces {
                if is_over.load(Ordering::Relaxed) || self.try_write(&piece).is_err() {
                    break;
                }
            }
            // Where all of it was taken, this ends the wait for more.
            reading.join().unwrap()
        })
    }
}
