//! What the driver reports of devices by itself: critical errors, each with a number (Xid).

use std::time::Duration;

use nvml_wrapper::EventSet;
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enums::event::XidError;

use super::device::Device;
use super::driver::nvml;

/// NVML's number for an error that it can't tell.
const UNTOLD: u64 = 999;

/// Critical errors of some devices, to be waited for by one thread.
#[derive(Debug)]
pub struct Events {
    set: EventSet<'static>,
    /// The UUIDs of the whole GPUs that are listened to.
    listened: Vec<String>,
}

/// A critical error of a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xid {
    /// Its number in NVIDIA's list; 999 where the driver does not know it.
    pub number: u64,
    /// The UUID of the whole GPU; `None` where the GPU can't say it any more.
    pub gpu: Option<String>,
}

impl Events {
    /// Listens to those of `devices` that report errors; `None` where none does. A slice's errors are
    /// those of its whole GPU.
    pub fn of(devices: &[&Device]) -> Option<Self> {
        let reports = |device: &&Device| {
            let types = device.whole().supported_event_types();
            types.is_ok_and(|types| types.contains(EventTypes::CRITICAL_XID_ERROR))
        };
        let mut able: Vec<&Device> = devices.iter().copied().filter(reports).collect();
        while !able.is_empty() {
            match listen(&able) {
                Ok(events) => return Some(events),
                Err(None) => return None,
                // The set went with the registration that failed.
                Err(Some(failed)) => drop(able.swap_remove(failed)),
            }
        }
        None
    }

    /// Whether errors of this device are heard.
    pub fn has(&self, device: &Device) -> bool {
        self.listened.iter().any(|uuid| uuid == device.whole_uuid())
    }

    /// Waits for the next error, at most `timeout`. Can come back earlier with none: when the system
    /// interrupts, or when the driver fails.
    pub fn wait(&self, timeout: Duration) -> Option<Xid> {
        let timeout = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        let event = self.set.wait(timeout).ok()?;
        let number = match event.event_data? {
            XidError::Value(number) => number,
            XidError::Unknown => UNTOLD,
        };
        Some(Xid { number, gpu: event.device.uuid().ok() })
    }
}

impl Xid {
    /// Whether this device may be hit: it is the GPU or a slice of it, or the GPU can't be told.
    pub fn hits(&self, device: &Device) -> bool {
        self.gpu.as_ref().is_none_or(|gpu| gpu == device.whole_uuid())
    }
}

/// The events of all of `devices`; else the place of the one that refused, if it was one of them.
fn listen(devices: &[&Device]) -> Result<Events, Option<usize>> {
    let mut set =
        nvml().map_err(drop).and_then(|nvml| nvml.create_event_set().map_err(drop)).map_err(|()| None)?;
    for (place, device) in devices.iter().enumerate() {
        set = device.whole().register_events(EventTypes::CRITICAL_XID_ERROR, set).map_err(|_| Some(place))?;
    }
    let listened = devices.iter().map(|device| device.whole_uuid().to_owned()).collect();
    Ok(Events { set, listened })
}
