//! Merges the sources: defaults, file, environment, flags; the later one wins.
//!
//! Every value is checked on its own before it is merged, so that all mistakes come out together.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::check::{self, Setting};
use super::keys::{self, Key, Named};
use super::source::{ConfigProblem, Flags, Origin, Sources};
use super::{Config, environment, file};

/// A valid configuration and where each part of it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The origin of every key, dotted. A [`Origin::SecretFile`] is to be read again when it changes.
    pub origins: BTreeMap<String, Origin>,
    /// What is allowed, yet worth a line in the log.
    pub warnings: Vec<String>,
    /// Every `OTEL_*` variable that is not empty, as it stands.
    pub otel: BTreeMap<String, String>,
    /// `RUST_LOG` as it stands; `log.level` has it already.
    pub rust_log: Option<String>,
    /// `ORT_DYLIB_PATH`: the ONNX Runtime library to load.
    pub ort_dylib_path: Option<PathBuf>,
    /// What CUDA is told.
    pub cuda: CudaVariables,
}

/// The variables by which CUDA numbers devices, as they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CudaVariables {
    /// `CUDA_VISIBLE_DEVICES`.
    pub visible_devices: Option<String>,
    /// `CUDA_DEVICE_ORDER`.
    pub device_order: Option<String>,
}

/// What the sources hold, lowest precedence first, before anything is merged.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) settings: Vec<Setting>,
    pub(super) problems: Vec<ConfigProblem>,
    pub(super) warnings: Vec<String>,
    pub(super) otel: BTreeMap<String, String>,
    pub(super) rust_log: Option<String>,
    pub(super) ort_dylib_path: Option<PathBuf>,
    pub(super) cuda: CudaVariables,
}

impl Found {
    /// Adds the value that `path` holds for `key`, named by the variable or key `name`.
    pub(super) fn add_file(&mut self, key: &'static Key, name: &str, path: &Path) {
        let origin = Origin::SecretFile { name: name.to_owned(), path: path.to_owned() };
        match fs::read_to_string(path) {
            Ok(text) => {
                let text = text.strip_suffix('\n').unwrap_or(&text);
                let value = Value::from(text.strip_suffix('\r').unwrap_or(text));
                self.settings.push(Setting { key, entry: None, value, origin, line: None });
            }
            Err(error) => {
                let expected = format!("a file that can be read and is text ({})", error.kind());
                self.problems.push(check::problem(&key.path, None, (&origin, None), expected));
            }
        }
    }
}

/// Merges and checks `sources`.
///
/// # Errors
/// Every mistake of every source, in the order of the sources.
pub fn load(sources: &Sources) -> Result<Loaded, Vec<ConfigProblem>> {
    let mut found = Found::default();
    if let Some((path, text)) = &sources.file {
        file::read(path, text, &mut found);
    }
    environment::read(&sources.env, &mut found);
    flags(&sources.flags, &mut found.settings);

    let mut origins: BTreeMap<_, _> =
        keys::keys().iter().map(|key| (key.path.clone(), Origin::Default)).collect();
    let mut tree = Table::new();
    for setting in &found.settings {
        match setting.problem() {
            None => {
                tree = setting.insert(tree);
                origins.insert(setting.name(), setting.origin.clone());
            }
            Some(problem) => found.problems.push(problem),
        }
    }
    let config = match Config::deserialize(Value::Table(tree)) {
        Ok(config) => {
            found.problems.extend(check::relations(&config, &origins));
            found.warnings.extend(check::doubts(&config));
            config
        }
        // Each value passed on its own, so this is unreachable unless two keys share a place.
        Err(error) => {
            let expected = error.message().to_owned();
            found.problems.push(check::problem("configuration", None, (&Origin::Default, None), expected));
            Config::default()
        }
    };
    if !found.problems.is_empty() {
        return Err(found.problems);
    }
    let Found { warnings, otel, rust_log, ort_dylib_path, cuda, .. } = found;
    Ok(Loaded { config, origins, warnings, otel, rust_log, ort_dylib_path, cuda })
}

fn flags(flags: &Flags, settings: &mut Vec<Setting>) {
    let models = (!flags.models.is_empty()).then(|| Value::from(flags.models.clone()));
    let given = [
        ("models.paths", "--models", models),
        ("http.addr", "--http", flags.http.clone().map(Value::from)),
        ("grpc.addr", "--grpc", flags.grpc.clone().map(Value::from)),
        ("admin.addr", "--admin", flags.admin.clone().map(Value::from)),
    ];
    for (path, name, value) in given {
        if let (Named::Key(key), Some(value)) = (keys::lookup(path), value) {
            settings.push(Setting { key, entry: None, value, origin: Origin::Flag(name), line: None });
        }
    }
}
