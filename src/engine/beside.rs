//! NVIDIA's libraries that lie beside ONNX Runtime's.
//!
//! The provider's library names them and has no path to them: the loader would look in `LD_LIBRARY_PATH` and the
//! system's folders only. A library that is loaded already is found by its name, so those in ONNX Runtime's own
//! folder are loaded first. What is not there is left to the loader.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

/// How the names begin, in the order in which they need each other. The parts of cuDNN find each other.
const NAMES: [&str; 11] = [
    "libcudart.so",
    "libcublasLt.so",
    "libcublas.so",
    "libnvJitLink.so",
    "libnvrtc-builtins.so",
    "libnvrtc.so",
    "libcurand.so",
    "libcufft.so",
    "libcudnn.so",
    "libnvinfer.so",
    "libnvonnxparser.so",
];

static LOADED: Once = Once::new();

/// Loads them once per process, and keeps them. One that can't be loaded is not told here: the provider's own load
/// names what it misses.
pub(super) fn preload(runtime: &Path) {
    LOADED.call_once(|| {
        for library in runtime.parent().map_or_else(Vec::new, found) {
            if let Err(error) = ort::util::preload_dylib(&library) {
                tracing::debug!(%error, "a library beside ONNX Runtime's can't be loaded");
            }
        }
    });
}

/// Those in `folder`, in order.
fn found(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<(usize, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let place =
                NAMES.iter().position(|begin| name.to_str().is_some_and(|name| name.starts_with(begin)))?;
            Some((place, entry.path()))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_need_comes_first_and_nothing_else_comes() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["libcudnn.so.9", "libcublas.so.13", "libcublasLt.so.13", "libcudnn_ops.so.9", "libssl.so.3"]
        {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let names: Vec<String> = found(folder.path())
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().into())
            .collect();
        assert_eq!(names, ["libcublasLt.so.13", "libcublas.so.13", "libcudnn.so.9"]);
        assert!(found(&folder.path().join("absent")).is_empty());
    }
}
