//! Protobuf's wire format, as far as OTLP needs it: fields are appended to one buffer, with no message built in between.
//!
//! Used by whatever is exported. Source: "Encoding" of Protocol Buffers' programming guide. Invariant: lengths are
//! minimal, so that what is written is what any other writer would have written.

use std::time::{SystemTime, UNIX_EPOCH};

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const DELIMITED: u32 = 2;
const FIXED32: u32 = 5;

/// `AnyValue`'s kinds that attributes of ours have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::telemetry) enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
}

macro_rules! value {
    ($($type:ty: $kind:ident;)*) => {$(
        impl<'a> From<$type> for Value<'a> {
            fn from(value: $type) -> Self {
                Self::$kind(value)
            }
        }
    )*};
}

value! {
    &'a str: Text;
    bool: Bool;
    i64: Integer;
    f64: Float;
}

fn base128(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or_default());
}

fn key(out: &mut Vec<u8>, field: u32, kind: u32) {
    base128(out, u64::from(field << 3 | kind));
}

/// A moment as OTLP's fields have it: nanoseconds since the epoch.
pub(in crate::telemetry) fn nanos(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

/// A text's first `length` characters.
pub(in crate::telemetry) fn cut(text: &str, length: usize) -> &str {
    text.char_indices().nth(length).map_or(text, |(end, _)| &text[..end])
}

/// A field of type `uint32`, `uint64`, `int64`, `bool` or an enum.
pub(in crate::telemetry) fn varint(out: &mut Vec<u8>, field: u32, value: u64) {
    key(out, field, VARINT);
    base128(out, value);
}

/// A field of type `fixed64`.
pub(in crate::telemetry) fn fixed64(out: &mut Vec<u8>, field: u32, value: u64) {
    key(out, field, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A field of type `fixed32`.
pub(in crate::telemetry) fn fixed32(out: &mut Vec<u8>, field: u32, value: u32) {
    key(out, field, FIXED32);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A field of type `double`.
pub(in crate::telemetry) fn double(out: &mut Vec<u8>, field: u32, value: f64) {
    fixed64(out, field, value.to_bits());
}

/// A field of type `string` or `bytes`.
pub(in crate::telemetry) fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    key(out, field, DELIMITED);
    base128(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// A field that is a message, whose own fields `write` appends.
pub(in crate::telemetry) fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    key(out, field, DELIMITED);
    out.push(0);
    let begin = out.len();
    write(out);
    let length = out.len() - begin;
    if let Ok(short @ 0..0x80) = u8::try_from(length) {
        out[begin - 1] = short;
        return;
    }
    // A longer length takes more than the byte that was kept for it: what was written moves on.
    let mut prefix = Vec::with_capacity(10);
    base128(&mut prefix, length as u64);
    out.splice(begin - 1..begin, prefix);
}

/// A field that is a `KeyValue`.
pub(in crate::telemetry) fn attribute(out: &mut Vec<u8>, field: u32, key: &str, value: Value<'_>) {
    message(out, field, |out| {
        bytes(out, 1, key.as_bytes());
        message(out, 2, |out| any_value(out, value));
    });
}

/// The fields of an `AnyValue`.
pub(in crate::telemetry) fn any_value(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Text(text) => bytes(out, 1, text.as_bytes()),
        Value::Bool(yes) => varint(out, 2, u64::from(yes)),
        Value::Integer(number) => varint(out, 3, number.cast_unsigned()),
        Value::Float(number) => double(out, 4, number),
    }
}

/// A field as it is read: what answers of collectors need, and no more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Read<'a> {
    /// `uint32`, `uint64`, `int64`, `bool` or an enum.
    Varint(u64),
    /// `string`, `bytes` or a message.
    Delimited(&'a [u8]),
}

/// The fields of a message with their numbers. Fixed ones are left out; the first that cannot be read ends it.
pub(super) fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u64, Read<'_>)> {
    std::iter::from_fn(move || {
        loop {
            let key = take_base128(&mut bytes)?;
            let value = match u32::try_from(key & 7).ok()? {
                VARINT => Read::Varint(take_base128(&mut bytes)?),
                DELIMITED => {
                    let length = usize::try_from(take_base128(&mut bytes)?).ok()?;
                    Read::Delimited(bytes.split_off(..length)?)
                }
                FIXED64 => {
                    bytes.split_off(..8)?;
                    continue;
                }
                FIXED32 => {
                    bytes.split_off(..4)?;
                    continue;
                }
                _ => return None,
            };
            return Some((key >> 3, value));
        }
    })
}

fn take_base128(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};

    use super::*;

    #[test]
    fn attributes_are_written_as_the_generated_code_does() {
        let long = "ä".repeat(100);
        let longer = "x".repeat(20_000);
        for (value, expected) in [
            (Value::Text(""), any_value::Value::StringValue(String::new())),
            (Value::Text(&long), any_value::Value::StringValue(long.clone())),
            (Value::Text(&longer), any_value::Value::StringValue(longer.clone())),
            (Value::Bool(true), any_value::Value::BoolValue(true)),
            (Value::Bool(false), any_value::Value::BoolValue(false)),
            (Value::Integer(-1), any_value::Value::IntValue(-1)),
            (Value::Integer(i64::MAX), any_value::Value::IntValue(i64::MAX)),
            (Value::Float(-0.25), any_value::Value::DoubleValue(-0.25)),
        ] {
            let mut written = Vec::new();
            attribute(&mut written, 9, "a.key", value);
            let attribute = KeyValue {
                key: "a.key".to_owned(),
                value: Some(AnyValue { value: Some(expected) }),
                ..KeyValue::default()
            };
            let mut expected = Vec::new();
            prost::encoding::message::encode(9, &attribute, &mut expected);
            assert_eq!(written, expected, "{value:?}");
        }
    }

    #[test]
    fn lengths_are_right_around_every_size_of_their_own() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 70_000] {
            let mut written = Vec::new();
            message(&mut written, 2, |out| message(out, 3, |out| out.resize(out.len() + length, 7)));
            let mut inner = Vec::new();
            bytes(&mut inner, 3, &vec![7; length]);
            let mut expected = Vec::new();
            prost::encoding::bytes::encode(2, &inner, &mut expected);
            assert_eq!(written, expected, "{length}");
        }
    }

    #[test]
    fn what_was_written_is_read_and_what_is_cut_ends_the_reading() {
        let mut written = Vec::new();
        varint(&mut written, 1, u64::MAX);
        fixed64(&mut written, 2, 7);
        fixed32(&mut written, 3, 7);
        bytes(&mut written, 400, b"text");
        let whole = [(1, Read::Varint(u64::MAX)), (400, Read::Delimited(b"text"))];
        assert_eq!(fields(&written).collect::<Vec<_>>(), whole);
        for length in 0..written.len() {
            assert!(fields(&written[..length]).count() < 2, "{length}");
        }
        for bad in
            [&[0x80; 11][..], &[0x0b, 1], &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]]
        {
            assert_eq!(fields(bad).count(), 0, "{bad:?}");
        }
    }
}
