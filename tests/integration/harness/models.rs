//! Temporary model repositories made of the fixtures.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::settings;

/// A folder of models in the native layout.
pub(crate) struct Repository {
    folder: TempDir,
}

impl Repository {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Adds a fixture under its own name.
    pub(crate) fn fixture(self, name: &str) -> Self {
        self.model(name, name, "")
    }

    /// Adds a fixture under any name, with a manifest unless it is empty.
    pub(crate) fn model(self, name: &str, fixture: &str, manifest: &str) -> Self {
        self.version(name, "1", fixture).manifest(name, manifest)
    }

    /// Adds a version of a model.
    pub(crate) fn version(self, name: &str, version: &str, fixture: &str) -> Self {
        self.graph(name, version, &fs::read(fixture_path(fixture)).unwrap())
    }

    /// Adds a version with any bytes for a graph.
    pub(crate) fn graph(self, name: &str, version: &str, bytes: &[u8]) -> Self {
        let folder = self.path().join(name).join(version);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("model.onnx"), bytes).unwrap();
        self
    }

    /// Writes `model.toml`; nothing when the text is empty.
    pub(crate) fn manifest(self, name: &str, text: &str) -> Self {
        if !text.is_empty() {
            fs::create_dir_all(self.path().join(name)).unwrap();
            fs::write(self.path().join(name).join("model.toml"), text).unwrap();
        }
        self
    }
}

/// Copies a folder with all in it; what is at `to` stays.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

pub(crate) fn fixture_path(name: &str) -> PathBuf {
    settings::package("tests/fixtures/models").join(format!("{name}.onnx"))
}

/// One run at a time, a queue of `queue` rows, and answers that take as long as a request says.
pub(crate) fn slow_manifest(queue: usize) -> String {
    format!("[execution]\ninstances = 1\nintra_threads = 1\n[queue]\nmax_size = {queue}\n")
}

/// Iterations of the slow model that take about a millisecond (longer on a busy machine).
const SLOW_MILLISECOND: u64 = 285;

/// A request for the slow model that runs for about so long.
pub(crate) fn slow_for(milliseconds: u64, x: f64) -> serde_json::Value {
    serde_json::json!({ "x": [x], "iterations": [milliseconds * SLOW_MILLISECOND] })
}

/// Settings of the slow model with a warm-up of about so long.
pub(crate) fn slow_warmup(milliseconds: u64) -> String {
    let iterations = milliseconds * SLOW_MILLISECOND;
    format!(
        "[execution]\ninstances = 1\nintra_threads = 1\n[warmup]\ninputs = [{{ x = [1.0], iterations = [{iterations}] }}]\n"
    )
}

/// Every fixture that a server can load, some with the manifest that shows their task, and one with
/// several versions.
pub(crate) fn all_fixtures() -> Repository {
    let plain = [
        "add-one",
        "fixed-sum",
        "two-inputs",
        "mixes-rows",
        "batch-scalar-output",
        "strings",
        "dtypes",
        "nan",
        "gather",
        "no-batch",
        "any-rank",
        "zipmap",
        "passthrough",
        "any-rank",
        "optional-input",
    ];
    let repository = plain.into_iter().fold(Repository::new(), Repository::fixture);
    repository
        .model("slow", "slow", &slow_manifest(2048))
        .model("regressor", "regressor", "task = \"tabular-regression\"\n")
        .model("columns", "columns", COLUMNS)
        .version("versions", "2", "add-one")
        .version("versions", "10", "add-one")
        .version("versions", "9", "add-one")
}

const COLUMNS: &str = r#"task = "tabular-classification"
labels = ["stays", "leaves"]
features = [
  { name = "age", type = "float32" },
  { name = "income", type = "float32", default = 1000.0 },
  { name = "city", type = "string" },
  { name = "visits", type = "int64" },
]
"#;
