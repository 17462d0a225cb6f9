//! What a JSON value is, where nothing else of it counts.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::decode;
use crate::service::{ErrorCode, ServiceError};

/// What a JSON value is, read to its end and not kept.
pub(super) enum Kind {
    Null,
    Boolean(bool),
    Number,
    Text,
    Array,
    Object,
}

impl Kind {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyKind;

        impl<'de> Visitor<'de> for AnyKind {
            type Value = Kind;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Kind, E> {
                Ok(Kind::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
                Ok(Kind::Boolean(value))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Kind, E> {
                Ok(Kind::Number)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Kind, E> {
                Ok(Kind::Number)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Kind, E> {
                Ok(Kind::Number)
            }

            fn visit_str<E>(self, _: &str) -> Result<Kind, E> {
                Ok(Kind::Text)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Kind, A::Error> {
                while array.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Kind::Array)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Kind, A::Error> {
                while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Kind::Object)
            }
        }

        deserializer.deserialize_any(AnyKind)
    }
}

/// Longest part of an unknown name that is repeated, in characters.
pub(super) const NAME_CHARS: usize = 64;

/// A pointer to a member, of a long name its beginning.
pub(super) fn shown_pointer(name: &str) -> String {
    let name: String = name.chars().take(NAME_CHARS).collect();
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A body that may be nothing at all, and else has to be one object.
///
/// # Errors
/// `invalid_json`, and `invalid_input` for another value.
pub(super) fn object_or_nothing(bytes: &[u8]) -> Result<Option<&[u8]>, ServiceError> {
    let body = bytes.trim_ascii();
    if body.is_empty() {
        return Ok(None);
    }
    let kind: Kind = serde_json::from_slice(body).map_err(|error| decode::not_json(&error))?;
    if !matches!(kind, Kind::Object) {
        let detail = format!("expected an object or no body, got {}", kind.name());
        return Err(ServiceError::new(ErrorCode::InvalidInput, detail));
    }
    Ok(Some(body))
}
