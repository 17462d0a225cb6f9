//! A GPU's metrics, as the sampling thread writes them.
//!
//! Invariant: a scrape never asks the driver, and what a device doesn't tell, or doesn't tell any more, is
//! absent: an old value would look like a good one.

use std::sync::Arc;

use prometheus::Gauge;
use prometheus::core::{Atomic, GenericCounter};

use super::catalogue::Catalogue;
use super::family::Family;
use crate::gpu::{Driver, Reading, Throttled};

/// Handles of everything measured of one GPU.
#[derive(Clone, Debug)]
pub struct GpuMetrics {
    catalogue: Arc<Catalogue>,
    device: String,
}

impl GpuMetrics {
    pub(super) fn new(catalogue: &Arc<Catalogue>, device: &str) -> Self {
        Self { catalogue: Arc::clone(catalogue), device: device.to_owned() }
    }

    /// The device is there: its UUID, what it is, and its driver.
    pub fn found(&self, uuid: &str, name: &str, driver: &Driver) {
        let (major, minor) = driver.cuda;
        let cuda = format!("{major}.{minor}");
        let labels = [self.device.as_str(), uuid, name, &driver.version, &cuda];
        self.catalogue.gpu_info.with_label_values(&labels).set(1);
    }

    /// What the device tells now.
    pub fn record(&self, reading: &Reading) {
        let c = &*self.catalogue;
        #[expect(clippy::cast_precision_loss, reason = "gauges are floats in this format")]
        let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
        let gauges = [
            (&c.gpu_utilization, reading.utilization),
            (&c.gpu_memory_utilization, reading.memory_utilization),
            (&c.gpu_memory_used, bytes(reading.memory_used)),
            (&c.gpu_memory_total, bytes(reading.memory_total)),
            (&c.gpu_process_memory, bytes(reading.memory_of_process)),
            (&c.gpu_power, reading.power),
            (&c.gpu_power_limit, reading.power_limit),
            (&c.gpu_temperature, reading.temperature),
            (&c.gpu_sm_clock, reading.sm_clock),
        ];
        for (family, value) in gauges {
            self.set(family, value);
        }
        self.throttled(reading.throttled);
        let device = &[self.device.as_str()];
        match reading.energy {
            Some(joules) => raise(&c.gpu_energy.with_label_values(device), joules),
            None => c.gpu_energy.remove(device),
        }
        match reading.ecc_errors {
            Some(errors) => raise(&c.gpu_ecc_errors.with_label_values(device), errors),
            None => c.gpu_ecc_errors.remove(device),
        }
    }

    /// The driver reported so many critical errors; none at first, so that the first one is seen by `rate`.
    pub fn xid_errors(&self, count: u64) {
        self.catalogue.gpu_xid_errors.with_label_values(&[&self.device]).inc_by(count);
    }

    fn set(&self, family: &Family<Gauge>, value: Option<f64>) {
        match value {
            Some(value) => family.with_label_values(&[&self.device]).set(value),
            None => family.remove(&[&self.device]),
        }
    }

    fn throttled(&self, throttled: Option<Throttled>) {
        let family = &self.catalogue.gpu_throttled;
        let Throttled { power, thermal, other } = throttled.unwrap_or_default();
        for (reason, is_set) in [("power", power), ("thermal", thermal), ("other", other)] {
            let labels = [self.device.as_str(), reason];
            if throttled.is_some() {
                family.with_label_values(&labels).set(i64::from(is_set));
            } else {
                family.remove(&labels);
            }
        }
    }
}

/// Brings a counter to where the driver's own stands. That begins anew when the driver is loaded.
fn raise<P: Atomic>(counter: &GenericCounter<P>, now: P::T) {
    if now < counter.get() {
        counter.reset();
    }
    let mut more = now;
    more -= counter.get();
    counter.inc_by(more);
}
