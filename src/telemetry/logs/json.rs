//! One JSON object a line, with the ids that join logs to traces and requests.
//!
//! Installed by [`super::install`]. Invariant: every line parses, has each key once, and is bounded.

use std::io::Write;

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use super::event::{Entry, IDS, Output};
use super::timestamp::rfc3339;

/// Writes events as JSON lines.
#[derive(Debug)]
pub(super) struct JsonLines<W>(pub(super) W);

impl<W> Output for JsonLines<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    fn take(&self, entry: Entry) {
        let metadata = entry.metadata;
        let mut line = Line::default();
        line.add("timestamp", &rfc3339(entry.time).into());
        line.add("level", &metadata.level().as_str().into());
        line.add("message", &entry.message);
        line.add("target", &metadata.target().into());
        for (key, value) in IDS.into_iter().filter_map(|key| Some((key, entry.ids.get(key)?))) {
            line.add(key, value);
        }
        for (key, value) in entry.fields() {
            line.add(&key, value);
        }
        drop(self.0.make_writer().write_all(line.finished().as_bytes()));
    }
}

/// A JSON object on one line, its keys in the order they were added.
#[derive(Debug, Default)]
struct Line(String);

impl Line {
    fn add(&mut self, key: &str, value: &Value) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(&Value::from(key).to_string());
        self.0.push(':');
        self.0.push_str(&value.to_string());
    }

    fn finished(mut self) -> String {
        self.0.push_str("}\n");
        self.0
    }
}
