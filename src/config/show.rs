//! Writes the effective configuration with each value's source, and hides what may be a secret.
//!
//! For the command `config`, and for the values in messages. The output is valid TOML.

use toml::{Table, Value};

use super::keys::{self, Kind};
use super::load::Loaded;
use super::source::Origin;

const REDACTED: &str = "<redacted>";
const MOST_CHARACTERS: usize = 120;

/// The effective configuration as TOML, each value with its source; secrets are redacted.
///
/// A value is a secret when it was read from a file that a `_FILE` form names, when its key or
/// variable has one of the words token, secret, password, passphrase, credential, key, headers or
/// authorization (and is not a path), and, inside a URI, its user and its query.
pub fn show(loaded: &Loaded) -> String {
    let tree = Table::try_from(&loaded.config).unwrap_or_default();
    let mut out = String::new();
    let mut section = "";
    for key in keys::keys() {
        let (parent, name) = key.path.rsplit_once('.').unwrap_or(("", &key.path));
        if parent != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            push(&mut out, &format!("{gap}[{parent}]"));
            section = parent;
        }
        match at(&tree, &key.path) {
            Some(Value::Table(entries)) if key.kind == Kind::Map => {
                for (entry, value) in entries {
                    let path = format!("{}.{entry}", key.path);
                    let name = format!("{name}.{}", Value::from(entry.as_str()));
                    line(&mut out, &name, &path, (value, loaded));
                }
            }
            Some(value) => line(&mut out, name, &key.path, (value, loaded)),
            None => push(&mut out, &format!("# {name} is not set")),
        }
    }
    environment(&mut out, loaded);
    out
}

fn line(out: &mut String, name: &str, path: &str, (value, loaded): (&Value, &Loaded)) {
    let origin = loaded.origins.get(path).unwrap_or(&Origin::Default);
    let value = match origin {
        Origin::SecretFile { .. } => redacted(),
        _ => hide(path, value).to_string(),
    };
    push(out, &format!("{name} = {value}  # {}", one_line(&origin.to_string())));
}

fn environment(out: &mut String, loaded: &Loaded) {
    let library = loaded.ort_dylib_path.iter().map(|path| ("ORT_DYLIB_PATH", path.display().to_string()));
    let otel = loaded.otel.iter().map(|(name, text)| (name.as_str(), text.clone()));
    for (index, (name, text)) in library.chain(otel).enumerate() {
        if index == 0 {
            push(out, "\n# Variables of the environment that are no keys:");
        }
        push(out, &format!("# {name} = {}", one_line(&hide(name, &Value::from(text)).to_string())));
    }
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

fn at<'a>(tree: &'a Table, path: &str) -> Option<&'a Value> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let value = tree.get(first)?;
    if rest.is_empty() { Some(value) } else { at(value.as_table()?, rest) }
}

/// The value for a message: redacted where it may be a secret, in one line, not too long.
pub(super) fn shown(key: &str, value: &Value) -> String {
    let text = match hide(key, value) {
        Value::Table(_) => "a table".to_owned(),
        value => one_line(&value.to_string()),
    };
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// What stands for a secret.
pub(super) fn redacted() -> String {
    Value::from(REDACTED).to_string()
}

fn hide(key: &str, value: &Value) -> Value {
    if is_secret(key) {
        return Value::from(REDACTED);
    }
    match value {
        Value::String(text) => Value::from(without_credentials(text)),
        Value::Array(items) => Value::Array(items.iter().map(|item| hide(key, item)).collect()),
        other => other.clone(),
    }
}

fn is_secret(key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or(key).to_lowercase();
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let secret = [
        "token",
        "secret",
        "password",
        "passphrase",
        "credential",
        "credentials",
        "key",
        "apikey",
        "headers",
        "authorization",
    ];
    !name.ends_with("_file") && words.any(|word| secret.contains(&word))
}

/// A URI without its user and its query, which may hold a password or a signature.
fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = match host.rsplit_once('@') {
        Some((_, host)) => format!("{REDACTED}@{host}"),
        None => host.to_owned(),
    };
    let path = match path.split_once('?') {
        Some((path, _)) => format!("{path}?{REDACTED}"),
        None => path.to_owned(),
    };
    format!("{scheme}://{host}{path}")
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
