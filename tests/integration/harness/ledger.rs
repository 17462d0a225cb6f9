//! What the tests' clients sent to each server, held against what the server counted.
//!
//! A client notes a request before it sends it, and its answer once that begins. A server must have counted every
//! request that was answered, and none that nobody sent; of those without an answer (the client left, the
//! connection was cut) it may have seen the header or not. What is refused before it reaches a route has no
//! `x-request-id` in its answer, and is not counted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// By the addresses of the servers that run.
static LEDGERS: Mutex<BTreeMap<SocketAddr, Arc<Ledger>>> = Mutex::new(BTreeMap::new());

/// What was sent to one server.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    begun: AtomicU64,
    answered: AtomicU64,
    has_strangers: AtomicBool,
}

impl Ledger {
    /// From now on what goes to `addresses` is noted here.
    pub(crate) fn register(self: &Arc<Self>, addresses: &[SocketAddr]) {
        let mut ledgers = LEDGERS.lock().unwrap_or_else(PoisonError::into_inner);
        ledgers.extend(addresses.iter().map(|&address| (address, Arc::clone(self))));
    }

    /// That of the server at `address`; one that nobody reads where there is none.
    pub(crate) fn of(address: SocketAddr) -> Arc<Self> {
        let ledgers = LEDGERS.lock().unwrap_or_else(PoisonError::into_inner);
        ledgers.get(&address).cloned().unwrap_or_default()
    }

    /// Requests are about to be sent.
    pub(crate) fn begin(&self, requests: u64) {
        self.begun.fetch_add(requests, Ordering::SeqCst);
    }

    /// Requests that were sent reached no route.
    pub(crate) fn take_back(&self, requests: u64) {
        self.begun.fetch_sub(requests, Ordering::SeqCst);
    }

    /// A route's answer came.
    pub(crate) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::SeqCst);
    }

    /// Clients that note nothing here send requests too: then there are more than were noted.
    pub(crate) fn has_strangers(&self) {
        self.has_strangers.store(true, Ordering::SeqCst);
    }

    /// At least so many requests must have been counted.
    pub(crate) fn least(&self) -> u64 {
        self.answered.load(Ordering::SeqCst)
    }

    /// No more than so many may have been.
    pub(crate) fn most(&self) -> u64 {
        if self.has_strangers.load(Ordering::SeqCst) { u64::MAX } else { self.begun.load(Ordering::SeqCst) }
    }
}

/// Counts the ends of headers in bytes that are sent piece by piece: there are no more requests than these.
#[derive(Debug, Default)]
pub(crate) struct HeaderEnds {
    /// Bytes of the mark that have come.
    matched: usize,
}

impl HeaderEnds {
    pub(crate) fn count(&mut self, bytes: &[u8]) -> u64 {
        const MARK: &[u8; 4] = b"\r\n\r\n";
        let mut ends = 0;
        for &byte in bytes {
            self.matched = match (byte == MARK[self.matched], byte) {
                (true, _) => self.matched + 1,
                (false, b'\r') => 1,
                (false, _) => 0,
            };
            if self.matched == MARK.len() {
                (ends, self.matched) = (ends + 1, 0);
            }
        }
        ends
    }
}
