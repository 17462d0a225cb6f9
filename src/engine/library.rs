//! Finds ONNX Runtime's library file, and looks at it before it is loaded.
//!
//! Loading a library runs its code, and the `ort` crate panics on some that are not ONNX Runtime.
//! So the file's head and its symbols are read first; one clear error says what is wrong.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::RuntimeError;

const FILE_NAME: &str = "libonnxruntime.so";

/// Oldest minor version of 1.x that has every call used here (feature `api-24` of `ort`).
pub(super) const OLDEST_MINOR: u32 = 24;

/// The symbol through which everything else is reached.
const ENTRY: &[u8] = b"OrtGetApiBase\0";

/// Official builds give their symbols a version node named after the release.
const VERSION_NODE: &[u8] = b"VERS_1.";

/// Longest `VERS_1.…` that is read.
const LONGEST_VERSION: usize = 32;

/// The library's file: `named` if given, else beside the executable, else in `../lib` of it.
pub(super) fn find(named: Option<&Path>, executable_folder: Option<&Path>) -> Result<PathBuf, RuntimeError> {
    let candidates: Vec<PathBuf> = match (named, executable_folder) {
        (Some(named), _) => vec![named.to_path_buf()],
        (None, Some(folder)) => {
            let lib = folder.parent().map(|parent| parent.join("lib").join(FILE_NAME));
            std::iter::once(folder.join(FILE_NAME)).chain(lib).collect()
        }
        (None, None) => Vec::new(),
    };
    if let Some(found) = candidates.iter().find(|candidate| candidate.exists()) {
        return std::path::absolute(found).map_err(|error| unusable(found, error.to_string()));
    }
    let places: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
    let looked_for = match (named, places.is_empty()) {
        (Some(_), _) => format!("{} (from ORT_DYLIB_PATH)", places.join(", ")),
        (None, false) => format!("{} (ORT_DYLIB_PATH is not set)", places.join(", ")),
        (None, true) => format!("{FILE_NAME} beside the executable, whose folder is unknown"),
    };
    Err(RuntimeError::NotFound { looked_for })
}

/// The version of the library at `path`, such as `1.31.1`, without loading it; none where the
/// build has no version node.
pub(super) fn inspect(path: &Path) -> Result<Option<String>, RuntimeError> {
    let fail = |reason: String| unusable(path, reason);
    let mut file = File::open(path).map_err(|error| fail(error.to_string()))?;
    let mut head = [0; 20];
    if file.metadata().is_ok_and(|metadata| !metadata.is_file()) || file.read_exact(&mut head).is_err() {
        return Err(fail("it is not a shared library".into()));
    }
    if !head.starts_with(b"\x7fELF") {
        return Err(fail("it is not a shared library (no ELF header)".into()));
    }
    if head[18..20] != machine().to_le_bytes() {
        return Err(fail(format!("it is built for another processor than {}", std::env::consts::ARCH)));
    }
    if is_cut_short(&file).map_err(|error| fail(error.to_string()))? {
        return Err(fail("it is cut short: parts that its header names are missing".into()));
    }
    let (has_entry, version) = scan(file).map_err(|error| fail(error.to_string()))?;
    if !has_entry {
        return Err(fail("it is a shared library, but not ONNX Runtime (no OrtGetApiBase)".into()));
    }
    if let Some(version) = &version {
        let minor = version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
        if minor.is_some_and(|minor| minor < OLDEST_MINOR) {
            return Err(fail(format!(
                "its version is {version}, and 1.{OLDEST_MINOR} is the oldest that works"
            )));
        }
    }
    Ok(version)
}

/// The error of a file that is there and does not do.
pub(super) fn unusable(path: &Path, reason: String) -> RuntimeError {
    RuntimeError::Unusable { path: path.display().to_string(), reason }
}

/// `e_machine` of this program's architecture in an ELF header.
const fn machine() -> u16 {
    if cfg!(target_arch = "aarch64") { 183 } else { 62 }
}

/// Whether a segment to be loaded reaches beyond the file's end: the loader would crash on it with
/// a bus error instead of refusing it. Offsets are those of the ELF-64 specification.
fn is_cut_short(file: &File) -> std::io::Result<bool> {
    use std::os::unix::fs::FileExt;
    const LOADED: u32 = 1;
    let length = file.metadata()?.len();
    let mut header = [0; 64];
    if file.read_exact_at(&mut header, 0).is_err() {
        return Ok(true);
    }
    let table = u64::from_le_bytes(field(&header, 32));
    let (size, count) = (u16::from_le_bytes(field(&header, 54)), u16::from_le_bytes(field(&header, 56)));
    for index in 0..u64::from(count) {
        let mut entry = [0; 56];
        if file.read_exact_at(&mut entry, table.saturating_add(index * u64::from(size))).is_err() {
            return Ok(true);
        }
        let (offset, bytes) = (u64::from_le_bytes(field(&entry, 8)), u64::from_le_bytes(field(&entry, 32)));
        if u32::from_le_bytes(field(&entry, 0)) == LOADED && offset.saturating_add(bytes) > length {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The `N` bytes at `at`, which lie inside `bytes`.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes[at + index])
}

/// Whether the entry symbol is in `file`, and the version that its symbols carry. Both lie in the
/// string table near the start, so this seldom reads far.
fn scan(mut file: File) -> std::io::Result<(bool, Option<String>)> {
    const CHUNK: usize = 256 << 10;
    let mut window = Vec::with_capacity(CHUNK + LONGEST_VERSION);
    let (mut has_entry, mut version) = (false, None);
    loop {
        let read = file.by_ref().take(CHUNK as u64).read_to_end(&mut window)?;
        has_entry |= position(&window, ENTRY).is_some();
        version = version.or_else(|| version_in(&window));
        if read == 0 || (has_entry && version.is_some()) {
            return Ok((has_entry, version));
        }
        window.drain(..window.len().saturating_sub(LONGEST_VERSION));
    }
}

fn version_in(window: &[u8]) -> Option<String> {
    let start = position(window, VERSION_NODE)? + b"VERS_".len();
    let text = window[start..].split(|&byte| byte == 0).next()?;
    let is_version = text.len() < LONGEST_VERSION
        && start + text.len() < window.len()
        && text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    is_version.then(|| String::from_utf8_lossy(text).into_owned())
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = haystack[from..].iter().position(|byte| *byte == needle[0]) {
        if haystack[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(folder: &Path, machine: u16, symbols: &[u8]) -> PathBuf {
        let mut bytes = b"\x7fELF".to_vec();
        bytes.resize(18, 0);
        bytes.extend(machine.to_le_bytes());
        bytes.resize(64, 0);
        bytes.extend(symbols);
        let path = folder.join("made.so");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn reason(path: &Path) -> String {
        inspect(path).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_a_runtime_is_refused_before_it_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("libonnxruntime.so");
        std::fs::write(&text, "this is a text file, and long enough for a header").unwrap();
        assert!(reason(&text).contains("no ELF header"));
        assert!(reason(&text).contains("make build") && reason(&text).contains("ORT_DYLIB_PATH"));
        std::fs::write(&text, "").unwrap();
        assert!(reason(&text).contains("not a shared library"));
        assert!(reason(folder.path()).contains("not a shared library"));
        let path = folder.path();
        assert!(reason(&library(path, machine(), b"other")).contains("not ONNX Runtime"));
        assert!(reason(&library(path, 40, ENTRY)).contains("another processor"));
        let old = [ENTRY, b"VERS_1.20.1\0"].concat();
        assert!(reason(&library(path, machine(), &old)).contains("version is 1.20.1, and 1.24"));
        let good = [b"\0VERS_1.31.1\0", &vec![7; 300_000][..], ENTRY].concat();
        assert_eq!(inspect(&library(path, machine(), &good)).unwrap().as_deref(), Some("1.31.1"));
        assert_eq!(inspect(&library(path, machine(), ENTRY)).unwrap(), None);
    }

    #[test]
    fn the_library_is_looked_for_in_three_places_only() {
        let root = tempfile::tempdir().unwrap();
        let (bin, lib) = (root.path().join("bin"), root.path().join("lib"));
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(&lib).unwrap();
        let missing = find(None, Some(&bin)).unwrap_err().to_string();
        assert!(missing.contains("bin/libonnxruntime.so") && missing.contains("lib/libonnxruntime.so"));
        assert!(missing.contains("make build"), "{missing}");
        std::fs::write(lib.join(FILE_NAME), "").unwrap();
        assert_eq!(find(None, Some(&bin)).unwrap(), lib.join(FILE_NAME));
        std::fs::write(bin.join(FILE_NAME), "").unwrap();
        assert_eq!(find(None, Some(&bin)).unwrap(), bin.join(FILE_NAME));
        let named = root.path().join("named.so");
        let error = find(Some(&named), Some(&bin)).unwrap_err().to_string();
        assert!(error.contains("named.so (from ORT_DYLIB_PATH)") && !error.contains("lib/"), "{error}");
        std::fs::write(&named, "").unwrap();
        assert_eq!(find(Some(&named), Some(&bin)).unwrap(), named);
    }
}
