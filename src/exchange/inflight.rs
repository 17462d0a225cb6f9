//! Bytes of request bodies held right now, bounded over all requests: what has come, never what a
//! Content-Length claims.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::service::{ErrorCode, ServiceError};

/// The shared count and its bound.
#[derive(Clone, Debug)]
pub struct InflightBytes {
    held: Arc<AtomicU64>,
    limit: u64,
}

/// Bytes that one request holds; given back when it is dropped.
#[derive(Debug)]
pub struct HeldBytes {
    held: Arc<AtomicU64>,
    limit: u64,
    bytes: u64,
}

impl InflightBytes {
    /// At most `limit` bytes over all requests.
    pub fn new(limit: u64) -> Self {
        Self { held: Arc::default(), limit }
    }

    /// A request that holds nothing yet.
    pub fn hold(&self) -> HeldBytes {
        HeldBytes { held: Arc::clone(&self.held), limit: self.limit, bytes: 0 }
    }
}

impl HeldBytes {
    /// Holds `bytes` more.
    ///
    /// # Errors
    /// `overloaded` when that would pass the bound.
    pub fn hold_more(&mut self, bytes: u64) -> Result<(), ServiceError> {
        if self.try_add(bytes) {
            return Ok(());
        }
        Err(ServiceError::new(ErrorCode::Overloaded, "too many bytes of bodies are held"))
    }

    /// Takes `bytes` more; false when that would pass the bound.
    pub fn try_add(&mut self, bytes: u64) -> bool {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.limit {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_over_all_and_is_given_back() {
        let inflight = InflightBytes::new(10);
        let mut one = inflight.hold();
        let mut two = inflight.hold();
        assert!(one.try_add(6));
        assert!(!two.try_add(5));
        assert!(two.try_add(4));
        drop(one);
        assert!(two.try_add(6));
        drop(two);
        assert_eq!(inflight.held.load(Ordering::Relaxed), 0);
    }
}
