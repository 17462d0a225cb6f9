//! The body that is sent.

use std::path::Path;

use crate::cli::Failure;

/// Reads a body from a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::usage(format!("--input {}: {error}", path.display())))
}

/// How many rows a body holds: its `instances`, else 1.
pub(super) fn rows(body: &[u8]) -> u64 {
    let parsed = serde_json::from_slice::<serde_json::Value>(body).ok();
    let instances = parsed.as_ref().and_then(|body| body.get("instances")).and_then(|list| list.as_array());
    instances.map_or(1, |list| list.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_instances() {
        assert_eq!(rows(br#"{"instances": [[1], [2], [3]]}"#), 3);
        assert_eq!(rows(br#"{"text": "a"}"#), 1);
        assert_eq!(rows(b"[1, 2]"), 1);
        assert_eq!(rows(b"no JSON"), 1);
    }
}
