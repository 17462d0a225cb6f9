//! Model names and versions as they stand in paths, routes, metrics and bodies.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A name that is no valid model name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a model name is a letter or digit, then at most 127 letters, digits, dots, underscores or hyphens")]
pub struct NameError;

/// A valid model name: `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelName(Arc<str>);

impl ModelName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// So that maps by name are searched with the text of a route. Equality, order and hash are the text's.
impl Borrow<str> for ModelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModelName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut bytes = text.bytes();
        let first_ok = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let rest_ok = bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if first_ok && rest_ok && text.len() <= 128 { Ok(Self(text.into())) } else { Err(NameError) }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A model's version: a decimal integer without leading zeros, ordered as an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u64);

impl Version {
    /// What a model without versions is served as.
    pub const UNVERSIONED: Self = Self(1);

    /// The version that `text` spells, if it is one in canonical form (`"2"`, not `"02"`).
    pub fn parse(text: &str) -> Option<Self> {
        let number: u64 = text.parse().ok()?;
        (number.to_string() == text).then_some(Self(number))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_pattern() {
        for good in ["a", "A-1", "fraud-detector", "0.5_x", &"x".repeat(128)] {
            assert!(good.parse::<ModelName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "a b", "a/b", "é", "a\0", &"x".repeat(129)] {
            assert!(bad.parse::<ModelName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_are_integers_in_canonical_form() {
        assert_eq!(Version::parse("10"), Some(Version(10)));
        assert!(Version::parse("10") > Version::parse("9"));
        for bad in ["", "01", "+1", "-1", "1.0", "v1", "99999999999999999999"] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }
}
