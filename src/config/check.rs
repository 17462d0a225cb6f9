//! Checks one value against its key, and the whole configuration against itself.
//!
//! Called by the loader for every value of every source, overridden ones included: a mistake that
//! does not matter today would matter once the value above it goes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::Config;
use super::keys::{self, Bounds, Key, Kind};
use super::show::{redacted, shown};
use super::source::{ConfigProblem, Origin};
use super::values::{CORS_ORIGINS_FORM, CorsOrigin};
use crate::service::{Access, AdminToken};

/// One value that a source gives to a key.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) key: &'static Key,
    /// The entry, where the key is a table with free keys.
    pub(super) entry: Option<String>,
    pub(super) value: Value,
    pub(super) origin: Origin,
    /// The line in the TOML file.
    pub(super) line: Option<usize>,
}

impl Setting {
    /// The dotted name, as in messages.
    pub(super) fn name(&self) -> String {
        match &self.entry {
            Some(entry) => format!("{}.{entry}", self.key.path),
            None => self.key.path.clone(),
        }
    }

    /// What is wrong with the value, if anything.
    pub(super) fn problem(&self) -> Option<ConfigProblem> {
        let alone = || Config::deserialize(Value::Table(self.insert(Table::new()))).is_ok();
        if self.filled() && self.within_bounds() && alone() {
            return None;
        }
        let expected = match self.key.kind {
            Kind::Map if self.entry.is_some() => "a string",
            _ => &self.key.form,
        };
        Some(problem(&self.name(), Some(&self.value), (&self.origin, self.line), expected.to_owned()))
    }

    /// Puts the value where it belongs in `tree`.
    pub(super) fn insert(&self, mut tree: Table) -> Table {
        let mut parents: Vec<&str> = self.key.path.split('.').collect();
        let leaf = match &self.entry {
            Some(entry) => entry.as_str(),
            None => parents.pop().unwrap_or_default(),
        };
        let mut table = Some(&mut tree);
        for parent in parents {
            table = table.and_then(|table| {
                let child = table.entry(parent).or_insert_with(|| Value::Table(Table::new()));
                child.as_table_mut()
            });
        }
        if let Some(table) = table {
            table.insert(leaf.to_owned(), self.value.clone());
        }
        tree
    }

    /// No key takes an empty string, and an empty list only where that is the default; in the
    /// environment empty means unset.
    fn filled(&self) -> bool {
        match &self.value {
            Value::String(text) => !text.is_empty() || self.entry.is_some(),
            Value::Array(items) => !items.is_empty() || self.key.may_be_empty,
            _ => true,
        }
    }

    fn within_bounds(&self) -> bool {
        match (&self.key.bounds, &self.value) {
            (Bounds::Integer { min, max }, Value::Integer(number)) => (min..=max).contains(&number),
            (Bounds::Timespan { min, max }, Value::String(text)) => {
                text.parse().is_ok_and(|span| (min..=max).contains(&&span))
            }
            (Bounds::ByteSize { min, max }, Value::String(text)) => {
                text.parse().is_ok_and(|size| (min..=max).contains(&&size))
            }
            _ => true,
        }
    }
}

/// A problem whose value is shown as far as it may be.
pub(super) fn problem(
    key: &str,
    value: Option<&Value>,
    (origin, line): (&Origin, Option<usize>),
    expected: String,
) -> ConfigProblem {
    let value = value.map(|value| match origin {
        Origin::SecretFile { .. } => redacted(),
        _ => shown(key, value),
    });
    let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
    ConfigProblem { key: key.to_owned(), value, origin: format!("{origin}{line}"), expected }
}

/// A problem with a key that does not exist; `spelled` writes a key as its source does.
pub(super) fn unknown(
    name: &str,
    path: &str,
    value: &Value,
    place: (&Origin, Option<usize>),
    spelled: impl Fn(&str) -> String,
) -> ConfigProblem {
    let guesses: Vec<_> =
        keys::suggest(path).into_iter().map(|known| format!("`{}`", spelled(known))).collect();
    let hint = match guesses.as_slice() {
        [] => String::new(),
        guesses => format!("; did you mean {}?", guesses.join(" or ")),
    };
    problem(name, Some(value), place, format!("a known key{hint}"))
}

/// What is wrong between values that are each right.
pub(super) fn relations(config: &Config, origins: &BTreeMap<String, Origin>) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    let origin = |key: &str| origins.get(key).unwrap_or(&Origin::Default);
    let tls = &config.tls;
    let needs = [
        ("tls.cert_file", &tls.cert_file, "tls.key_file", &tls.key_file),
        ("tls.key_file", &tls.key_file, "tls.cert_file", &tls.cert_file),
        ("tls.client_ca_file", &tls.client_ca_file, "tls.cert_file", &tls.cert_file),
    ];
    for (key, value, needed, other) in needs {
        if let (Some(path), None) = (value, other) {
            let value = Value::from(path.display().to_string());
            let expected = format!("`{needed}` beside it");
            problems.push(problem(key, Some(&value), (origin(key), None), expected));
        }
    }
    problems.extend(access(config, &origin));
    let files = [
        ("admin.token_file", &config.admin.token_file),
        ("auth.keys_file", &config.auth.keys_file),
        ("tls.cert_file", &tls.cert_file),
        ("tls.key_file", &tls.key_file),
        ("tls.client_ca_file", &tls.client_ca_file),
    ];
    for (key, path) in files {
        if let Some(path) = path
            && let Err(error) = readable(path)
        {
            let value = Value::from(path.display().to_string());
            let expected = format!("the path of a file that can be read ({})", error.kind());
            problems.push(problem(key, Some(&value), (origin(key), None), expected));
        }
    }
    let listeners =
        [("http.addr", config.http.addr), ("grpc.addr", config.grpc.addr), ("admin.addr", config.admin.addr)];
    for (index, (key, addr)) in listeners.iter().enumerate() {
        for (earlier, other) in &listeners[..index] {
            if collide(*addr, *other) {
                let expected = format!("another port than `{earlier}` = \"{other}\"");
                let value = Value::from(addr.to_string());
                problems.push(problem(key, Some(&value), (origin(key), None), expected));
            }
        }
    }
    problems
}

/// What is wrong with who may call.
fn access<'a>(config: &Config, origin: &impl Fn(&str) -> &'a Origin) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    let auth = &config.auth;
    let mut wrong = |key: &str, value: Value, expected: &str| {
        problems.push(problem(key, Some(&value), (origin(key), None), expected.to_owned()));
    };
    if auth.protect_metrics && auth.keys_file.is_none() {
        wrong("auth.protect_metrics", Value::from(true), "`auth.keys_file` beside it");
    }
    let origins = &config.http.cors_origins;
    if origins.len() > 1 && origins.iter().any(CorsOrigin::is_any) {
        let value = origins.iter().map(CorsOrigin::as_str).collect::<Vec<_>>().into();
        wrong("http.cors_origins", value, CORS_ORIGINS_FORM);
    }
    if let Some(path) = config.admin.token_file.as_ref().filter(|path| readable(path).is_ok())
        && let Err(found) = AdminToken::from_file(path)
    {
        let value = Value::from(path.display().to_string());
        wrong("admin.token_file", value, &format!("a file with a token: {found}"));
    }
    if let Some(path) = auth.keys_file.as_ref().filter(|path| readable(path).is_ok()) {
        for found in Access::from_file(path).err().unwrap_or_default() {
            let value = Value::from(path.display().to_string());
            wrong("auth.keys_file", value, &format!("a file of valid keys: {found}"));
        }
    }
    problems
}

fn readable(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    File::open(path).map(drop)
}

fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same_host = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && same_host && one.is_ipv4() == other.is_ipv4()
}

/// What is allowed, yet hardly meant.
pub(super) fn doubts(config: &Config) -> Vec<String> {
    let limits = &config.limits;
    let mut warnings = Vec::new();
    if limits.max_body_bytes > limits.max_inflight_bytes {
        warnings.push(format!(
            "limits.max_body_bytes = {} can never be used up: limits.max_inflight_bytes = {} is smaller",
            limits.max_body_bytes, limits.max_inflight_bytes
        ));
    }
    warnings
}
