//! Protobuf read without making anything of it: which model a message names before all of it is there,
//! where its raw tensors begin, and how much memory it would take.
//!
//! Invariant: never panics, and looks at each byte a bounded number of times.

use crate::grpc::proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};

/// The fields of a message, as far as it is well-formed.
#[derive(Clone)]
pub(super) struct Fields<'a> {
    message: &'a [u8],
    at: usize,
}

/// A field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    /// Its number.
    pub(super) number: u64,
    /// Where its content begins.
    pub(super) at: usize,
    /// Its content, where it has a length and all of it is there.
    pub(super) content: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { message, at: 0 }
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = *self.message.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let key = self.varint()?;
        let number = key >> 3;
        let content = match key & 7 {
            0 => {
                self.varint()?;
                return Some(Field { number, at: self.at, content: None });
            }
            1 => 8,
            5 => 4,
            2 => usize::try_from(self.varint()?).ok()?,
            _ => return None,
        };
        let at = self.at;
        let end = at.checked_add(content)?;
        let has_length = key & 7 == 2;
        self.at = end.min(self.message.len());
        let content = self.message.get(at..end).filter(|_| has_length);
        Some(Field { number, at, content })
    }
}

/// What the beginning of a `ModelInferRequest` tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outline<'a> {
    pub(super) model: Option<&'a str>,
    pub(super) version: Option<&'a str>,
    pub(super) id: Option<&'a str>,
    /// Where the first raw tensor begins.
    pub(super) raw_at: Option<usize>,
}

impl<'a> Outline<'a> {
    /// Reads the message as far as it has come.
    pub(super) fn of(message: &'a [u8]) -> Self {
        let mut outline = Self::default();
        for field in Fields::of(message) {
            let text = || std::str::from_utf8(field.content?).ok().filter(|text| !text.is_empty());
            match field.number {
                1 => outline.model = text(),
                2 => outline.version = text(),
                3 => outline.id = text(),
                7 => outline.raw_at = outline.raw_at.or(Some(field.at)),
                _ => {}
            }
        }
        outline
    }
}

/// What a map's entry takes beside its bytes, at most.
const ENTRY: u64 = 256;
/// A vector that grows has up to twice the room that it needs.
const GROWTH: u64 = 2;

fn size<T>() -> u64 {
    GROWTH * size_of::<T>() as u64
}

/// About how many bytes of memory a `ModelInferRequest` takes beside its own, of which raw tensors and
/// texts are parts.
pub(super) fn weight(message: &[u8]) -> u64 {
    Fields::of(message)
        .map(|field| match field.number {
            4 => ENTRY,
            5 => size::<InferInputTensor>() + field.content.map_or(0, input_weight),
            6 => size::<InferRequestedOutputTensor>() + field.content.map_or(0, output_weight),
            7 => size::<bytes::Bytes>(),
            _ => 0,
        })
        .sum()
}

fn input_weight(input: &[u8]) -> u64 {
    Fields::of(input)
        .map(|field| match field.number {
            3 => 8 * numbers(&field),
            4 => ENTRY,
            5 => field.content.map_or(0, contents_weight),
            _ => 0,
        })
        .sum()
}

fn output_weight(output: &[u8]) -> u64 {
    ENTRY * Fields::of(output).filter(|field| field.number == 2).count() as u64
}

fn contents_weight(contents: &[u8]) -> u64 {
    let fixed = |field: &Field<'_>, width| field.content.map_or(width, |content| content.len() as u64);
    Fields::of(contents)
        .map(|field| match field.number {
            1 => numbers(&field),
            2 | 4 => 4 * numbers(&field),
            3 | 5 => 8 * numbers(&field),
            6 => fixed(&field, 4),
            7 => fixed(&field, 8),
            // As a part of the message, then as a text of its own.
            8 => size::<bytes::Bytes>() + size::<String>() + field.content.map_or(0, <[u8]>::len) as u64,
            _ => 0,
        })
        .sum()
}

/// How many numbers of variable length a field holds: each ends with the byte whose first bit is 0.
fn numbers(field: &Field<'_>) -> u64 {
    field.content.map_or(1, |packed| packed.iter().filter(|&&byte| byte < 0x80).count() as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::grpc::proto::inference::{InferTensorContents, ModelInferRequest};

    fn request() -> ModelInferRequest {
        let contents = InferTensorContents { int64_contents: vec![1; 1000], ..Default::default() };
        ModelInferRequest {
            model_name: "m".to_owned(),
            model_version: "7".to_owned(),
            id: "é".to_owned(),
            inputs: vec![InferInputTensor {
                name: "x".to_owned(),
                shape: vec![1, -1],
                contents: Some(contents),
                ..Default::default()
            }],
            raw_input_contents: vec![vec![9_u8; 300].into(), vec![8_u8; 5].into()],
            ..Default::default()
        }
    }

    #[test]
    fn the_beginning_tells_the_model_and_where_raw_tensors_begin() {
        let message = request().encode_to_vec();
        let outline = Outline::of(&message);
        assert_eq!((outline.model, outline.version, outline.id), (Some("m"), Some("7"), Some("é")));
        let raw_at = outline.raw_at.unwrap();
        assert_eq!(message[raw_at..raw_at + 300], [9; 300]);
        assert_ne!(message[raw_at - 1], 9);
        // As soon as its length is there.
        assert_eq!(Outline::of(&message[..raw_at]).raw_at, Some(raw_at));
        assert_eq!(Outline::of(&message[..raw_at - 1]).raw_at, None);
        assert_eq!(Outline::of(&[]), Outline::default());
    }

    #[test]
    fn small_numbers_weigh_what_they_become() {
        let weight = weight(&request().encode_to_vec());
        assert!((8000..12_000).contains(&weight), "{weight}");
        let empties = [0x2a, 0x00].repeat(1000);
        assert!(super::weight(&empties) >= 1000 * size_of::<InferInputTensor>() as u64);
    }

    proptest! {
        #[test]
        fn noise_ends(noise in prop::collection::vec(any::<u8>(), 0..400)) {
            let outline = Outline::of(&noise);
            prop_assert!(outline.raw_at.is_none_or(|at| at <= noise.len()));
            prop_assert!(weight(&noise) < 1 << 20);
        }
    }
}
