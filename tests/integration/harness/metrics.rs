//! Prometheus' text format, read far enough to ask for a sum.

use std::collections::{BTreeMap, BTreeSet};

/// One line of the exposition.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// A scrape.
pub(crate) struct Metrics {
    pub(crate) samples: Vec<Sample>,
}

impl Metrics {
    #[track_caller]
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self { samples: lines.map(sample).collect() }
    }

    /// The samples of that name with these labels.
    pub(crate) fn with<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        let matches = |sample: &Sample| {
            labels.iter().all(|(key, value)| sample.labels.get(*key).map(String::as_str) == Some(*value))
        };
        self.samples.iter().filter(move |sample| sample.name == name && matches(sample))
    }

    /// Their sum; 0 where there is none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.with(name, labels).map(|sample| sample.value).sum()
    }

    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.samples.iter().map(|sample| sample.name.as_str()).collect()
    }

    /// Every series, without its value.
    pub(crate) fn series(&self) -> BTreeSet<String> {
        self.samples.iter().map(|sample| format!("{}{:?}", sample.name, sample.labels)).collect()
    }
}

#[track_caller]
fn sample(line: &str) -> Sample {
    let (series, value) = match line.split_once('{') {
        Some((_, rest)) => {
            let end = rest.rfind("} ").unwrap_or_else(|| panic!("no end of labels: {line}"));
            line.split_at(line.len() - rest.len() + end + 1)
        }
        None => line.split_once(' ').unwrap(),
    };
    let value = value.trim().split(' ').next().unwrap();
    let value = value.parse().unwrap_or_else(|error| panic!("{error}: {line}"));
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    Sample { name: name.into(), labels: self::labels(labels.trim_end_matches('}')), value }
}

fn labels(mut text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let (mut value, mut chars) = (String::new(), rest.char_indices());
        let end = loop {
            match chars.next() {
                Some((_, '\\')) => value.extend(chars.next().map(|(_, c)| if c == 'n' { '\n' } else { c })),
                Some((at, '"')) => break at,
                Some((_, c)) => value.push(c),
                None => panic!("unfinished label: {text}"),
            }
        };
        labels.insert(name.trim_start_matches(',').to_owned(), value);
        text = &rest[end + 1..];
    }
    labels
}
