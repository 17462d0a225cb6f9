//! The one way from a path that a model's owner wrote to a file that may be opened.

use std::path::{Path, PathBuf};

/// The real path of `path`, which is relative to `folder`, if it lies inside `root`, whose own path
/// is resolved. Links may stay inside and must not leave.
///
/// # Errors
/// What is wrong with it, in words that name the path as written and nothing else.
pub fn resolve_inside(root: &Path, folder: &Path, path: &str) -> Result<PathBuf, String> {
    let real = folder.join(path).canonicalize().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("{path}: no such file in the model's folder"),
        kind => format!("{path}: cannot be read: {kind}"),
    })?;
    if real.starts_with(root) {
        Ok(real)
    } else {
        Err(format!("{path}: leads outside the model's folder and is refused"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_dots_and_absolute_paths_must_not_leave() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().canonicalize().unwrap().join("root");
        std::fs::create_dir_all(root.join("model")).unwrap();
        std::fs::write(outer.path().join("secret"), "").unwrap();
        std::fs::write(root.join("shared"), "").unwrap();
        std::os::unix::fs::symlink("../../secret", root.join("model/link")).unwrap();
        let of = |path: &str| resolve_inside(&root, &root.join("model"), path);
        assert_eq!(of("../shared").unwrap(), root.join("shared"));
        let absolute = outer.path().join("secret");
        for bad in ["link", "../../secret", absolute.to_str().unwrap()] {
            assert!(of(bad).unwrap_err().contains("outside"), "{bad}");
        }
        assert!(of("none").unwrap_err().contains("no such file"));
    }
}
