//! One device: found by CUDA's number, named, read.

use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use thiserror::Error;

use super::driver::{DriverError, nvml};
use super::reading::{Reading, Throttled};
use super::visible::{Hidden, Listed, Place, Visible};

/// NVML's handle; the library stays open as long as the process.
pub(super) type Handle = nvml_wrapper::Device<'static>;

/// A GPU, or a slice of one (MIG), that CUDA shows to this process.
#[derive(Debug)]
pub struct Device {
    handle: Handle,
    /// The whole GPU of a slice.
    parent: Option<Handle>,
    uuid: String,
    /// That of the whole GPU.
    whole_uuid: String,
    name: String,
}

/// Why a device can't be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// There is no driver to ask.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// CUDA does not show it.
    #[error(
        "there is no device cuda:{index}: the driver has {devices} and CUDA_VISIBLE_DEVICES is {visible}"
    )]
    Absent {
        /// CUDA's number.
        index: usize,
        /// GPUs of the driver.
        devices: usize,
        /// The variable.
        visible: String,
    },
    /// CUDA orders different GPUs by a rule of its own.
    #[error(
        "which GPU is cuda:{0} can't be told: this machine has different ones, which CUDA numbers by their \
         speed; set CUDA_DEVICE_ORDER=PCI_BUS_ID, or name them in CUDA_VISIBLE_DEVICES by their UUIDs"
    )]
    Unordered(usize),
    /// It is there and does not answer.
    #[error("device cuda:{index} does not answer: {said}")]
    Failed {
        /// CUDA's number.
        index: usize,
        /// In NVML's words.
        said: String,
    },
}

impl Device {
    /// The device that CUDA calls `cuda:INDEX` in this process; `visible` is what CUDA was told in the
    /// environment.
    ///
    /// # Errors
    ///
    /// When the driver can't be asked, has no such device, or can't tell which one it is.
    pub fn of_cuda(index: usize, visible: &Visible) -> Result<Self, DeviceError> {
        let nvml = nvml()?;
        let failed = |error: NvmlError| DeviceError::Failed { index, said: error.to_string() };
        let count = nvml.device_count().map_err(failed)?;
        // GPUs that this process may not open are not CUDA's either.
        let gpus = (0..count).filter_map(|place| {
            let gpu = nvml.device_by_index(place).ok()?;
            let listed = Listed { uuid: gpu.uuid().ok()?, name: gpu.name().ok()? };
            Some((gpu, listed))
        });
        let (mut gpus, listed): (Vec<Handle>, Vec<Listed>) = gpus.unzip();
        let (handle, parent) = match visible.place(index, &listed) {
            Ok(Place::Gpu(place)) => {
                let gpu = gpus.swap_remove(place);
                first_slice(&gpu).map_or_else(|| (gpu, None), |slice| (slice.0, Some(slice.1)))
            }
            Ok(Place::Slice(uuid)) => {
                let slice = nvml.device_by_uuid(uuid).map_err(failed)?;
                let parent = slice.mig_parent_device().map_err(failed)?;
                (slice, Some(parent))
            }
            Err(Hidden::Unordered) => return Err(DeviceError::Unordered(index)),
            Err(Hidden::Absent) => {
                let visible =
                    visible.devices.as_ref().map_or("not set".to_owned(), |text| format!("{text:?}"));
                return Err(DeviceError::Absent { index, devices: listed.len(), visible });
            }
        };
        let uuid = handle.uuid().map_err(failed)?;
        let name = handle.name().map_err(failed)?;
        let whole_uuid = parent.as_ref().map_or_else(|| Ok(uuid.clone()), Handle::uuid).map_err(failed)?;
        Ok(Self { handle, parent, uuid, whole_uuid, name })
    }

    /// Its UUID, such as `GPU-5a5e...` or `MIG-...`.
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// What it is, such as `NVIDIA H200`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a part of a GPU (MIG).
    pub fn is_slice(&self) -> bool {
        self.parent.is_some()
    }

    /// The whole GPU: a slice has no events of its own.
    pub(super) fn whole(&self) -> &Handle {
        self.parent.as_ref().unwrap_or(&self.handle)
    }

    /// That GPU's UUID, kept: a GPU that is lost doesn't tell it any more.
    pub(super) fn whole_uuid(&self) -> &str {
        &self.whole_uuid
    }

    /// What it tells now. Asks the driver, which can take some milliseconds.
    pub fn read(&self) -> Reading {
        let handle = &self.handle;
        let memory = handle.memory_info().ok();
        let utilization = handle.utilization_rates().ok();
        let milli = |value: u32| f64::from(value) / 1000.0;
        Reading {
            memory_used: memory.as_ref().map(|memory| memory.used),
            memory_total: memory.as_ref().map(|memory| memory.total),
            memory_of_process: self.memory_of(std::process::id()),
            utilization: utilization.as_ref().map(|percent| f64::from(percent.gpu) / 100.0),
            memory_utilization: utilization.as_ref().map(|percent| f64::from(percent.memory) / 100.0),
            power: handle.power_usage().ok().map(milli),
            power_limit: handle.enforced_power_limit().ok().map(milli),
            temperature: handle.temperature(TemperatureSensor::Gpu).ok().map(f64::from),
            sm_clock: handle.clock_info(Clock::SM).ok().map(|mega| f64::from(mega) * 1e6),
            energy: handle.total_energy_consumption().ok().map(joules),
            throttled: handle.current_throttle_reasons().ok().map(Throttled::from),
            ecc_errors: handle.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile).ok(),
        }
    }

    fn memory_of(&self, process: u32) -> Option<u64> {
        let processes = self.handle.running_compute_processes().ok()?;
        let own = processes.iter().filter(|listed| listed.pid == process);
        let used = own.filter_map(|listed| match listed.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        });
        used.reduce(u64::saturating_add)
    }
}

/// Of a GPU that is cut into slices, CUDA takes the first that it may use; with it comes the whole GPU.
fn first_slice(gpu: &Handle) -> Option<(Handle, Handle)> {
    let is_cut = gpu.mig_mode().is_ok_and(|mode| mode.current == 1);
    let count = if is_cut { gpu.mig_device_count().ok()? } else { 0 };
    let slice = (0..count).find_map(|place| gpu.mig_device_by_index(place).ok())?;
    let whole = slice.mig_parent_device().ok()?;
    Some((slice, whole))
}

fn joules(milli: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 millijoules: 285 years at 1 kW")]
    let milli = milli as f64;
    milli / 1000.0
}
