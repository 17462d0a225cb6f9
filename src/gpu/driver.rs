//! The driver: its library opened once a process, and why it can't be had, in sentences.

use std::ffi::OsStr;
use std::sync::{Mutex, OnceLock, PoisonError};

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use thiserror::Error;

/// Part of every driver. Containers get it from the host.
const LIBRARY: &str = "libnvidia-ml.so.1";

/// NVIDIA's driver on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// Its version, such as `580.95.05`.
    pub version: String,
    /// Major and minor version of the newest CUDA that it runs.
    pub cuda: (u32, u32),
    /// GPUs that it shows to this process, whole ones.
    pub devices: usize,
}

/// Why the driver can't be asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DriverError {
    /// The library can't be opened.
    #[error(
        "libnvidia-ml.so.1 was not found: there is no NVIDIA driver in this machine or container; a \
         container must be started with NVIDIA's runtime (the loader said: {0})"
    )]
    LibraryNotFound(String),
    /// The library doesn't reach the kernel module.
    #[error(
        "the NVIDIA driver is not loaded: libnvidia-ml.so.1 is there but does not reach the kernel \
         module; load it, or give the container its devices by NVIDIA's runtime"
    )]
    NotLoaded,
    /// The library is not the kernel module's.
    #[error(
        "libnvidia-ml.so.1 and the NVIDIA kernel module are of different versions: the driver was \
         updated without a restart of the machine, or the container brings a library of its own"
    )]
    Mismatch,
    /// The device files are closed to this user.
    #[error("no permission to talk to the NVIDIA driver: this user may not open /dev/nvidiactl")]
    NoPermission,
    /// The driver is there without CUDA.
    #[error(
        "the NVIDIA driver is there without libcuda.so.1: the container was started without the driver \
         capability `compute` (NVIDIA_DRIVER_CAPABILITIES)"
    )]
    CudaNotFound,
    /// Anything else, in NVML's words.
    #[error("the NVIDIA driver does not answer: {0}")]
    Other(String),
}

impl From<NvmlError> for DriverError {
    fn from(error: NvmlError) -> Self {
        match error {
            NvmlError::LibloadingError(cause) => Self::LibraryNotFound(cause.to_string()),
            NvmlError::DriverNotLoaded => Self::NotLoaded,
            NvmlError::LibRmVersionMismatch => Self::Mismatch,
            NvmlError::NoPermission => Self::NoPermission,
            other => Self::Other(other.to_string()),
        }
    }
}

/// What the driver is. Opens the library when it is first asked for, which can take a second.
///
/// # Errors
///
/// When the library can't be opened or the driver doesn't answer. The next call tries again.
pub fn driver() -> Result<Driver, DriverError> {
    let nvml = nvml()?;
    let cuda = nvml.sys_cuda_driver_version().map_err(|error| match error {
        // This one function opens CUDA's own library.
        NvmlError::LibraryNotFound | NvmlError::FunctionNotFound => DriverError::CudaNotFound,
        other => other.into(),
    })?;
    let cuda = u32::try_from(cuda).unwrap_or_default();
    Ok(Driver {
        version: nvml.sys_driver_version()?,
        cuda: (cuda / 1000, cuda % 1000 / 10),
        devices: nvml.device_count()?.try_into().unwrap_or(usize::MAX),
    })
}

/// The library, initialised and never closed: NVML counts its users, and handles live as long as this.
pub(super) fn nvml() -> Result<&'static Nvml, DriverError> {
    static NVML: OnceLock<Nvml> = OnceLock::new();
    static OPENING: Mutex<()> = Mutex::new(());
    if let Some(known) = NVML.get() {
        return Ok(known);
    }
    let _one_at_a_time = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = NVML.get() {
        return Ok(known);
    }
    let opened = open(OsStr::new(LIBRARY))?;
    Ok(NVML.get_or_init(|| opened))
}

/// The library at `path`, or found by the loader under that name.
pub(super) fn open(path: &OsStr) -> Result<Nvml, DriverError> {
    Ok(Nvml::builder().lib_path(path).init()?)
}
