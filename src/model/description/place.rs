//! Where the files that describe one version lie: beside its graph, else in the model's folder.
//!
//! Files are untrusted: read only from inside the model's folder, and only up to a size.

use std::path::{Path, PathBuf};

use crate::model::resolve_inside;

/// No description is larger; a tokenizer is read elsewhere.
const MOST_BYTES: u64 = 16 << 20;

/// The folders of one version.
pub(in crate::model) struct Place<'a> {
    /// Nothing outside may be read.
    pub(in crate::model) root: &'a Path,
    /// The model's folder, which paths of a manifest start from.
    pub(in crate::model) base: &'a Path,
    /// The version's own folder; the same where a model has no versions.
    pub(in crate::model) own: &'a Path,
}

impl Place<'_> {
    /// The folder that holds `name`, the version's own first.
    fn folder_of(&self, name: &str) -> Option<&Path> {
        [self.own, self.base].into_iter().find(|folder| folder.join(name).exists())
    }

    /// True when there is such a file or folder.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.folder_of(name).is_some()
    }

    /// The path of `name` as a manifest would write it.
    pub(super) fn path_of(&self, name: &str) -> Option<String> {
        let path: PathBuf = self.folder_of(name)?.join(name);
        Some(path.strip_prefix(self.base).unwrap_or(&path).to_string_lossy().into_owned())
    }

    /// The text of `name`; none where there is no such file.
    ///
    /// # Errors
    /// Why it can't be read, with its name.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>, String> {
        let Some(folder) = self.folder_of(name) else { return Ok(None) };
        let real = resolve_inside(self.root, folder, name)?;
        let cannot = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::InvalidData => format!("{name}: it is not text in UTF-8"),
            kind => format!("{name}: cannot be read: {kind}"),
        };
        let metadata = real.metadata().map_err(cannot)?;
        if !metadata.is_file() {
            return Err(format!("{name}: it is not a regular file"));
        }
        if metadata.len() > MOST_BYTES {
            let size = metadata.len();
            return Err(format!("{name}: expected at most {MOST_BYTES} bytes, it has {size}"));
        }
        std::fs::read_to_string(real).map(Some).map_err(cannot)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_versions_own_file_stands_before_the_models() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let own = base.join("1");
        fs::create_dir(&own).unwrap();
        fs::write(base.join("a.json"), "model").unwrap();
        let place = Place { root: &base, base: &base, own: &own };
        assert_eq!(place.read("a.json").unwrap().as_deref(), Some("model"));
        fs::write(own.join("a.json"), "version").unwrap();
        assert_eq!(place.read("a.json").unwrap().as_deref(), Some("version"));
        assert_eq!(place.path_of("a.json").as_deref(), Some("1/a.json"));
        assert_eq!(place.read("b.json").unwrap(), None);
    }

    #[test]
    fn what_is_no_plain_text_inside_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap().join("model");
        fs::create_dir_all(base.join("folder")).unwrap();
        fs::write(base.join("bytes"), [0xff, 0xfe]).unwrap();
        fs::File::create(base.join("large")).unwrap().set_len(MOST_BYTES + 1).unwrap();
        fs::write(folder.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink("../secret", base.join("link")).unwrap();
        let place = Place { root: &base, base: &base, own: &base };
        let cases =
            [("folder", "regular"), ("bytes", "UTF-8"), ("large", "at most"), ("link", "outside the model")];
        for (name, why) in cases {
            let problem = place.read(name).unwrap_err();
            assert!(problem.contains(why) && problem.starts_with(name), "{problem}");
        }
    }
}
