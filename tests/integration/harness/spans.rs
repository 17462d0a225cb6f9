//! Spans as the collector wrote them.

use std::collections::BTreeMap;

use serde_json::Value;

/// One exported span.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for a root.
    pub(crate) parent: String,
    /// The `tracestate`.
    pub(crate) state: String,
    /// 1 internal, 2 server, 5 consumer.
    pub(crate) kind: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// 0 unset, 1 ok, 2 error.
    pub(crate) status: u64,
    pub(crate) attributes: BTreeMap<String, Value>,
    pub(crate) links: Vec<Link>,
    pub(crate) resource: BTreeMap<String, Value>,
}

/// A link to another span.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) trace: String,
    pub(crate) id: String,
}

pub(crate) const INTERNAL: u64 = 1;
pub(crate) const SERVER: u64 = 2;
pub(crate) const CONSUMER: u64 = 5;

/// The spans of the collector's file: one export a line, the last one perhaps not yet whole.
pub(crate) fn parse(text: &str) -> Vec<Span> {
    exports(text).iter().flat_map(of_export).collect()
}

/// The lines of a file of the collector.
pub(super) fn exports(text: &str) -> Vec<Value> {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_export(export: &Value) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource in list(&export["resourceSpans"]) {
        let of_resource = attributes(&resource["resource"]["attributes"]);
        for scope in list(&resource["scopeSpans"]) {
            spans.extend(list(&scope["spans"]).iter().map(|span| read(span, of_resource.clone())));
        }
    }
    spans
}

fn read(span: &Value, resource: BTreeMap<String, Value>) -> Span {
    let text = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
    let links = list(&span["links"]).iter().map(|link| Link {
        trace: link["traceId"].as_str().unwrap_or_default().to_owned(),
        id: link["spanId"].as_str().unwrap_or_default().to_owned(),
    });
    Span {
        name: text("name"),
        trace: text("traceId"),
        id: text("spanId"),
        parent: text("parentSpanId"),
        state: text("traceState"),
        kind: span["kind"].as_u64().unwrap_or_default(),
        start: text("startTimeUnixNano").parse().unwrap(),
        end: text("endTimeUnixNano").parse().unwrap(),
        status: span["status"]["code"].as_u64().unwrap_or_default(),
        attributes: attributes(&span["attributes"]),
        links: links.collect(),
        resource,
    }
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Attributes with plain values; 64-bit integers, which OTLP writes as text, become numbers.
pub(super) fn attributes(value: &Value) -> BTreeMap<String, Value> {
    let plain = |value: &Value| {
        if let Some(text) = value["intValue"].as_str() {
            return Value::from(text.parse::<i64>().unwrap());
        }
        value.as_object().and_then(|object| object.values().next()).cloned().unwrap_or(Value::Null)
    };
    let pairs =
        list(value).iter().map(|pair| (pair["key"].as_str().unwrap().to_owned(), plain(&pair["value"])));
    pairs.collect()
}
