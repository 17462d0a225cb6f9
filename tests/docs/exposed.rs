//! Metrics as the server exposes them and as `docs/telemetry.md` tells of them.

use std::collections::{BTreeMap, BTreeSet};

/// A metric's type, and its labels without `service` and `le`.
pub(crate) type Facts = (String, BTreeSet<String>);

/// A row of the table.
pub(crate) struct Row {
    pub(crate) facts: Facts,
    /// Not there in a process that just started.
    pub(crate) appears_later: bool,
}

/// Type and labels of every metric in a scrape.
pub(crate) fn exposed(text: &str) -> BTreeMap<String, Facts> {
    let mut metrics: BTreeMap<String, Facts> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            current = String::from(name);
            metrics.insert(current.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if let (Some(facts), Some((_, labels))) = (metrics.get_mut(&current), line.split_once('{')) {
            let names = labels.split("=\"").filter_map(|part| part.rsplit(['{', ',', '"']).next());
            let own = names.filter(|name| !["service", "le"].contains(name) && !name.contains(['}', ' ']));
            facts.1.extend(own.filter(|name| !name.is_empty()).map(str::to_owned));
        }
    }
    metrics
}

/// The rows of the documented table: name, type, labels, meaning.
pub(crate) fn documented(text: &str) -> BTreeMap<String, Row> {
    let table = text
        .split("<!-- metrics: begin -->")
        .nth(1)
        .and_then(|rest| rest.split("<!-- metrics: end -->").next());
    let rows = table
        .expect("docs/telemetry.md marks its table of metrics")
        .lines()
        .filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, meaning] = cells[..] else { panic!("expected four cells in {line}") };
        let labels = labels.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let row = Row { facts: (kind.to_owned(), labels), appears_later: meaning.contains("Absent until") };
        (name.trim_matches('`').to_owned(), row)
    })
    .collect()
}
