//! The loader against NVIDIA's own library, on machines with and without a driver.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::driver::open;
use super::*;

/// The real library, which `make test` fetches.
#[expect(clippy::disallowed_methods, reason = "tests stand where `config` stands in the program")]
fn library() -> PathBuf {
    const NAME: &str = "INFERENCE_TEST_NVML";
    let Some(value) = std::env::var_os(NAME).filter(|value| !value.is_empty()) else {
        panic!("{NAME} is not set: run `make test`, which fetches what the tests need and sets it");
    };
    let path = PathBuf::from(value);
    assert!(path.exists(), "{NAME} names {}, which does not exist: run `make test`", path.display());
    path
}

#[test]
fn the_real_library_without_a_kernel_module_says_so() {
    let opened = open(library().as_os_str());
    if Path::new("/proc/driver/nvidia/version").exists() {
        // With a module of another version than the library's.
        assert!(matches!(opened, Ok(_) | Err(DriverError::Mismatch)), "{opened:?}");
        return;
    }
    let error = opened.map(drop).unwrap_err();
    assert_eq!(error, DriverError::NotLoaded);
    assert!(error.to_string().starts_with("the NVIDIA driver is not loaded: "), "{error}");
}

#[test]
fn without_the_library_the_container_runtime_is_named() {
    let error = open(OsStr::new("/nowhere/libnvidia-ml.so.1")).map(drop).unwrap_err();
    assert!(matches!(error, DriverError::LibraryNotFound(_)), "{error:?}");
    let text = error.to_string();
    let begins = "libnvidia-ml.so.1 was not found: there is no NVIDIA driver in this machine or container; a \
                  container must be started with NVIDIA's runtime (the loader said: ";
    assert!(text.starts_with(begins), "{text}");
    assert!(text.contains("/nowhere/libnvidia-ml.so.1: cannot open shared object file"), "{text}");
}

#[test]
fn a_library_that_is_not_nvml_is_no_driver() {
    let error = open(OsStr::new("libc.so.6")).map(drop).unwrap_err();
    assert!(matches!(&error, DriverError::Other(said) if said.contains("nvmlInit_v2")), "{error:?}");
}

#[test]
fn a_device_needs_a_driver() {
    match driver() {
        // Which error is chance here: while another test has the library open, its name is known.
        Err(_) => {
            let error = Device::of_cuda(0, &Visible::default()).map(drop).unwrap_err();
            assert!(matches!(error, DeviceError::Driver(_)), "{error:?}");
        }
        Ok(driver) => {
            assert!(driver.cuda >= (11, 0) && driver.version.contains('.'), "{driver:?}");
            let beyond = Device::of_cuda(driver.devices, &Visible::default()).map(drop).unwrap_err();
            assert!(!matches!(beyond, DeviceError::Driver(_)), "{beyond:?}");
        }
    }
}
