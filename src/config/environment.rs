//! Reads variables into settings: `ML_INFERENCE_<SECTION>__<KEY>`, and what the field expects.
//!
//! Within the environment the order is `MODEL_NAME`, `..._FILE`, the exact variable, `RUST_LOG`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::Value;

use super::check::{self, Setting};
use super::keys::{self, Key, Kind, Named};
use super::load::{CudaVariables, Found};
use super::source::Origin;
use super::values::LogFilter;

const PREFIX: &str = "ML_INFERENCE_";

/// Adds what the variables set.
pub(super) fn read(env: &BTreeMap<String, String>, found: &mut Found) {
    let links = service_links(env);
    let mut variables = Vec::new();
    for (name, text) in env {
        let ours = name.starts_with(PREFIX) && !links.iter().any(|link| belongs(name, link));
        let known = ["MODEL_NAME", "RUST_LOG", "ORT_DYLIB_PATH"].contains(&name.as_str());
        if !ours && !known && !name.starts_with("OTEL_") {
            continue;
        }
        let path =
            name.strip_prefix(PREFIX).filter(|_| ours).map(|rest| rest.replace("__", ".").to_lowercase());
        if let Some(path) = path {
            variables.push((name, path, text));
        } else if text.is_empty() {
            warn_empty(name, found);
        } else if name.starts_with("OTEL_") {
            found.otel.insert(name.clone(), text.clone());
        }
    }
    let filled = |name: &str| env.get(name).filter(|text| !text.is_empty());
    found.ort_dylib_path = filled("ORT_DYLIB_PATH").map(PathBuf::from);
    // As they stand: to CUDA an empty one means no device.
    found.cuda = CudaVariables {
        visible_devices: env.get("CUDA_VISIBLE_DEVICES").cloned(),
        device_order: env.get("CUDA_DEVICE_ORDER").cloned(),
    };
    if let Some(text) = filled("MODEL_NAME") {
        set("models.default", "MODEL_NAME", text.clone(), found);
    }
    ours(&variables, found);
    if let Some(text) = filled("RUST_LOG") {
        if filled(&keys::variable("log.level")).is_some() {
            found.warnings.push("RUST_LOG wins over ML_INFERENCE_LOG__LEVEL; both are set".to_owned());
        }
        found.rust_log = Some(text.clone());
        set("log.level", "RUST_LOG", LogFilter::from_environment(text), found);
    }
}

fn ours(variables: &[(&String, String, &String)], found: &mut Found) {
    let mut exact = Vec::new();
    let mut files = Vec::new();
    for (name, path, text) in variables {
        let origin = Origin::Environment((*name).clone());
        match keys::lookup(path) {
            Named::Key(_) | Named::Entry(..) | Named::FileOf(_) if text.is_empty() => warn_empty(name, found),
            Named::Key(key) if key.kind != Kind::Map => {
                let value = typed(key, text);
                exact.push(Setting { key, entry: None, value, origin, line: None });
            }
            Named::Entry(key, entry) => {
                let (entry, value) = (Some(entry.to_owned()), Value::from(text.as_str()));
                exact.push(Setting { key, entry, value, origin, line: None });
            }
            Named::FileOf(key) => files.push((key, *name, PathBuf::from(text))),
            Named::Key(_) | Named::Section | Named::Unknown => {
                let value = Value::from(text.as_str());
                let problem = check::unknown(name, path, &value, (&origin, None), keys::variable);
                found.problems.push(problem);
            }
        }
    }
    for (key, name, path) in files {
        match exact.iter().find(|setting| setting.key.path == key.path) {
            Some(setting) => {
                found.warnings.push(format!(
                    "{name} is ignored: {} is set beside it",
                    keys::variable(&setting.key.path)
                ));
            }
            None => found.add_file(key, name, &path),
        }
    }
    found.settings.append(&mut exact);
}

fn set(path: &str, name: &str, text: String, found: &mut Found) {
    if let Named::Key(key) = keys::lookup(path) {
        let origin = Origin::Environment(name.to_owned());
        found.settings.push(Setting { key, entry: None, value: text.into(), origin, line: None });
    }
}

fn warn_empty(name: &str, found: &mut Found) {
    found.warnings.push(format!("{name} is empty and counts as unset"));
}

/// The text as the key's kind; what does not parse stays text and fails the check of its key.
fn typed(key: &Key, text: &str) -> Value {
    let text_value = || Value::from(text);
    match key.kind {
        Kind::Integer => text.trim().parse::<i64>().map_or_else(|_| text_value(), Value::from),
        Kind::Boolean => text.trim().parse::<bool>().map_or_else(|_| text_value(), Value::from),
        Kind::List => Value::Array(text.split(',').map(|item| Value::from(item.trim())).collect()),
        Kind::Text | Kind::Map => text_value(),
    }
}

/// Prefixes under which Kubernetes describes services to every pod of a namespace.
///
/// A service called `ml-inference-api` puts `ML_INFERENCE_API_PORT=tcp://...` and more into our
/// environment; a mistake is only what somebody wrote.
fn service_links(env: &BTreeMap<String, String>) -> Vec<&str> {
    env.keys()
        .filter_map(|name| name.strip_suffix("_SERVICE_HOST"))
        .filter(|prefix| env.contains_key(&format!("{prefix}_SERVICE_PORT")))
        .collect()
}

fn belongs(name: &str, link: &str) -> bool {
    let Some(rest) = name.strip_prefix(link) else { return false };
    rest == "_SERVICE_HOST"
        || rest == "_PORT"
        || rest.starts_with("_SERVICE_PORT")
        || rest.starts_with("_PORT_")
}
