//! The JSON Schema of the TOML file, and the tables of `docs/configuration.md`.

use serde_json::{Value, json};

use super::keys;

/// The JSON Schema (2020-12) of the TOML file, with descriptions and defaults.
pub fn json_schema() -> String {
    let mut schema = keys::schema();
    schema["title"] = json!("Configuration of ml-inference-api");
    complete(&mut schema, "");
    format!("{schema:#}")
}

/// Adds the `_file` forms and says in words what only the loader checks.
fn complete(node: &mut Value, prefix: &str) {
    let Some(properties) = node.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let mut files = Vec::new();
    for (name, property) in properties.iter_mut() {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        complete(property, &path);
        let Some(key) = keys::keys().iter().find(|key| key.path == path) else { continue };
        let Some(property) = property.as_object_mut() else { continue };
        property.retain(|name, _| !name.starts_with("x-"));
        property.insert("description".to_owned(), json!(format!("{} Takes {}.", key.description, key.form)));
        if key.kind == keys::Kind::Text {
            let description = format!("A file that holds the value of `{name}`.");
            files.push((format!("{name}_file"), json!({ "type": "string", "description": description })));
        }
    }
    for (name, property) in files {
        // A key of that name is a key of its own.
        properties.entry(name).or_insert(property);
    }
}

/// The tables of keys, as they stand in the documentation.
#[cfg(test)]
pub(super) fn tables() -> String {
    let mut lines = Vec::new();
    let mut section = "";
    for key in keys::keys() {
        let (parent, name) = key.path.rsplit_once('.').unwrap_or(("", &key.path));
        if parent != section {
            lines.push(format!("\n### `[{parent}]`\n"));
            lines.push("| key | default | takes | what for |\n|---|---|---|---|".to_owned());
            section = parent;
        }
        let default = match default_of(&key.path) {
            Some(value) => format!("`{value}`"),
            None => "-".to_owned(),
        };
        let row = format!("| `{name}` | {default} | {} | {} |", key.form, key.description);
        lines.push(row);
    }
    lines.join("\n") + "\n"
}

/// The default of the key, as the schema has it.
#[cfg(test)]
pub(super) fn default_of(path: &str) -> Option<Value> {
    let pointer = format!("/properties/{}/default", path.replace('.', "/properties/"));
    keys::schema().pointer(&pointer).cloned()
}
