//! NVIDIA's devices as their management library, NVML, sees them: what they are, how busy, what fails.
//!
//! A leaf: `telemetry/` samples it, `cli/` and `service/` ask for the driver. The library belongs to the
//! driver and is opened at run time, so that the same binary runs where there is none. What a device
//! doesn't tell is `None`, never a made-up zero. Nothing here reads the environment: the caller hands
//! over what CUDA would read.

mod device;
mod driver;
mod events;
mod reading;
mod visible;

pub use device::{Device, DeviceError};
pub use driver::{Driver, DriverError, driver};
pub use events::{Events, Xid};
pub use reading::{Reading, Throttled};
pub use visible::Visible;

#[cfg(test)]
mod tests;
