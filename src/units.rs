//! Durations and sizes as people write them: `"250ms"`, `"64MiB"`.
//!
//! Used by the configuration and by model manifests; a leaf that knows nothing of ours.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A text that is no duration or size; says which form was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct UnitError(&'static str);

/// A duration written with a unit: `us`, `ms`, `s`, `m`, `h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Timespan(pub Duration);

/// A size in bytes written with a unit: `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB`, `GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ByteSize(pub u64);

const TIMES: [(&str, u64); 5] =
    [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)];
const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];
const TIME_FORM: &str = "a number with a unit out of us, ms, s, m, h, such as \"250ms\"";
const SIZE_FORM: &str = "a number with a unit out of B, KiB, MiB, GiB, kB, MB, GB, such as \"64MiB\"";

fn scaled(text: &str, units: &[(&str, u64)], form: &'static str) -> Result<u64, UnitError> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..digits], text[digits..].trim_start());
    let &(_, factor) = units.iter().find(|(name, _)| *name == unit).ok_or(UnitError(form))?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or(UnitError(form));
    }
    let fraction: f64 = number.parse().map_err(|_| UnitError(form))?;
    #[expect(clippy::cast_precision_loss, reason = "a fraction of a unit is approximate anyway")]
    let value = fraction * factor as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked on both sides")]
    if (0.0..1.8e19).contains(&value) { Ok(value.round() as u64) } else { Err(UnitError(form)) }
}

fn written(value: u64, units: &[(&str, u64)], zero: &str) -> String {
    if value == 0 {
        return zero.to_owned();
    }
    units
        .iter()
        .find(|(_, factor)| value.is_multiple_of(*factor))
        .map_or_else(|| format!("{value}ns"), |(unit, factor)| format!("{}{unit}", value / factor))
}

impl FromStr for Timespan {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        scaled(text, &TIMES, TIME_FORM).map(|nanos| Self(Duration::from_nanos(nanos)))
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        scaled(text, &SIZES, SIZE_FORM).map(Self)
    }
}

impl fmt::Display for Timespan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX);
        f.write_str(&written(nanos, &TIMES, "0ms"))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&written(self.0, &SIZES, "0B"))
    }
}

macro_rules! text_form {
    ($type:ident, $form:ident, $pattern:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(|_| de::Error::invalid_value(de::Unexpected::Str(&text), &$form))
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

text_form!(Timespan, TIME_FORM, r"^[0-9]+(\.[0-9]+)?\s*(us|ms|s|m|h)$");
text_form!(ByteSize, SIZE_FORM, r"^[0-9]+(\.[0-9]+)?\s*(B|KiB|MiB|GiB|kB|MB|GB)$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_write() {
        for (text, nanos) in
            [("0ms", 0), ("250us", 250_000), ("1.5s", 1_500_000_000), ("2 m", 120_000_000_000)]
        {
            assert_eq!(text.parse(), Ok(Timespan(Duration::from_nanos(nanos))), "{text}");
        }
        assert_eq!("1500ms".parse::<Timespan>().unwrap().to_string(), "1500ms");
        assert_eq!("3600s".parse::<Timespan>().unwrap().to_string(), "1h");
        for bad in ["", "5", "-1s", "1 day", "s", "1e3s", "99999999999999h"] {
            assert!(bad.parse::<Timespan>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_read_and_write() {
        assert_eq!("64MiB".parse(), Ok(ByteSize(64 << 20)));
        assert_eq!("1.5kB".parse(), Ok(ByteSize(1_500)));
        assert_eq!(ByteSize(64 << 20).to_string(), "64MiB");
        for bad in ["", "64", "64mib", "-1B"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
    }
}
