//! One metric as OTLP, until all of them are written.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Metrics;
use crate::telemetry::otlp::{ITEM, wire};

impl Metrics {
    /// Metrics as fields of their scope, and the number of data points.
    pub(in crate::telemetry) fn otlp_items(&self) -> (Vec<u8>, u64) {
        self.process.refresh(&self.catalogue);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let mut items = Vec::new();
        wire::message(&mut items, ITEM, |metric| {
            wire::bytes(metric, 1, b"process_start_time_seconds");
            wire::message(metric, 5, |gauge| {
                wire::message(gauge, 1, |point| {
                    wire::fixed64(point, 3, u64::try_from(now).unwrap_or(u64::MAX));
                    wire::double(point, 4, self.catalogue.process_start.get());
                });
            });
        });
        (items, 1)
    }
}
