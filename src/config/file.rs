//! Reads the TOML file into settings, each with its line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::check::{self, Setting};
use super::keys::{self, Kind, Named};
use super::load::Found;
use super::source::{ConfigProblem, Origin};

/// Adds what `text` sets, or every mistake of its syntax: a broken text says nothing about its keys.
pub(super) fn read(path: &Path, text: &str, found: &mut Found) {
    let (spanned, errors) = DeTable::parse_recoverable(text);
    let line_at =
        |offset: usize| text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1;
    let syntax = |error: &toml::de::Error| ConfigProblem {
        key: path.display().to_string(),
        value: None,
        origin: match error.span() {
            Some(span) => format!("line {}", line_at(span.start)),
            None => "file".to_owned(),
        },
        expected: format!("valid TOML: {}", error.message().replace('\n', ", ")),
    };
    if !errors.is_empty() {
        found.problems.extend(errors.iter().map(syntax));
        return;
    }
    let table: Table = match toml::from_str(text) {
        Ok(table) => table,
        Err(error) => {
            found.problems.push(syntax(&error));
            return;
        }
    };
    let mut lines = BTreeMap::new();
    find_lines(spanned.get_ref(), "", &line_at, &mut lines);
    Reader { origin: Origin::File(path.to_owned()), lines, found }.section(&table, "");
}

fn find_lines(
    table: &DeTable<'_>,
    prefix: &str,
    line_at: &dyn Fn(usize) -> usize,
    lines: &mut BTreeMap<String, usize>,
) {
    for (name, value) in table {
        let path = joined(prefix, name.get_ref());
        lines.insert(path.clone(), line_at(name.span().start));
        if let DeValue::Table(inner) = value.get_ref() {
            find_lines(inner, &path, line_at, lines);
        }
    }
}

fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

struct Reader<'a> {
    origin: Origin,
    lines: BTreeMap<String, usize>,
    found: &'a mut Found,
}

impl Reader<'_> {
    fn section(&mut self, table: &Table, prefix: &str) {
        for (name, value) in table {
            let path = joined(prefix, name);
            // A name with a dot in quotes is never one of ours, whatever it spells.
            let named = if name.contains('.') { Named::Unknown } else { keys::lookup(&path) };
            match (named, value) {
                (Named::Section, Value::Table(inner)) => self.section(inner, &path),
                (Named::Section, _) => self.problem(&path, value, "a table".to_owned()),
                (Named::Key(key), Value::Table(entries)) if key.kind == Kind::Map => {
                    for (entry, value) in entries {
                        let line = self.line(&joined(&path, entry));
                        self.set(key, Some(entry.clone()), value, line);
                    }
                }
                (Named::Key(key), _) => self.set(key, None, value, self.line(&path)),
                (Named::FileOf(key), Value::String(file)) => {
                    let exact = key.path.rsplit('.').next().unwrap_or_default();
                    if table.contains_key(exact) {
                        let warning = format!("{path} is ignored: {} is set beside it", key.path);
                        self.found.warnings.push(warning);
                    } else {
                        self.found.add_file(key, &path, &PathBuf::from(file));
                    }
                }
                (Named::FileOf(_), _) => {
                    self.problem(&path, value, "the path of a file that can be read".to_owned());
                }
                (Named::Entry(..) | Named::Unknown, _) => {
                    let place = (&self.origin, self.line(&path));
                    let problem = check::unknown(&path, &path, value, place, str::to_owned);
                    self.found.problems.push(problem);
                }
            }
        }
    }

    fn set(&mut self, key: &'static keys::Key, entry: Option<String>, value: &Value, line: Option<usize>) {
        let (value, origin) = (value.clone(), self.origin.clone());
        self.found.settings.push(Setting { key, entry, value, origin, line });
    }

    fn problem(&mut self, path: &str, value: &Value, expected: String) {
        let problem = check::problem(path, Some(value), (&self.origin, self.line(path)), expected);
        self.found.problems.push(problem);
    }

    fn line(&self, path: &str) -> Option<usize> {
        self.lines.get(path).copied()
    }
}
