//! The body of `/v1/embeddings`, with the texts left as they stand until the model is known that takes them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::http::decode;
use crate::http::kind::Kind;
use crate::service::{ErrorCode, ServiceError};
use crate::task::{DecodeLimits, DecodeReport, Decoded, EmbeddingChoice, Task};

/// The member that holds the texts.
const INPUT: &str = "input";

/// What the body may hold.
const MEMBERS: [&str; 6] = [INPUT, "model", "encoding_format", "dimensions", "user", "truncate"];

/// What a body asks for.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    input: &'a RawValue,
    /// The model; none = the default one.
    pub(super) model: Option<Cow<'a, str>>,
    /// How vectors are written.
    pub(super) encoding: Encoding,
    choice: EmbeddingChoice,
}

/// How vectors are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As numbers.
    #[default]
    Float,
    /// As bytes in base64.
    Base64,
}

impl Asked<'_> {
    /// Reads the texts for `task`.
    ///
    /// # Errors
    /// What is wrong with them, and where.
    pub(super) fn decode(&self, task: &Task, limits: &DecodeLimits) -> Result<Decoded, ServiceError> {
        let mut report = DecodeReport::new();
        let mut deserializer = serde_json::Deserializer::from_str(self.input.get());
        task.decode_input((INPUT, &mut deserializer), self.choice, limits, &mut report)
            .map_err(|error| decode::refusal(&error, report))
    }
}

/// Reads all of a body but its texts.
///
/// # Errors
/// `invalid_json`; `invalid_input`, `missing_input` or `unknown_input` with the place at fault.
pub(super) fn read(body: &[u8]) -> Result<Asked<'_>, ServiceError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(ServiceError::new(ErrorCode::InvalidJson, "expected a JSON object, got an empty body"));
    }
    let members: Members<'_> = serde_json::from_slice(body).map_err(|error| no_object(body, &error))?;
    if let Some(error) = members.refused {
        return Err(error);
    }
    let member =
        |name: &str| members.values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let input = member(INPUT).ok_or_else(|| {
        let (code, came) = if members.values.is_empty() {
            (ErrorCode::InvalidInput, "an empty object")
        } else {
            (ErrorCode::MissingInput, "none")
        };
        ServiceError::new(code, format!("expected the texts in \"input\", got {came}"))
    })?;
    let encoding = optional(
        member("encoding_format"),
        "encoding_format",
        "\"float\" or \"base64\"",
        |text: Cow<'_, str>| match &*text {
            "float" => Some(Encoding::Float),
            "base64" => Some(Encoding::Base64),
            _ => None,
        },
    )?;
    let dimensions =
        optional(member("dimensions"), "dimensions", "a whole number of at least 1", |length: u64| {
            usize::try_from(length).ok().filter(|length| *length > 0)
        })?;
    let truncate = optional(member("truncate"), "truncate", "true or false", Some::<bool>)?;
    optional(member("user"), "user", "a string", Some::<Cow<'_, str>>)?;
    let model = optional(member("model"), "model", "a string", Some::<Cow<'_, str>>)?;
    Ok(Asked {
        input,
        model,
        encoding: encoding.unwrap_or_default(),
        choice: EmbeddingChoice { truncate, dimensions },
    })
}

/// The value of a member, where it is there and not null.
fn optional<'a, T: Deserialize<'a>, U>(
    value: Option<&'a RawValue>,
    name: &str,
    expected: &str,
    take: impl Fn(T) -> Option<U>,
) -> Result<Option<U>, ServiceError> {
    let Some(text) = value.map(RawValue::get).filter(|text| *text != "null") else { return Ok(None) };
    let taken = serde_json::from_str::<T>(text).ok().and_then(take);
    taken.map(Some).ok_or_else(|| {
        let detail = format!("expected {expected}, got {}", kind(text));
        ServiceError::new(ErrorCode::InvalidInput, detail).at(format!("/{name}"))
    })
}

/// What a value is, by its first character.
fn kind(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'"') => "another string",
        Some(b'[') => "an array",
        Some(b'{') => "an object",
        Some(b't' | b'f') => "a boolean",
        _ => "another number",
    }
}

/// What came in place of an object, or why it is no JSON.
fn no_object(body: &[u8], error: &serde_json::Error) -> ServiceError {
    if error.classify() != Category::Data {
        return decode::not_json(error);
    }
    match serde_json::from_slice::<Kind>(body) {
        Ok(came) => {
            let detail = format!("expected an object with \"input\", got {}", came.name());
            ServiceError::new(ErrorCode::InvalidInput, detail)
        }
        Err(error) => decode::not_json(&error),
    }
}

/// The members of an object, as they stand.
struct Members<'a> {
    values: Vec<(&'static str, &'a RawValue)>,
    /// What is wrong with a name; told once the whole is known to be JSON.
    refused: Option<ServiceError>,
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members { values: Vec::new(), refused: None };
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let value: &RawValue = map.next_value()?;
            let refused = match MEMBERS.into_iter().find(|known| *known == key) {
                Some(known) if members.values.iter().any(|(name, _)| *name == known) => {
                    let detail = "expected each member once, got this one twice";
                    Some(ServiceError::new(ErrorCode::InvalidInput, detail).at(format!("/{known}")))
                }
                Some(known) => {
                    members.values.push((known, value));
                    None
                }
                None => Some(ServiceError::new(ErrorCode::UnknownInput, unknown(&key))),
            };
            members.refused = members.refused.or(refused);
        }
        Ok(members)
    }
}

/// The refusal of a member that nobody knows, with the one that was probably meant.
fn unknown(key: &str) -> String {
    let near = |known: &&str| strsim::jaro_winkler(key, known);
    let nearest =
        MEMBERS.iter().max_by(|a, b| near(a).total_cmp(&near(b))).filter(|known| near(known) >= 0.8);
    match nearest.filter(|_| key.len() <= 64) {
        Some(known) => format!("a member that is not known; did you mean {known:?}?"),
        None => format!("a member that is not known; expected some of {}", MEMBERS.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> (ErrorCode, String, String) {
        let error = read(body.as_bytes()).unwrap_err();
        (error.code, error.pointer.unwrap_or_default(), error.detail)
    }

    #[test]
    fn a_body_keeps_its_texts_as_they_stand() {
        let asked =
            read(br#" {"dimensions": 8, "input" : [ "a" , 1 ], "encoding_format": "base64", "user": "u"} "#)
                .unwrap();
        assert_eq!(asked.input.get(), r#"[ "a" , 1 ]"#);
        assert_eq!((asked.model, asked.encoding), (None, Encoding::Base64));
        assert_eq!(asked.choice, EmbeddingChoice { truncate: None, dimensions: Some(8) });
        let asked =
            read(br#"{"input": "", "model": "a\u0062", "dimensions": null, "truncate": true}"#).unwrap();
        assert_eq!(asked.model.as_deref(), Some("ab"));
        assert_eq!(asked.choice, EmbeddingChoice { truncate: Some(true), dimensions: None });
        assert_eq!(asked.encoding, Encoding::Float);
    }

    #[test]
    fn faults_are_told_with_their_place_and_without_values() {
        use ErrorCode::{InvalidInput, InvalidJson, MissingInput, UnknownInput};
        for (body, code, pointer, detail) in [
            ("", InvalidJson, "", "empty body"),
            ("{\"input\": ", InvalidJson, "", "ends inside"),
            ("{\"inputs\": 1} x", InvalidJson, "", "not valid JSON"),
            ("{}", InvalidInput, "", "got an empty object"),
            ("[1]", InvalidInput, "", "got an array"),
            ("\"secret\"", InvalidInput, "", "got a string"),
            ("{\"model\": \"m\"}", MissingInput, "", "\"input\""),
            ("{\"inputs\": \"secret\"}", UnknownInput, "", "did you mean \"input\"?"),
            ("{\"secret\": 1, \"input\": 1}", UnknownInput, "", "expected some of input"),
            ("{\"input\": 1, \"input\": 2}", InvalidInput, "/input", "twice"),
            (
                "{\"input\": 1, \"encoding_format\": \"secret\"}",
                InvalidInput,
                "/encoding_format",
                "got another string",
            ),
            (
                "{\"input\": 1, \"encoding_format\": 1}",
                InvalidInput,
                "/encoding_format",
                "got another number",
            ),
            ("{\"input\": 1, \"dimensions\": 0}", InvalidInput, "/dimensions", "at least 1"),
            ("{\"input\": 1, \"dimensions\": 1.5}", InvalidInput, "/dimensions", "whole number"),
            ("{\"input\": 1, \"dimensions\": -1}", InvalidInput, "/dimensions", "whole number"),
            ("{\"input\": 1, \"truncate\": \"END\"}", InvalidInput, "/truncate", "true or false"),
            ("{\"input\": 1, \"model\": 7}", InvalidInput, "/model", "a string"),
            ("{\"input\": 1, \"user\": {}}", InvalidInput, "/user", "got an object"),
        ] {
            let told = refused(body);
            assert_eq!((told.0, told.1.as_str()), (code, pointer), "{body}");
            assert!(told.2.contains(detail) && !told.2.contains("secret"), "{body}: {}", told.2);
        }
    }
}
