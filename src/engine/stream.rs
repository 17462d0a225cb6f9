//! A CUDA stream of ours, which providers of one session share.
//!
//! TensorRT and the CUDA provider behind it would each make a stream, and wait for each other at every change between
//! the two. Told of one stream (`user_compute_stream`), they follow each other on it. The stream is made by CUDA's own
//! runtime, which the providers have loaded.

use std::error::Error as _;
use std::ffi::{c_int, c_uint, c_void};
use std::ptr;

use libloading::Library;

/// The library, by the name that the providers know it by.
const LIBRARY: &str = "libcudart.so.13";
/// `cudaStreamNonBlocking`: it waits for nothing on the default stream, on which others copy.
const NON_BLOCKING: c_uint = 1;

type SetDevice = unsafe extern "C" fn(c_int) -> c_int;
type Create = unsafe extern "C" fn(*mut *mut c_void, c_uint) -> c_int;
type Destroy = unsafe extern "C" fn(*mut c_void) -> c_int;

/// A stream; destroyed when dropped, after the session that runs on it.
#[derive(Debug)]
pub(super) struct Stream {
    handle: *mut c_void,
    library: Library,
}

#[expect(unsafe_code, reason = "a pointer is not Send by itself")]
// SAFETY: a stream belongs to its device and may be used by any thread (CUDA C++ Programming Guide, streams).
unsafe impl Send for Stream {}

impl Stream {
    /// A stream of this device.
    ///
    /// # Errors
    /// What the loader says, or CUDA's number as ONNX Runtime would write it: `CUDA failure 35`.
    pub(super) fn of(device: u32) -> Result<Self, String> {
        let device =
            c_int::try_from(device).map_err(|_| "CUDA failure 101: invalid device ordinal".to_owned())?;
        // The loader's own words are the cause.
        let failed =
            |error: libloading::Error| error.source().map_or_else(|| error.to_string(), ToString::to_string);
        let mut handle = ptr::null_mut();
        #[expect(unsafe_code, reason = "no crate here makes a stream")]
        // SAFETY: the library is CUDA's runtime, whose constructors the providers rely on as well; the types are those
        // of its C header (`cudaError_t` is an int), and `handle` is ours.
        let (library, code) = unsafe {
            let library = Library::new(LIBRARY).map_err(failed)?;
            let set: SetDevice = *library.get(b"cudaSetDevice\0").map_err(failed)?;
            let create: Create = *library.get(b"cudaStreamCreateWithFlags\0").map_err(failed)?;
            let code = match set(device) {
                0 => create(&raw mut handle, NON_BLOCKING),
                code => code,
            };
            (library, code)
        };
        match code {
            0 => Ok(Self { handle, library }),
            code => Err(format!("CUDA failure {code}: no stream could be made on device {device}")),
        }
    }

    /// The stream as providers are told it: its address, in decimal.
    pub(super) fn address(&self) -> String {
        self.handle.addr().to_string()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "no crate here destroys a stream")]
        // SAFETY: the stream was made by this library and nothing runs on it any more.
        unsafe {
            if let Ok(destroy) = self.library.get::<Destroy>(b"cudaStreamDestroy\0") {
                // The context may be gone; then so is the stream.
                let _code = destroy(self.handle);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_cuda_the_reason_is_told() {
        // On a machine that has all of it there is a stream; elsewhere the loader or CUDA says why not.
        match Stream::of(0) {
            Ok(stream) => assert_ne!(stream.address(), "0"),
            Err(error) => assert!(error.contains(LIBRARY) || error.starts_with("CUDA failure "), "{error}"),
        }
        assert!(Stream::of(u32::MAX).unwrap_err().starts_with("CUDA failure 101"));
    }
}
