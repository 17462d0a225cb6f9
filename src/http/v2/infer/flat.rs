//! Large flat lists of numbers, cut out of a request's JSON before it is read, so that their text is
//! gone over once.
//!
//! Invariant: what is read this way is what the whole way gives. Whatever is not a plain list of
//! numbers that fit, in the place of a tensor's data, gives nothing, and the caller goes the whole
//! way, which knows every form and every refusal.

use std::ops::Range;

use half::{bf16, f16};
use memchr::{memchr, memmem};

use crate::task::{Decimal, Element};
use crate::tensor::{Data, DataType};

/// A list below this is no work worth two ways.
const LEAST: usize = 1024;
const KEY: &[u8] = b"\"data\"";

/// JSON without the contents of its large flat lists called `data`.
pub(super) struct Lifted<'a> {
    /// What is left.
    pub(super) json: Vec<u8>,
    whole: &'a [u8],
    /// Where in `json` a list is empty now, and where in the whole its content stands.
    lists: Vec<(usize, Range<usize>)>,
}

impl<'a> Lifted<'a> {
    /// Cuts the lists out of `whole`; none where there are none.
    pub(super) fn cut(whole: &'a [u8]) -> Option<Self> {
        if whole.len() < LEAST {
            return None;
        }
        let mut lifted = Self { json: Vec::new(), whole, lists: Vec::new() };
        let (mut kept, mut at) = (0, 0);
        while let Some(found) = memmem::find(&whole[at..], KEY) {
            let key = at + found;
            at = key + KEY.len();
            let Some(content) = content(whole, key) else { continue };
            lifted.json.extend_from_slice(&whole[kept..content.start]);
            lifted.lists.push((lifted.json.len(), content.clone()));
            (kept, at) = (content.end, content.end);
        }
        lifted.json.extend_from_slice(&whole[kept..]);
        (!lifted.lists.is_empty()).then_some(lifted)
    }

    /// How many lists there are.
    pub(super) fn len(&self) -> usize {
        self.lists.len()
    }

    /// The content of the list that stood where `list`, a part of `self.json`, begins.
    pub(super) fn content(&self, list: &str) -> Option<&'a [u8]> {
        let at = list.as_ptr().addr().checked_sub(self.json.as_ptr().addr())? + 1;
        let index = self.lists.binary_search_by_key(&at, |(at, _)| *at).ok()?;
        self.whole.get(self.lists[index].1.clone())
    }
}

/// Where the numbers stand that the name at `key` has for its value.
fn content(json: &[u8], key: usize) -> Option<Range<usize>> {
    // Behind a backslash the quote is no name's beginning.
    if key.checked_sub(1).and_then(|before| json.get(before)) == Some(&b'\\') {
        return None;
    }
    let colon = skip_space(json, key + KEY.len());
    let open = skip_space(json, colon + 1);
    if (json.get(colon), json.get(open)) != (Some(&b':'), Some(&b'[')) {
        return None;
    }
    let start = open + 1;
    let is_number = matches!(json.get(skip_space(json, start)), Some(b'-' | b'0'..=b'9'));
    let length = is_number.then(|| memchr(b']', &json[start..]))??;
    (length >= LEAST).then_some(start..start + length)
}

fn skip_space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The `expected` numbers that a list's `content` is, in at most `most_bytes` of memory.
pub(super) fn elements(
    content: &[u8],
    data_type: DataType,
    expected: usize,
    most_bytes: u64,
) -> Option<Data> {
    match data_type {
        DataType::Uint8 => read::<u8>(content, expected, most_bytes),
        DataType::Uint16 => read::<u16>(content, expected, most_bytes),
        DataType::Uint32 => read::<u32>(content, expected, most_bytes),
        DataType::Uint64 => read::<u64>(content, expected, most_bytes),
        DataType::Int8 => read::<i8>(content, expected, most_bytes),
        DataType::Int16 => read::<i16>(content, expected, most_bytes),
        DataType::Int32 => read::<i32>(content, expected, most_bytes),
        DataType::Int64 => read::<i64>(content, expected, most_bytes),
        DataType::Fp16 => read::<f16>(content, expected, most_bytes),
        DataType::Bf16 => read::<bf16>(content, expected, most_bytes),
        DataType::Fp32 => read::<f32>(content, expected, most_bytes),
        DataType::Fp64 => read::<f64>(content, expected, most_bytes),
        DataType::Bool | DataType::Bytes => None,
    }
}

fn read<T: Element>(content: &[u8], expected: usize, most_bytes: u64) -> Option<Data>
where
    Data: From<Vec<T>>,
{
    // A number and its comma are two bytes at least.
    let is_right = expected <= content.len() / 2 + 1 && (expected * size_of::<T>()) as u64 <= most_bytes;
    if !is_right {
        return None;
    }
    let mut elements: Vec<T> = Vec::with_capacity(expected);
    let mut at = 0;
    while elements.len() < expected {
        at = skip_space(content, at);
        let text = content.get(at..)?;
        let (number, length) = Decimal::scan(text)?;
        let element = T::from_decimal(number);
        elements.push(element.or_else(|| T::from_cell(str::from_utf8(&text[..length]).ok()?).ok())?);
        at = skip_space(content, at + length);
        match content.get(at) {
            Some(b',') => at += 1,
            Some(_) => return None,
            None => break,
        }
    }
    // Behind the last number nothing may stand, a comma neither.
    (elements.len() == expected && at == content.len() && content.last() != Some(&b','))
        .then(|| elements.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::data;
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_list_is_what_the_whole_way_gives(
            members in prop::collection::vec(
                "[ \n]?(-?(0|[1-9][0-9]{0,4})(\\.[0-9]{1,22})?([eE][-+]?[0-9]{1,2})?|[0-9]{1,3}|-?[0-9]{17,21}|[-0-9.eE+]{0,4}|true|\"1\"|\\[1\\])[ \t]?",
                1..6,
            ),
            more in 0_usize..2,
            most in 0_u64..60,
        ) {
            let (content, expected) = (members.join(","), members.len() + more);
            let json = format!("[{content}]");
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&json).is_ok();
            for data_type in DataType::ALL {
                let flat = elements(content.as_bytes(), data_type, expected, most);
                prop_assert!(is_json || flat.is_none(), "{}", json);
                if is_json {
                    let whole = data::elements(&json, data_type, (&[expected], expected), most);
                    // The whole way alone knows truth values, texts and arrays.
                    let is_plain = !json.contains(['t', '"']) && !content.contains('[');
                    let is_same = same(flat.as_ref(), whole.as_ref().ok());
                    prop_assert!(is_same || (flat.is_none() && !is_plain), "{} {} {:?}", data_type, json, whole);
                }
            }
        }
    }

    fn same(one: Option<&Data>, other: Option<&Data>) -> bool {
        // By bytes: 0 and -0 are not the same here.
        let bytes = |data: &Data| (data.data_type(), data.to_raw());
        one.map(bytes) == other.map(bytes)
    }

    #[test]
    fn large_lists_called_data_are_lifted_and_nothing_else() {
        let numbers = vec!["1.5"; LEAST].join(",");
        let lifted = |json: &str| {
            Lifted::cut(json.as_bytes())
                .map(|lifted| (String::from_utf8(lifted.json.clone()).unwrap(), lifted.len()))
        };
        let json =
            format!("{{\"inputs\": [{{\"data\" : [{numbers} ], \"x\": 1}}, {{\"data\":[\n{numbers}]}}]}}");
        let expected = "{\"inputs\": [{\"data\" : [], \"x\": 1}, {\"data\":[]}]}".to_owned();
        assert_eq!(lifted(&json), Some((expected, 2)));
        for other in [
            format!("{{\"other\":[{numbers}]}}"),
            format!("{{\"data\":[[{numbers}]]}}"),
            format!("{{\"data\":[\"{numbers}\"]}}"),
            format!("{{\"data\":[{numbers}"),
            format!("{{\"\\\"data\":[{numbers}]}}"),
            format!("[\"data\",[{numbers}]]"),
            format!("{{\"data\":[1,2],\"pad\":\"{numbers}\"}}"),
            format!("\"data\"{numbers}"),
        ] {
            assert_eq!(lifted(&other), None, "{}", &other[..20]);
        }
    }

    #[test]
    fn a_lifted_list_is_found_by_its_place() {
        let numbers = vec!["7"; LEAST].join(",");
        let json = format!("{{\"a\":[],\"data\":[{numbers}],\"b\":[]}}");
        let lifted = Lifted::cut(json.as_bytes()).unwrap();
        let text = str::from_utf8(&lifted.json).unwrap();
        let places: Vec<usize> = text.match_indices("[]").map(|(at, _)| at).collect();
        let found = |at: usize| lifted.content(&text[at..]).map(<[u8]>::len);
        assert_eq!(places.iter().map(|&at| found(at)).collect::<Vec<_>>(), [None, Some(numbers.len()), None]);
        assert_eq!(lifted.content("[]"), None);
    }
}
