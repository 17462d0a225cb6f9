//! The keys file: `[[keys]]` with `name`, `sha256`, `scopes` and perhaps `expires`.
//!
//! Read at start and whenever it changes. Invariant: every mistake is told at once, by the entry's
//! place and name; no digest, and no value that could be a key, is in a message.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use super::{Key, Scope, expiry};

const FIELDS: [&str; 4] = ["name", "sha256", "scopes", "expires"];
/// Longest name, in characters.
const MAX_NAME: usize = 64;
/// Longest unknown field that is named: a key written in its place is longer.
const MAX_FIELD: usize = 32;

/// One mistake in the keys file, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyProblem(pub(super) String);

/// The keys that the file holds.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn read(path: &Path) -> Result<Vec<Arc<Key>>, Vec<KeyProblem>> {
    let text = fs::read_to_string(path)
        .map_err(|error| vec![KeyProblem(format!("the file cannot be read ({})", error.kind()))])?;
    parse(&text)
}

/// The entry of the keys file for a new key.
///
/// # Errors
/// Every argument that no entry may have.
pub fn key_entry(
    key: &str,
    name: &str,
    scopes: &[String],
    expires: Option<&str>,
) -> Result<String, Vec<KeyProblem>> {
    let (name, scopes) = (Value::from(name), Value::from(scopes.to_vec()));
    let sha256 = Sha256::digest(key);
    let expires = expires.map(|when| format!("expires = {}\n", Value::from(when))).unwrap_or_default();
    let entry = format!("[[keys]]\nname = {name}\nsha256 = \"{sha256:x}\"\nscopes = {scopes}\n{expires}");
    parse(&entry)?;
    Ok(entry)
}

/// An entry as far as it is right.
struct Draft {
    place: String,
    name: Option<String>,
    sha256: Option<[u8; 32]>,
    scopes: Option<Vec<Scope>>,
    expires: Option<SystemTime>,
}

pub(super) fn parse(text: &str) -> Result<Vec<Arc<Key>>, Vec<KeyProblem>> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| vec![syntax(text, &error)])?;
    let mut problems = Vec::new();
    if table.keys().any(|name| name != "keys") {
        problems.push(KeyProblem("the file may hold nothing but [[keys]]".to_owned()));
    }
    let entries = match table.get("keys") {
        Some(Value::Array(entries)) if !entries.is_empty() => entries.as_slice(),
        _ => {
            problems.push(KeyProblem("the file must hold at least one [[keys]]".to_owned()));
            &[]
        }
    };
    let drafts: Vec<Draft> =
        (1..).zip(entries).filter_map(|(number, entry)| draft(number, entry, &mut problems)).collect();
    duplicates(&drafts, &mut problems);
    if problems.is_empty() { Ok(drafts.into_iter().filter_map(finished).collect()) } else { Err(problems) }
}

/// The parser's own words, never the line itself.
fn syntax(text: &str, error: &toml::de::Error) -> KeyProblem {
    let before = error.span().map_or(0, |span| span.start);
    let line = text.bytes().take(before).filter(|byte| *byte == b'\n').count() + 1;
    KeyProblem(format!("line {line}: not valid TOML: {}", error.message().replace('\n', ", ")))
}

fn draft(number: usize, entry: &Value, problems: &mut Vec<KeyProblem>) -> Option<Draft> {
    let mut place = format!("entry {number}");
    let Value::Table(entry) = entry else {
        problems.push(KeyProblem(format!("{place}: must be a table")));
        return None;
    };
    let name = entry.get("name").and_then(Value::as_str).filter(|name| is_name(name)).map(str::to_owned);
    if let Some(name) = &name {
        place = format!("{place} (\"{name}\")");
    }
    let sha256 = entry.get("sha256").and_then(Value::as_str).and_then(digest);
    let scopes = entry.get("scopes").and_then(scopes);
    let expires = entry.get("expires").map(expiry::moment);
    let mut wrong = |what: String| problems.push(KeyProblem(format!("{place}: {what}")));
    if name.is_none() {
        wrong(format!("`name` must be 1 to {MAX_NAME} letters, digits, dots, underscores or hyphens"));
    }
    if sha256.is_none() {
        wrong("`sha256` must be the 64 hexadecimal digits of the key's SHA-256".to_owned());
    }
    if scopes.is_none() {
        let known = Scope::ALL.map(Scope::text).join(", ");
        wrong(format!("`scopes` must be a list of at least one out of {known}"));
    }
    if expires == Some(None) {
        wrong("`expires` must be a date, or a date-time with its offset, as in RFC 3339".to_owned());
    }
    for field in entry.keys().filter(|field| !FIELDS.contains(&field.as_str())) {
        let shown = if field.len() <= MAX_FIELD && is_name(field) { field } else { "..." };
        wrong(format!("unknown field `{shown}`: an entry has {}", FIELDS.join(", ")));
    }
    Some(Draft { place, name, sha256, scopes, expires: expires.flatten() })
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let bytes: Vec<u8> =
        digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    (hex.len() == 64).then(|| bytes.try_into().ok()).flatten()
}

fn scopes(value: &Value) -> Option<Vec<Scope>> {
    let listed = value.as_array().filter(|listed| !listed.is_empty())?;
    let scope = |name: &Value| Scope::ALL.into_iter().find(|scope| Some(scope.text()) == name.as_str());
    listed.iter().map(scope).collect()
}

fn duplicates(drafts: &[Draft], problems: &mut Vec<KeyProblem>) {
    for (index, draft) in drafts.iter().enumerate() {
        for earlier in &drafts[..index] {
            let (place, other) = (&draft.place, &earlier.place);
            if draft.name.is_some() && draft.name == earlier.name {
                problems.push(KeyProblem(format!("{place}: `name` must not be that of {other}")));
            }
            if draft.sha256.is_some() && draft.sha256 == earlier.sha256 {
                problems.push(KeyProblem(format!("{place}: `sha256` must not be that of {other}")));
            }
        }
    }
}

fn finished(draft: Draft) -> Option<Arc<Key>> {
    let Draft { name, sha256, scopes, expires, place: _ } = draft;
    Some(Arc::new(Key { name: name?.into(), sha256: sha256?, scopes: scopes?, expires }))
}
