//! The JSON object of an inference request, with each tensor's data left as the text it is.
//!
//! Members that nobody knows are passed over, as other servers of the protocol do: clients send
//! parameters of other servers' extensions. Texts of errors are ours, with the place at fault.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::service::{ErrorCode, ServiceError};

/// An inference request.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(default, borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) parameters: Object<RequestParameters>,
    #[serde(borrow)]
    pub(super) inputs: Vec<Object<InputEntry<'a>>>,
    #[serde(default, borrow)]
    pub(super) outputs: Option<Vec<Object<OutputEntry<'a>>>>,
}

/// An input tensor.
#[derive(Debug, Deserialize)]
pub(super) struct InputEntry<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    pub(super) shape: Vec<i64>,
    #[serde(borrow)]
    pub(super) datatype: Cow<'a, str>,
    #[serde(default)]
    pub(super) parameters: Object<InputParameters>,
    #[serde(default, borrow)]
    pub(super) data: Option<&'a RawValue>,
}

/// An output that is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct OutputEntry<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(default)]
    pub(super) parameters: Object<OutputParameters>,
}

/// Parameters of a request that mean something here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RequestParameters {
    /// Every output as binary, where it does not say otherwise itself.
    pub(super) binary_data_output: Option<bool>,
    /// Schedule policy: 0 = the model's default, 1 = the most urgent.
    pub(super) priority: Option<u64>,
    /// Schedule policy: microseconds, 0 = none.
    pub(super) timeout: Option<u64>,
    /// Stateful models' sequence; only its absence is served.
    #[serde(deserialize_with = "is_sequence")]
    pub(super) sequence_id: bool,
}

/// Parameters of an input that mean something here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct InputParameters {
    /// Bytes of this tensor behind the JSON.
    pub(super) binary_data_size: Option<usize>,
    /// A region of memory that client and server share.
    #[serde(deserialize_with = "is_there")]
    pub(super) shared_memory_region: bool,
}

/// Parameters of an output that mean something here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OutputParameters {
    pub(super) binary_data: Option<bool>,
    /// Only the best so many, as `value:index:label`.
    pub(super) classification: Option<usize>,
    /// A region of memory that client and server share.
    #[serde(deserialize_with = "is_there")]
    pub(super) shared_memory_region: bool,
}

/// A value that must be written as an object: what is derived would take an array of its members too.
#[derive(Debug, Default)]
pub(super) struct Object<T>(T);

impl<T> Deref for Object<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<serde::de::IgnoredAny>::deserialize(deserializer).map(|value| value.is_some())
}

/// A number other than 0 or a text that is not empty.
fn is_sequence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a number or a string")]
    enum Id {
        Number(u64),
        Text(String),
    }
    Ok(match Id::deserialize(deserializer)? {
        Id::Number(number) => number != 0,
        Id::Text(text) => !text.is_empty(),
    })
}

/// Reads the JSON of a request.
///
/// # Errors
/// `invalid_json`; `invalid_input` or `shape_mismatch` with the place at fault.
pub(super) fn read(json: &[u8]) -> Result<Object<Envelope<'_>>, ServiceError> {
    if json.iter().all(u8::is_ascii_whitespace) {
        let detail = "expected an inference request as a JSON object, got an empty body";
        return Err(ServiceError::new(ErrorCode::InvalidJson, detail));
    }
    serde_json::from_slice(json).or_else(|_| {
        // Only what fails is read again, slowly, to learn where.
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let read = serde_path_to_error::deserialize(&mut deserializer);
        let envelope = read.map_err(|error| refusal(&error))?;
        deserializer.end().map_err(|error| crate::http::decode::not_json(&error))?;
        Ok(envelope)
    })
}

fn refusal(error: &serde_path_to_error::Error<serde_json::Error>) -> ServiceError {
    let inner = error.inner();
    if inner.classify() != serde_json::error::Category::Data {
        return crate::http::decode::not_json(inner);
    }
    let pointer = pointer(error.path());
    let code = if pointer.contains("/shape") { ErrorCode::ShapeMismatch } else { ErrorCode::InvalidInput };
    let error = ServiceError::new(code, in_our_words(&inner.to_string()));
    if pointer.is_empty() { error } else { error.at(pointer) }
}

/// The place as a JSON pointer. The names in it are ours: nobody knows the others.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{key}"),
            Segment::Enum { .. } | Segment::Unknown => String::new(),
        })
        .collect()
}

/// The deserializer's sentence without the value that it quotes.
fn in_our_words(text: &str) -> String {
    let text = text.rsplit_once(" at line ").map_or(text, |(text, _)| text);
    if let Some(name) = text.strip_prefix("missing field ") {
        return format!("expected the member {name}, which is missing");
    }
    if let Some(name) = text.strip_prefix("duplicate field ") {
        return format!("the member {name} stands twice");
    }
    let kinds = [
        ("boolean", "a boolean"),
        ("integer", "a number"),
        ("floating point", "a number"),
        ("string", "a string"),
        ("null", "null"),
        ("unit", "null"),
        ("sequence", "an array"),
        ("map", "an object"),
        ("number", "a number"),
    ];
    let came = text.split_once(": ").map_or("", |(_, rest)| rest);
    let came = kinds.iter().find(|(word, _)| came.starts_with(word)).map_or("something else", |kind| kind.1);
    // What was expected stands at the end and is ours; a quoted value may hold the words before it.
    let expected = text.rsplit_once(", expected ").map_or("another value", |(_, expected)| expected);
    let expected = match expected {
        "i64" | "i128" => "an integer",
        "u64" | "usize" => "an integer of 0 or more",
        "bool" => "true or false",
        "a sequence" => "an array",
        other => other,
    };
    // A number of the right kind that is refused is beyond the type.
    let other =
        if came == "a number" && expected.starts_with("an integer") { "another number" } else { came };
    format!("expected {expected}, got {other}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> (ErrorCode, String, String) {
        let error = read(json.as_bytes()).unwrap_err();
        (error.code, error.pointer.unwrap_or_default(), error.detail)
    }

    #[test]
    fn a_request_keeps_its_data_as_text() {
        let json = br#" {"id": "a\n", "inputs": [{"data": [ [1,2] ], "shape": [1, 2], "name": "x",
            "datatype": "FP32", "parameters": {"other": 1}}], "outputs": [{"name": "y"}], "more": [{}]} "#;
        let envelope = read(json).unwrap();
        assert_eq!(envelope.inputs[0].data.unwrap().get(), "[ [1,2] ]");
        assert_eq!(envelope.inputs[0].shape, [1, 2]);
        assert_eq!(envelope.id.as_deref(), Some("a\n"));
        assert_eq!(envelope.outputs.as_ref().unwrap().len(), 1);
        assert!(!envelope.parameters.sequence_id);
    }

    #[test]
    fn faults_are_told_with_their_place_and_without_values() {
        let input = |rest: &str| format!(r#"{{"inputs": [{{"name": "x", "datatype": "FP32" {rest}}}]}}"#);
        let cases = [
            ("{}".to_owned(), "", "expected the member `inputs`, which is missing"),
            ("[1]".to_owned(), "", "expected an object, got an array"),
            (
                r#"{"inputs": [["x", [1], "FP32"]]}"#.to_owned(),
                "/inputs/0",
                "expected an object, got an array",
            ),
            (
                r#"{"inputs": [], "parameters": 1}"#.to_owned(),
                "/parameters",
                "expected an object, got a number",
            ),
            (r#"{"inputs": 5}"#.to_owned(), "/inputs", "expected an array, got a number"),
            (input(""), "/inputs/0", "expected the member `shape`, which is missing"),
            (input(r#", "shape": [1], "shape": [1]"#), "/inputs/0", "the member `shape` stands twice"),
            (
                input(r#", "shape": [1], "parameters": {"binary_data_size": "secret, expected u8"}"#),
                "/inputs/0/parameters/binary_data_size",
                "expected an integer of 0 or more, got a string",
            ),
            (
                input(r#", "shape": [1], "parameters": {"binary_data_size": -1}"#),
                "/inputs/0/parameters/binary_data_size",
                "expected an integer of 0 or more, got another number",
            ),
            (
                r#"{"inputs": [], "parameters": {"timeout": 1.5}}"#.to_owned(),
                "/parameters/timeout",
                "expected an integer of 0 or more, got another number",
            ),
            (
                r#"{"inputs": [], "parameters": {"sequence_id": [1]}}"#.to_owned(),
                "/parameters/sequence_id",
                "",
            ),
            (r#"{"id": 7, "inputs": []}"#.to_owned(), "/id", "expected a string, got a number"),
        ];
        for (json, pointer, detail) in cases {
            let told = refused(&json);
            assert_eq!(told.0, ErrorCode::InvalidInput, "{json}");
            assert_eq!(told.1, pointer, "{json}");
            assert!(!told.2.contains("secret"), "{json}");
            if !detail.is_empty() {
                assert_eq!(told.2, detail, "{json}");
            }
        }
        let shape = refused(&input(r#", "shape": [1.5]"#));
        assert_eq!((shape.0, shape.1.as_str()), (ErrorCode::ShapeMismatch, "/inputs/0/shape/0"));
        for broken in ["", " ", "{", "{\"inputs\": []} x", "{\"inputs\": [}", "\u{feff}{}"] {
            assert_eq!(refused(broken).0, ErrorCode::InvalidJson, "{broken:?}");
        }
    }
}
