//! What holds after every hostile case, whatever it was: nothing is left in flight or in a queue, every
//! request is counted once, no label tells what a client wrote, memory is what it was.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::metrics::Metrics;
use super::server::{Server, in_flight};
use super::wait;

/// How much resident memory a case may add: buffers that the allocator keeps, not what was sent.
const GROWTH_BYTES: f64 = 64.0 * 1024.0 * 1024.0;
/// How long the server may take to settle, on a busy machine.
const SETTLING: Duration = Duration::from_secs(20);
/// How long a probe may take right after a case, on a busy machine.
const PROBE: Duration = Duration::from_secs(5);

const METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "_OTHER"];

/// A server's state before a case.
pub(crate) struct Invariants<'a> {
    server: &'a Server,
    before: Metrics,
    scrapes: u32,
}

impl<'a> Invariants<'a> {
    #[track_caller]
    pub(crate) fn before(server: &'a Server) -> Self {
        // The series of the probe and of the scrapes are no growth.
        assert_eq!(server.get("/health").status, 200);
        server.wait_for_no_request_in_flight();
        let before = server.metrics();
        Self { server, before, scrapes: server.scrapes() }
    }

    /// Demands them, where the case sent so many requests that reached a route.
    #[track_caller]
    pub(crate) fn hold(&self, sent: u32) {
        self.hold_between(sent..=sent);
    }

    /// Demands them, where chance decided how many of the requests reached a route.
    #[track_caller]
    pub(crate) fn hold_between(&self, sent: RangeInclusive<u32>) {
        let begun = Instant::now();
        assert_eq!(self.server.get("/health").status, 200);
        assert!(begun.elapsed() < PROBE, "a probe took {:?}", begun.elapsed());
        let mut unsettled = String::new();
        let settled = wait::at_most(SETTLING, || {
            let after = self.server.metrics();
            unsettled = self.unsettled(&after, &sent);
            unsettled.is_empty().then_some(after)
        });
        let after = settled.unwrap_or_else(|| panic!("{unsettled}"));
        let grown = memory(&after) - memory(&self.before);
        assert!(grown < GROWTH_BYTES, "{grown} bytes more are resident");
        self.assert_labels_are_known(&after);
    }

    fn unsettled(&self, after: &Metrics, sent: &RangeInclusive<u32>) -> String {
        let left = in_flight(after)
            + after.sum("inference_in_flight", &[])
            + after.sum("inference_queue_depth", &[]);
        if left > 0.5 {
            return format!("{left} requests are still in flight or queued");
        }
        // A scrape is counted once it is answered, so the last one is not yet; the probe is.
        let own = f64::from(self.server.scrapes() - self.scrapes) + 1.0;
        for name in ["http_requests_total", "http_request_duration_seconds_count"] {
            let counted = after.sum(name, &[]) - self.before.sum(name, &[]) - own;
            if counted < f64::from(*sent.start()) - 0.5 || counted > f64::from(*sent.end()) + 0.5 {
                return format!("{name}: {counted} instead of {sent:?}");
            }
        }
        String::new()
    }

    #[track_caller]
    fn assert_labels_are_known(&self, after: &Metrics) {
        let known: BTreeSet<_> = self.before.samples.iter().map(|sample| &sample.labels).collect();
        for sample in after.samples.iter().filter(|sample| !known.contains(&sample.labels)) {
            for (label, value) in &sample.labels {
                let is_known = match label.as_str() {
                    "status" => value.len() == 3 && value.bytes().all(|byte| byte.is_ascii_digit()),
                    "method" => METHODS.contains(&value.as_str()),
                    "model" | "version" | "route" => {
                        ["_unknown", "unmatched"].contains(&value.as_str()) || self.has(label, value)
                    }
                    // Words of closed tables and bounds of buckets.
                    _ => value.len() <= 32 && !value.contains(['/', ' ', '%']),
                };
                assert!(is_known, "{label}=\"{value}\" of {} is new", sample.name);
            }
        }
    }

    fn has(&self, label: &str, value: &str) -> bool {
        self.before.samples.iter().any(|sample| sample.labels.get(label).is_some_and(|known| known == value))
    }
}

fn memory(metrics: &Metrics) -> f64 {
    metrics.sum("process_resident_memory_bytes", &[])
}
