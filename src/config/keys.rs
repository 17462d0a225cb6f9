//! The table of every key, made from the schema of [`Config`]: kind, form, default, description.
//!
//! Loader, `show`, schema and documentation all walk this table, so that none of them can forget a key.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use super::Config;
use crate::units::{ByteSize, Timespan};

/// What a key takes, as far as reading a variable needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string in TOML: text, path, address, duration, size or one of several words.
    Text,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A list of strings.
    List,
    /// A table of strings whose keys are free.
    Map,
}

/// Bounds that a schema cannot say, as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bounds {
    None,
    Integer { min: i64, max: i64 },
    Timespan { min: Timespan, max: Timespan },
    ByteSize { min: ByteSize, max: ByteSize },
}

/// One key of the configuration.
#[derive(Debug)]
pub(super) struct Key {
    /// Dotted, as in `limits.request_timeout`.
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) bounds: Bounds,
    /// Whether an empty list may be written: where it is the default.
    pub(super) may_be_empty: bool,
    /// What it takes, in words.
    pub(super) form: String,
    pub(super) description: String,
}

/// What a dotted name stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Named<'a> {
    Key(&'static Key),
    /// An entry of a table with free keys.
    Entry(&'static Key, &'a str),
    /// `<key>_file`: the file that holds the key's value.
    FileOf(&'static Key),
    Section,
    Unknown,
}

static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let mut keys = Vec::new();
    collect(&schema(), "", &mut keys);
    keys
});

/// Every key, sections in alphabetical order.
pub(super) fn keys() -> &'static [Key] {
    &KEYS
}

/// The schema of [`Config`] with nothing but inline parts, and without null, which TOML has not.
pub(super) fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Config>().to_value();
    without_null(&mut schema);
    schema
}

/// The name of the variable that sets `path`.
pub(super) fn variable(path: &str) -> String {
    format!("ML_INFERENCE_{}", path.replace('.', "__").to_uppercase())
}

/// Finds what `path` stands for; an exact key wins over the `_file` form of another.
pub(super) fn lookup(path: &str) -> Named<'_> {
    if let Some(key) = find(path) {
        return Named::Key(key);
    }
    if let Some((parent, entry)) = path.rsplit_once('.')
        && let Some(key) = find(parent).filter(|key| key.kind == Kind::Map && !entry.is_empty())
    {
        return Named::Entry(key, entry);
    }
    if let Some(key) = path.strip_suffix("_file").and_then(find).filter(|key| key.kind == Kind::Text) {
        return Named::FileOf(key);
    }
    if sections().any(|section| section == path) { Named::Section } else { Named::Unknown }
}

fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

fn sections() -> impl Iterator<Item = &'static str> {
    KEYS.iter().flat_map(|key| key.path.match_indices('.').map(|(end, _)| &key.path[..end]))
}

/// The keys that an unknown one was probably meant to be.
pub(super) fn suggest(path: &str) -> Vec<&'static str> {
    // A secret written where only the path of its file may stand.
    if let Some(key) = find(&format!("{path}_file")) {
        return vec![&key.path];
    }
    let leaf = path.rsplit('.').next().unwrap_or(path);
    let mut misplaced: Vec<_> = KEYS
        .iter()
        .map(|key| key.path.as_str())
        .filter(|known| *known != path && known.rsplit('.').next() == Some(leaf))
        .collect();
    let close = KEYS
        .iter()
        .map(|key| key.path.as_str())
        .chain(sections())
        .map(|known| (strsim::normalized_damerau_levenshtein(path, known), known))
        .filter(|(likeness, _)| *likeness >= 0.7)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    if let Some((_, known)) = close {
        return vec![known];
    }
    misplaced.truncate(3);
    misplaced
}

fn collect(schema: &Value, prefix: &str, keys: &mut Vec<Key>) {
    for (name, node) in schema["properties"].as_object().into_iter().flatten() {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        if node["properties"].is_object() {
            collect(node, &path, keys);
        } else {
            keys.push(key(path, node));
        }
    }
}

fn key(path: String, node: &Value) -> Key {
    let kind = match node["type"].as_str() {
        Some("integer") => Kind::Integer,
        Some("boolean") => Kind::Boolean,
        Some("array") => Kind::List,
        Some("object") => Kind::Map,
        _ => Kind::Text,
    };
    let bounds = bounds(node, kind);
    let form = match node["x-form"].as_str() {
        Some(form) => form.to_owned(),
        None => form(node, kind, &bounds),
    };
    let description = node["description"].as_str().unwrap_or_default().replace('\n', " ");
    let may_be_empty = node["default"].as_array().is_some_and(Vec::is_empty);
    Key { path, kind, bounds, may_be_empty, form, description }
}

fn bounds(node: &Value, kind: Kind) -> Bounds {
    let bound = |name: &str| node[name].as_str();
    if kind == Kind::Integer {
        let min = node["minimum"].as_i64().unwrap_or(0);
        return Bounds::Integer { min, max: node["maximum"].as_i64().unwrap_or(i64::MAX) };
    }
    if is::<Timespan>(node) {
        let min = bound("x-min").and_then(|text| text.parse().ok()).unwrap_or_default();
        let max = bound("x-max").and_then(|text| text.parse().ok());
        return Bounds::Timespan { min, max: max.unwrap_or(Timespan(std::time::Duration::MAX)) };
    }
    if is::<ByteSize>(node) {
        let min = bound("x-min").and_then(|text| text.parse().ok()).unwrap_or_default();
        let max = bound("x-max").and_then(|text| text.parse().ok());
        return Bounds::ByteSize { min, max: max.unwrap_or(ByteSize(u64::MAX)) };
    }
    Bounds::None
}

/// Whether the schema is that of `T`, which its pattern tells after inlining.
fn is<T: JsonSchema>(node: &Value) -> bool {
    let pattern = &T::json_schema(&mut SchemaGenerator::default()).to_value()["pattern"];
    !pattern.is_null() && node["pattern"] == *pattern
}

fn form(node: &Value, kind: Kind, bounds: &Bounds) -> String {
    match (kind, bounds) {
        (_, Bounds::Integer { min, max: i64::MAX }) => format!("a whole number of at least {min}"),
        (_, Bounds::Integer { min, max }) => format!("a whole number from {min} to {max}"),
        (_, Bounds::Timespan { min, max }) => {
            let range = match (min.0.is_zero(), max.0 == std::time::Duration::MAX) {
                (true, true) => String::new(),
                (false, true) => format!(" of at least {min}"),
                (_, false) => format!(" from {min} to {max}"),
            };
            format!("a duration{range} with a unit out of us, ms, s, m, h, such as `250ms`")
        }
        (_, Bounds::ByteSize { min, max }) => {
            let range = if max.0 == u64::MAX {
                format!(" of at least {min}")
            } else {
                format!(" from {min} to {max}")
            };
            format!("a size{range} with a unit out of B, KiB, MiB, GiB, kB, MB, GB, such as `64MiB`")
        }
        (Kind::Boolean, _) => "`true` or `false`".to_owned(),
        (Kind::List, _) => match words(&node["items"]) {
            Some(words) => format!("a list out of {words}"),
            None => "a list of strings".to_owned(),
        },
        (Kind::Map, _) => "a table of strings".to_owned(),
        _ => words(node).map_or_else(|| "a string".to_owned(), |words| format!("one of {words}")),
    }
}

fn words(node: &Value) -> Option<String> {
    let described = node["oneOf"].as_array().into_iter().flatten().filter_map(|one| one["const"].as_str());
    let plain = node["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let words: Vec<_> = described.chain(plain).map(|word| format!("`{word}`")).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// `Option<T>` becomes `T`: a key that is not set is left out.
fn without_null(node: &mut Value) {
    if let Value::Array(items) = node {
        items.iter_mut().for_each(without_null);
    }
    let Value::Object(object) = node else { return };
    for (keyword, child) in object.iter_mut() {
        match child.as_object_mut() {
            // Not a schema but a map of them, one of whose names is `default`.
            Some(properties) if keyword == "properties" => properties.values_mut().for_each(without_null),
            _ => without_null(child),
        }
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            object.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(words)) = object.get_mut("enum") {
        words.retain(|one| !one.is_null());
    }
    if let Some(Value::Array(variants)) = object.get_mut("anyOf") {
        variants.retain(|one| one["type"] != "null");
        if let [Value::Object(one)] = variants.as_slice() {
            let one = one.clone();
            object.remove("anyOf");
            for (name, value) in one {
                object.entry(name).or_insert(value);
            }
        }
    }
    if object.get("default").is_some_and(|value| value.is_null() || value.is_object()) {
        object.remove("default");
    }
}
