//! The files that a graph may bring in: the graph itself and its external data.
//!
//! Model files are untrusted. The runtime refuses locations that lead out of the folder, but not
//! hard links (a link count says that the file is also somewhere else), so this looks first.
//! Errors name locations as the graph writes them, never absolute paths.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::LoadError;

/// The name of a graph as shown in errors.
pub(super) fn shown_name(graph: &Path) -> String {
    graph.file_name().unwrap_or(graph.as_os_str()).to_string_lossy().into_owned()
}

/// Checks that `graph` is a file that lies inside `folder` once links are followed; gives the
/// folder's real path and the graph's size.
pub(super) fn check_graph(graph: &Path, folder: &Path) -> Result<(PathBuf, u64), LoadError> {
    let fail = |reason: String| LoadError::File { file: shown_name(graph), reason };
    let real_folder =
        folder.canonicalize().map_err(|error| fail(format!("its folder: {}", cause(&error))))?;
    let real = graph.canonicalize().map_err(|error| fail(cause(&error)))?;
    if !real.starts_with(&real_folder) {
        return Err(fail("it leads out of the model's folder".into()));
    }
    let metadata = fs::metadata(&real).map_err(|error| fail(cause(&error)))?;
    if !metadata.is_file() {
        return Err(fail("it is not a regular file".into()));
    }
    if metadata.len() == 0 {
        return Err(fail("it is empty".into()));
    }
    Ok((real_folder, metadata.len()))
}

/// Checks that the external data at `location` lies beside `graph`, inside `real_folder`, in a
/// regular file with one name; gives its size.
pub(super) fn check_location(location: &str, graph: &Path, real_folder: &Path) -> Result<u64, LoadError> {
    let fail = |reason: &str| LoadError::External { location: location.into(), reason: reason.into() };
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if location.is_empty() || !Path::new(location).components().all(plain) {
        return Err(fail("it must be a relative path to a file beside the model"));
    }
    let beside = graph.parent().unwrap_or(real_folder).join(location);
    let real = beside.canonicalize().map_err(|error| fail(&cause(&error)))?;
    if !real.starts_with(real_folder) {
        return Err(fail("it leads out of the model's folder"));
    }
    let metadata = fs::metadata(&real).map_err(|error| fail(&cause(&error)))?;
    if !metadata.is_file() {
        return Err(fail("it is not a regular file"));
    }
    if metadata.nlink() > 1 {
        return Err(fail(
            "it is a hard link: the file has another name, perhaps outside the folder; copy it",
        ));
    }
    Ok(metadata.len())
}

fn cause(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => "no permission to read it".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_plain_files_beside_the_model_pass() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("model");
        fs::create_dir_all(folder.join("part")).unwrap();
        let graph = folder.join("model.onnx");
        for file in ["model.onnx", "good.bin", "part/good.bin", "linked.bin"] {
            fs::write(folder.join(file), "x").unwrap();
        }
        fs::write(root.path().join("secret"), "x").unwrap();
        fs::hard_link(root.path().join("secret"), folder.join("hard.bin")).unwrap();
        symlink(root.path().join("secret"), folder.join("soft.bin")).unwrap();
        symlink("good.bin", folder.join("inside.bin")).unwrap();
        let (real_folder, size) = check_graph(&graph, &folder).unwrap();
        assert_eq!(size, 1);
        let check = |location: &str| check_location(location, &graph, &real_folder);
        for good in ["good.bin", "part/good.bin", "./good.bin", "inside.bin"] {
            assert_eq!(check(good).unwrap(), 1, "{good}");
        }
        let absolute = root.path().join("secret");
        for bad in ["", "../secret", absolute.to_str().unwrap(), "hard.bin", "soft.bin", "part", "none.bin"] {
            let error = check(bad).unwrap_err().to_string();
            let named = bad == absolute.to_str().unwrap();
            assert!(named || !error.contains(root.path().to_str().unwrap()), "{error}");
        }
        symlink(root.path().join("secret"), folder.join("out.onnx")).unwrap();
        assert!(check_graph(&folder.join("out.onnx"), &folder).unwrap_err().to_string().contains("out of"));
        assert!(
            check_graph(&folder.join("none.onnx"), &folder).unwrap_err().to_string().contains("no such file")
        );
        assert!(check_graph(&folder.join("part"), &folder).unwrap_err().to_string().contains("regular"));
    }
}
