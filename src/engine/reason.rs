//! Why an NVIDIA provider can't be had, in words that say what to do about it.
//!
//! The runtime quotes the loader ("libcublasLt.so.13: cannot open shared object file") or CUDA ("CUDA failure
//! 35"), which says what failed and not what is wrong. Numbers are those of `cudaError_t` in CUDA's runtime API.

use crate::model::ProviderKind;

/// What the runtime may say, and what it means.
const MEANINGS: [(&[&str], &str); 13] = [
    (
        &["libcuda.so"],
        "there is no NVIDIA driver here: run it on a machine with one, and a container with NVIDIA's container \
         runtime",
    ),
    (
        &["libnvinfer", "libnvonnxparser"],
        "TensorRT 10 is not here: its libraries must lie beside ONNX Runtime's (scripts/tools/tensorrt.sh)",
    ),
    (
        &["libcudart.so", "libcublas", "libcudnn", "libcufft", "libcurand", "libnvrtc", "libnvJitLink"],
        "CUDA 13 and cuDNN 9 are not here: their libraries must lie beside ONNX Runtime's, as in the `cuda` image \
         (scripts/tools/cuda.sh)",
    ),
    (
        &["CUDA failure 35:", "driver version is insufficient"],
        "there is no NVIDIA driver here, or one older than CUDA 13 needs: branch 580 or later",
    ),
    (
        &["CUDA failure 100:", "no CUDA-capable device"],
        "no NVIDIA device is visible: does the pod ask for nvidia.com/gpu, is CUDA_VISIBLE_DEVICES right?",
    ),
    (&["CUDA failure 101:", "invalid device ordinal"], "there is no device of that number"),
    (
        &["CUDA failure 46:", "devices unavailable"],
        "another process has the device for itself, or it is broken",
    ),
    (&["CUDA failure 209:", "no kernel image"], "this library has no code for so old a device"),
    (&["CUDA failure 802:"], "the machine's fabric manager is not ready"),
    (&["CUDA failure 803:"], "the driver's libraries and its kernel module are of different versions"),
    (&["CUDA failure 804:"], "this device can't run a newer CUDA than its driver's"),
    (
        &["CUDA failure 2:", "out of memory", "Failed to allocate memory", "smaller than requested bytes"],
        "the device has not enough free memory: fewer `instances`, a smaller batch, a larger `gpu_mem_limit`",
    ),
    (
        &["graph capture"],
        "CUDA graphs need a graph that runs on the device as a whole: leave `enable_cuda_graph` out",
    ),
];

/// `reason`, with what it means before it where that is known, and `driver` (what NVML says of it) behind it.
pub(super) fn explained(kind: ProviderKind, reason: String, driver: impl FnOnce() -> String) -> String {
    if !matches!(kind, ProviderKind::Cuda | ProviderKind::Tensorrt) {
        return reason;
    }
    let has = |words: &&[&str]| words.iter().any(|word| reason.contains(word));
    let meaning = MEANINGS.iter().find(|(words, _)| has(words)).map(|(_, meaning)| *meaning);
    match meaning {
        Some(meaning) => format!("{meaning} ({reason}; {})", driver()),
        None => format!("{reason} ({})", driver()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_comes_first_then_the_words_then_the_driver() {
        let of = |kind, reason: &str| explained(kind, reason.into(), || "driver 580.95.05".into());
        let missing = "Failed to load library libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: \
                       cannot open shared object file";
        let said = of(ProviderKind::Cuda, missing);
        assert!(said.starts_with("CUDA 13 and cuDNN 9 are not here"), "{said}");
        assert!(said.contains(missing) && said.ends_with("driver 580.95.05)"), "{said}");
        let old = of(ProviderKind::Tensorrt, "CUDA failure 35: CUDA driver version is insufficient");
        assert!(old.starts_with("there is no NVIDIA driver here, or one older"), "{old}");
        let ordinal = of(ProviderKind::Cuda, "CUDA failure 101: invalid device ordinal ; GPU=7");
        assert!(ordinal.starts_with("there is no device of that number"), "{ordinal}");
        let driver = of(ProviderKind::Cuda, "libcuda.so.1: cannot open shared object file");
        assert!(driver.starts_with("there is no NVIDIA driver here"), "{driver}");
        assert_eq!(of(ProviderKind::Cuda, "new words"), "new words (driver 580.95.05)");
        assert_eq!(of(ProviderKind::Openvino, "libcuda.so.1"), "libcuda.so.1");
    }
}
