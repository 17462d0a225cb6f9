//! The devices of NVIDIA's driver, for the sampling thread.

use std::time::Duration;

use super::{Devices, Facts};
use crate::gpu::{self, Device, Events, Reading, Visible};

/// The devices of NVIDIA's driver.
pub(super) struct Nvidia {
    visible: Visible,
    opened: Vec<(usize, Device)>,
    events: Option<Events>,
}

impl Nvidia {
    /// None yet; the driver is not asked before the first is opened.
    pub(super) fn new(visible: Visible) -> Self {
        Self { visible, opened: Vec::new(), events: None }
    }

    fn device(&self, index: usize) -> Option<&Device> {
        self.opened.iter().find(|(known, _)| *known == index).map(|(_, device)| device)
    }
}

impl Devices for Nvidia {
    fn open(&mut self, index: usize) -> Result<Facts, String> {
        let device = Device::of_cuda(index, &self.visible).map_err(|error| error.to_string())?;
        let driver = gpu::driver().map_err(|error| error.to_string())?;
        let facts = Facts { uuid: device.uuid().to_owned(), name: device.name().to_owned(), driver };
        self.opened.push((index, device));
        // A set is for good: one more device needs another set.
        let all: Vec<&Device> = self.opened.iter().map(|(_, device)| device).collect();
        self.events = Events::of(&all);
        Ok(facts)
    }

    fn reports(&self, index: usize) -> bool {
        let device = self.device(index);
        self.events.as_ref().zip(device).is_some_and(|(events, device)| events.has(device))
    }

    fn read(&self, index: usize) -> Reading {
        self.device(index).map(Device::read).unwrap_or_default()
    }

    fn xid(&mut self, timeout: Duration) -> Option<(Vec<usize>, u64)> {
        let xid = self.events.as_ref()?.wait(timeout)?;
        let hit = self.opened.iter().filter(|(_, device)| xid.hits(device)).map(|(index, _)| *index);
        Some((hit.collect(), xid.number))
    }
}
