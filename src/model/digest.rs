//! Digests of model files, checked before the runtime sees them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::{Digests, resolve_inside};

/// A file that is not what its digest says.
#[derive(Debug, thiserror::Error)]
pub enum DigestError {
    /// The digest differs.
    #[error("{path}: sha256 is {actual}, expected {expected}")]
    Mismatch {
        /// The file, relative to the model's folder.
        path: String,
        /// What the manifest says.
        expected: String,
        /// What the file has.
        actual: String,
    },
    /// A digest is given for a file that can't be read.
    #[error("sha256: {0}")]
    Unreadable(String),
}

/// The SHA-256 of a file in lower-case hexadecimal, read in pieces.
///
/// # Errors
/// When the file can't be read.
pub fn sha256_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(format!("{:x}", hasher.finalize())),
            n => hasher.update(&chunk[..n]),
        }
    }
}

/// Checks every digest of a manifest in `folder`, which is inside `root`; `graph` is the model file
/// of this version, whose digest `graph_sha256` was measured before.
///
/// # Errors
/// Every file that differs or can't be read.
pub fn verify_digests(
    digests: Option<&Digests>,
    (root, folder): (&Path, &Path),
    (graph, graph_sha256): (&Path, &str),
) -> Result<(), Vec<DigestError>> {
    let shown = graph.strip_prefix(folder).unwrap_or(graph).display().to_string();
    let problems: Vec<DigestError> = match digests {
        None => Vec::new(),
        Some(Digests::Graph(expected)) => compare(shown, expected, graph_sha256).into_iter().collect(),
        Some(Digests::Files(files)) => files
            .iter()
            .filter_map(|(path, expected)| {
                let unreadable = |error: io::Error| format!("{path}: cannot be read: {}", error.kind());
                // The graph, often large, was measured already.
                let measured = resolve_inside(root, folder, path).and_then(|file| {
                    if file == graph {
                        Ok(graph_sha256.to_owned())
                    } else {
                        sha256_file(&file).map_err(unreadable)
                    }
                });
                match measured {
                    Ok(actual) => compare(path.clone(), expected, &actual),
                    Err(problem) => Some(DigestError::Unreadable(problem)),
                }
            })
            .collect(),
    };
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn compare(path: String, expected: &str, actual: &str) -> Option<DigestError> {
    (!expected.eq_ignore_ascii_case(actual)).then(|| DigestError::Mismatch {
        path,
        expected: expected.to_owned(),
        actual: actual.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn every_wrong_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let graph = root.join("model.onnx");
        std::fs::write(&graph, b"").unwrap();
        let check = |digests: &Digests| verify_digests(Some(digests), (&root, &root), (&graph, EMPTY));
        assert!(check(&Digests::Graph(EMPTY.to_uppercase())).is_ok());
        assert!(check(&Digests::Graph("00".into())).is_err());
        let files = BTreeMap::from([
            ("model.onnx".to_owned(), "00".to_owned()),
            ("gone.json".to_owned(), EMPTY.to_owned()),
        ]);
        assert_eq!(check(&Digests::Files(files)).unwrap_err().len(), 2);
    }
}
