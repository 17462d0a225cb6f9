//! Version folders, and which of them a policy keeps.

use std::path::{Path, PathBuf};

use super::discover::{file_name, listing};
use super::{NamedPolicy, Version, VersionPolicy, VersionSource};

/// The folders that are named by a version, ascending.
pub(super) fn version_folders(folder: &Path) -> Vec<(Version, PathBuf)> {
    let mut versions: Vec<(Version, PathBuf)> = listing(folder)
        .into_iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| Some((Version::parse(&file_name(&path))?, path)))
        .collect();
    versions.sort();
    versions
}

/// Those of `all`, which ascend, that `policy` keeps.
pub(super) fn keep(
    mut all: Vec<VersionSource>,
    policy: &VersionPolicy,
) -> Result<Vec<VersionSource>, String> {
    let newest = |count: usize| all.len().saturating_sub(count);
    match policy {
        VersionPolicy::Named(NamedPolicy::All) => Ok(all),
        VersionPolicy::Named(NamedPolicy::Latest) => Ok(all.split_off(newest(1))),
        VersionPolicy::Latest { latest } => Ok(all.split_off(newest(latest.get()))),
        VersionPolicy::Only(only) => {
            let missing = only.iter().find(|&&number| all.iter().all(|source| source.version.0 != number));
            if let Some(missing) = missing {
                return Err(format!("versions: {missing} is asked for and not there"));
            }
            all.retain(|source| only.contains(&source.version.0));
            if all.is_empty() { Err("versions: the list is empty".into()) } else { Ok(all) }
        }
    }
}
