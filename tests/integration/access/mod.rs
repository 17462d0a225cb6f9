//! Who may call what: API keys and other origins' pages.

mod cors;
mod keys;
mod reload;
mod secrecy;
mod start;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::harness::command::run;
use crate::harness::server::Builder;
use crate::harness::{Repository, Request, Server};

/// A key as the command made it.
pub(crate) struct Made {
    pub(crate) key: String,
    entry: String,
}

/// Makes a key by the command.
#[track_caller]
pub(crate) fn make(name: &str, scopes: &str, more: &[&str]) -> Made {
    let arguments = [&["key", "--name", name, "--scopes", scopes], more].concat();
    let said = run(arguments).finish().exits(0).stdout;
    let (key, entry) = said.split_once("\n\n").unwrap();
    Made { key: key.to_owned(), entry: entry.to_owned() }
}

/// A keys file, replaced as Kubernetes replaces a Secret: by a rename.
pub(crate) struct KeysFile {
    folder: TempDir,
}

impl KeysFile {
    pub(crate) fn new(keys: &[&Made]) -> Self {
        let file = Self { folder: TempDir::new().unwrap() };
        file.replace(keys);
        file
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("keys.toml")
    }

    fn replace(&self, keys: &[&Made]) {
        self.write(&keys.iter().map(|made| made.entry.as_str()).collect::<String>());
    }

    fn write(&self, text: &str) {
        let beside = self.folder.path().join("new");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, self.path()).unwrap();
    }
}

fn builder() -> Builder {
    Server::builder().repository(Repository::new().fixture("add-one"))
}

pub(crate) fn with_keys(path: impl AsRef<Path>) -> Builder {
    builder().env("ML_INFERENCE_AUTH__KEYS_FILE", path.as_ref())
}

fn row() -> Request {
    Request::json("/predict/add-one", &serde_json::json!([1, 2, 3]))
}

fn bearer(request: Request, key: &str) -> Request {
    request.header("authorization", &format!("Bearer {key}"))
}
