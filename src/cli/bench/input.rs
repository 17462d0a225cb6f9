//! The body that is sent.

use std::fmt;
use std::path::Path;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::cli::Failure;

/// Of a model's description the instance to try.
#[derive(Deserialize)]
struct Description {
    example: Members,
}

/// The members of an object as they came: their order is the model's own, which it reads quickest.
struct Members(Vec<(String, serde_json::Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

/// The example in the answer to `GET /predict/{model}`; none where there is no such thing.
pub(super) fn example(description: &[u8]) -> Option<Vec<u8>> {
    let Description { example: Members(members) } = serde_json::from_slice(description).ok()?;
    let member = |(name, value)| Some(format!("{}:{value}", serde_json::to_string(&name).ok()?));
    let members: Vec<String> = members.into_iter().map(member).collect::<Option<_>>()?;
    Some(format!("{{{}}}", members.join(",")).into_bytes())
}

/// Reads a body from a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::usage(format!("--input {}: {error}", path.display())))
}

/// How many rows a body holds: its `instances`, else 1.
pub(super) fn rows(body: &[u8]) -> u64 {
    let parsed = serde_json::from_slice::<serde_json::Value>(body).ok();
    let instances = parsed.as_ref().and_then(|body| body.get("instances")).and_then(|list| list.as_array());
    instances.map_or(1, |list| list.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_keeps_the_order_of_its_members() {
        let found = example(br#"{"task": "t", "example": {"z": 1.5, "a\"": [1, null]}}"#);
        assert_eq!(found.as_deref(), Some(&br#"{"z":1.5,"a\"":[1,null]}"#[..]));
        assert_eq!(example(b"{}"), None);
        assert_eq!(example(b"<html>"), None);
    }

    #[test]
    fn rows_are_the_instances() {
        assert_eq!(rows(br#"{"instances": [[1], [2], [3]]}"#), 3);
        assert_eq!(rows(br#"{"text": "a"}"#), 1);
        assert_eq!(rows(b"[1, 2]"), 1);
        assert_eq!(rows(b"no JSON"), 1);
    }
}
