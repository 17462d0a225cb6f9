//! Whether the files of a model have changed since it was loaded, without reading them.
//!
//! Taken before a load and compared before the next one. The time of the last change of an inode can't
//! be set by anyone, so equal stamps mean equal files, except that clocks of file systems are coarse:
//! a stamp taken right after a change is not trusted.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::discover::{file_name, listing};
use super::{ModelSource, Version, VersionSource};

/// A change this shortly before the stamp may be followed by another that has the same time.
const COARSE: Duration = Duration::from_secs(1);
/// Folders are looked into this deep.
const MAX_DEPTH: usize = 8;
/// Folders with more files than this are always taken to have changed.
const MAX_FILES: usize = 10_000;

/// What identifies the content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileStamp {
    path: PathBuf,
    bytes: u64,
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

/// The files of one version of a model at one moment.
#[derive(Clone, Debug)]
pub struct Stamp {
    files: Vec<FileStamp>,
    is_settled: bool,
}

impl Stamp {
    /// The files as they are now: everything in the model's folder but its other versions.
    pub fn of(source: &ModelSource, version: &VersionSource) -> Self {
        let mut files = Vec::new();
        collect(&source.folder, version.version, 0, &mut files);
        files.extend(file(&version.graph));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let newest = files.iter().map(|file| file.changed).max().unwrap_or_default();
        let settled_before = now.saturating_sub(COARSE);
        let seconds = i64::try_from(settled_before.as_secs()).unwrap_or(i64::MAX);
        let is_settled =
            files.len() <= MAX_FILES && newest < (seconds, i64::from(settled_before.subsec_nanos()));
        Self { files, is_settled }
    }

    /// True when nothing has changed between this stamp, the earlier one, and `later`.
    pub fn is_same(&self, later: &Self) -> bool {
        self.is_settled && self.files == later.files
    }
}

fn collect(folder: &Path, version: Version, depth: usize, files: &mut Vec<FileStamp>) {
    for path in listing(folder) {
        if files.len() > MAX_FILES {
            return;
        }
        if path.is_dir() {
            let is_other = depth == 0 && Version::parse(&file_name(&path)).is_some_and(|it| it != version);
            if !is_other && depth < MAX_DEPTH {
                collect(&path, version, depth + 1, files);
            }
        } else {
            files.extend(file(&path));
        }
    }
}

fn file(path: &Path) -> Option<FileStamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(FileStamp {
        path: path.to_owned(),
        bytes: metadata.len(),
        device: metadata.dev(),
        inode: metadata.ino(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ModelPath, discover};

    fn stamp(root: &Path, version: u64) -> Stamp {
        let found = discover(&[ModelPath { name: None, path: root.to_owned() }]);
        let source = &found.models[0];
        let of_version = source.versions.iter().find(|found| found.version.0 == version).unwrap();
        Stamp { is_settled: true, ..Stamp::of(source, of_version) }
    }

    #[test]
    fn a_change_of_the_version_or_of_what_all_share_is_seen() {
        let root = tempfile::tempdir().unwrap();
        for version in ["1", "2"] {
            fs::create_dir_all(root.path().join("m").join(version)).unwrap();
            fs::write(root.path().join("m").join(version).join("model.onnx"), "a").unwrap();
        }
        let (one, two) = (stamp(root.path(), 1), stamp(root.path(), 2));
        assert!(one.is_same(&stamp(root.path(), 1)));
        fs::write(root.path().join("m/2/other.onnx"), "b").unwrap();
        fs::rename(root.path().join("m/2/other.onnx"), root.path().join("m/2/model.onnx")).unwrap();
        assert!(one.is_same(&stamp(root.path(), 1)));
        assert!(!two.is_same(&stamp(root.path(), 2)), "another file of the same size");
        fs::write(root.path().join("m/labels.txt"), "x").unwrap();
        assert!(!one.is_same(&stamp(root.path(), 1)));
    }

    #[test]
    fn a_stamp_taken_right_after_a_change_is_not_trusted() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("m")).unwrap();
        fs::write(root.path().join("m/model.onnx"), "a").unwrap();
        let found = discover(&[ModelPath { name: None, path: root.path().to_owned() }]);
        let taken = Stamp::of(&found.models[0], &found.models[0].versions[0]);
        assert!(!taken.is_same(&taken.clone()));
    }
}
