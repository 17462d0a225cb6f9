//! One row of singles out of JSON that holds nothing else, read where it lies.
//!
//! A table's callers send their features in the order in which `GET` shows them, as plain numbers. Then
//! comparing each name with the one that comes next and taking the number behind it apart costs a
//! fifth of what a deserializer does. Invariant: what is read this way is what the whole way gives.
//! Whatever is not such a row (a list, another order, null, a number that takes more than plain
//! arithmetic, anything malformed) gives nothing, and the caller goes the whole way, which knows every
//! form and every refusal.

use std::sync::Arc;

use crate::task::decimal::Decimal;
use crate::task::element::Element;

/// True of a name that JSON may spell as it is, and that has no other meaning in a body.
pub(super) fn is_plain(name: &str) -> bool {
    name != "instances" && !name.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\'))
}

/// The values of an object whose members are `names`, in this order, all of them plain.
pub(super) fn row(json: &[u8], names: &[Arc<str>]) -> Option<Vec<f32>> {
    let mut row = Vec::with_capacity(names.len());
    let (mut rest, mut before) = (json, b'{');
    for name in names {
        rest = behind(behind(rest, before)?, b'"')?.strip_prefix(name.as_bytes())?;
        rest = skip_space(behind(rest.strip_prefix(b"\"")?, b':')?);
        let (number, length) = Decimal::scan(rest)?;
        row.push(f32::from_decimal(number)?);
        (rest, before) = (&rest[length..], b',');
    }
    skip_space(behind(rest, b'}')?).is_empty().then_some(row)
}

/// What follows `mark`, which may have space before it.
#[inline]
fn behind(json: &[u8], mark: u8) -> Option<&[u8]> {
    skip_space(json).strip_prefix(&[mark])
}

#[inline]
fn skip_space(mut json: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = json {
        json = rest;
    }
    json
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::TensorSpec;
    use crate::task::Task;
    use crate::task::tests::{build, decode, singles, tensor_spec};
    use crate::tensor::DataType;

    fn task() -> Task {
        let inputs: [TensorSpec; 1] = [tensor_spec("x", DataType::Fp32, &[None, Some(3)])];
        let features = ["a", "V1", "größe"].map(|name| format!("[[features]]\nname = {name:?}\n")).concat();
        let outputs = [tensor_spec("p", DataType::Fp32, &[None, Some(2)])];
        build(&format!("task = \"tabular-classification\"\n{features}"), &inputs, &outputs).unwrap()
    }

    /// The row as the short way reads it, held against the whole way.
    fn read(task: &Task, body: &str) -> Option<Vec<u32>> {
        let bits = |tensor| singles(tensor).iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let plain = task.decode_plain(body.as_bytes())?;
        let plain = task.encode(plain).expect("a row");
        let whole = decode(task, body).expect("what the short way takes is right");
        assert_eq!(bits(&plain.inputs[0]), bits(&whole.inputs[0]), "{body}");
        assert_eq!(plain.inputs[0].shape(), whole.inputs[0].shape());
        assert_eq!(format!("{:?}", plain.reply), format!("{:?}", whole.reply));
        assert_eq!((plain.rows, plain.input_length), (whole.rows, whole.input_length));
        Some(bits(&plain.inputs[0]))
    }

    #[test]
    fn a_row_in_order_is_taken_and_nothing_else() {
        let task = task();
        for body in [
            r#"{"a":1,"V1":-2.5,"größe":3e2}"#,
            " {\t\"a\" : 0 ,\r\n\"V1\": -0, \"größe\"\n:0.1 } \n",
            r#"{"a":16777216,"V1":0.000012345678,"größe":123456.789}"#,
        ] {
            assert!(read(&task, body).is_some(), "{body}");
        }
        for body in [
            "",
            "{}",
            "[1,2,3]",
            "null",
            r#"{"V1":1,"a":1,"größe":1}"#,
            r#"{"a":1,"V1":1}"#,
            r#"{"a":1,"V1":1,"größe":1,"b":1}"#,
            r#"{"a":1,"V1":null,"größe":1}"#,
            r#"{"a":1,"V1":"1","größe":1}"#,
            r#"{"a":1,"V1":[1],"größe":1}"#,
            r#"{"a":1,"V1":1,"größe":1e39}"#,
            r#"{"a":1,"V1":01,"größe":1}"#,
            r#"{"a":1,"V1":1.,"größe":1}"#,
            r#"{"a":1,"V1":+1,"größe":1}"#,
            r#"{"a":1,"V1":1 1,"größe":1}"#,
            r#"{"a":1,"V1":1,"größe":1,}"#,
            r#"{"a":1,"V1":1,"größe":1"#,
            r#"{"a":1,"V1":1,"größe":1} 1"#,
            r#"{"a":1 "V1":1,"größe":1}"#,
            r#"{"\u0061":1,"V1":1,"größe":1}"#,
            r#"{"a":1,"a":1,"V1":1,"größe":1}"#,
            r#"{,"a":1,"V1":1,"größe":1}"#,
            r#"{"instances":[{"a":1,"V1":1,"größe":1}]}"#,
            "{\"a\":\u{c}1,\"V1\":1,\"größe\":1}",
        ] {
            assert_eq!(read(&task, body), None, "{body}");
        }
    }

    #[test]
    fn names_that_json_escapes_or_that_mean_more_are_left_to_the_whole_way() {
        assert!(["a", "parameters", "größe", "a b", "/~"].into_iter().all(is_plain));
        assert!(!["instances", "a\"b", "a\\b", "a\nb", "\u{1}"].into_iter().any(is_plain));
    }

    proptest! {
        #[test]
        fn what_is_taken_is_what_the_whole_way_gives(
            values in prop::array::uniform3(any::<f32>().prop_filter("finite", |value| value.is_finite())),
            digits in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?",
            space in "[ \t\r\n]{0,2}",
            cut in 0_usize..60,
        ) {
            let task = task();
            let [a, b, c] = values;
            let bodies = [
                format!("{{{space}\"a\":{space}{a:?}{space},\"V1\":{b},{space}\"größe\":{c:e}}}{space}"),
                format!("{{\"a\":{digits},\"V1\":{a:?},\"größe\":{digits}}}"),
            ];
            for body in &bodies {
                read(&task, body);
                if body.is_char_boundary(cut) && cut < body.len() {
                    let (head, tail) = body.split_at(cut);
                    let mut shorter = body.clone();
                    shorter.remove(cut);
                    for part in [head, tail, &shorter] {
                        read(&task, part);
                    }
                }
            }
        }
    }
}
