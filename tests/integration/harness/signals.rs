//! Log records and metrics as the collector wrote them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::spans::{attributes, exports, list};

/// One exported log record.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) body: String,
    /// 9 info, 13 warn, 17 error.
    pub(crate) severity: u64,
    pub(crate) trace: String,
    pub(crate) span: String,
    pub(crate) attributes: BTreeMap<String, Value>,
    pub(crate) resource: BTreeMap<String, Value>,
}

/// One export of a metric.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    pub(crate) name: String,
    /// As the collector wrote it: a `gauge`, a `sum` or a `histogram`, with its `dataPoints`.
    pub(crate) data: Value,
    pub(crate) resource: BTreeMap<String, Value>,
}

pub(super) fn records(text: &str) -> Vec<Record> {
    let found = items(text, ["resourceLogs", "scopeLogs", "logRecords"]);
    let records = found.into_iter().map(|(resource, record)| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Record {
            body: text(&record["body"]["stringValue"]),
            severity: record["severityNumber"].as_u64().unwrap_or_default(),
            trace: text(&record["traceId"]),
            span: text(&record["spanId"]),
            attributes: attributes(&record["attributes"]),
            resource,
        }
    });
    records.collect()
}

pub(super) fn metrics(text: &str) -> Vec<Metric> {
    let found = items(text, ["resourceMetrics", "scopeMetrics", "metrics"]);
    let metrics = found.into_iter().map(|(resource, data)| Metric {
        name: data["name"].as_str().unwrap().to_owned(),
        data,
        resource,
    });
    metrics.collect()
}

/// The items of a file with the attributes of their resources; `keys` lead from an export to its items.
fn items(text: &str, keys: [&str; 3]) -> Vec<(BTreeMap<String, Value>, Value)> {
    let mut items = Vec::new();
    for export in exports(text) {
        for resource in list(&export[keys[0]]) {
            let of_resource = attributes(&resource["resource"]["attributes"]);
            for scope in list(&resource[keys[1]]) {
                items.extend(list(&scope[keys[2]]).iter().map(|item| (of_resource.clone(), item.clone())));
            }
        }
    }
    items
}
