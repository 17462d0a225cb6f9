//! Inputs made up from a signature, for warm-up and for the check that rows are independent.
//!
//! Many valid graphs refuse made-up inputs (an index out of range, a text that is no date), so
//! nobody may call a model bad because these fail.

use std::sync::Arc;

use half::{bf16, f16};

use crate::model::{Dim, Signature, TensorSpec};
use crate::tensor::{Data, DataType, Tensor};

/// More elements than this are not made up.
pub(super) const MOST_ELEMENTS: usize = 1 << 26;

/// Which values the elements get.
#[derive(Clone, Copy)]
pub(super) enum Values {
    /// Numbers 0, strings empty.
    Zeros,
    /// Numbers 1, strings empty.
    Ones,
    /// Numbers 1, in strings too: digits are text, and many graphs read a number out of it.
    OnesInText,
    /// Small numbers that differ from element to element, in strings too.
    Varied,
}

/// Inputs of `rows` rows: the first dimension `rows` where it is free, other free dimensions 1,
/// numbers 1, truth values true, strings empty. None where the signature has no such inputs (a
/// fixed first dimension that is not `rows`, or far too many elements).
pub fn made_inputs(signature: &Signature, rows: usize) -> Option<Vec<Tensor>> {
    made(signature, rows, Values::Ones)
}

/// Two different single rows: all ones, and varied small numbers. None where single rows can't be
/// made, or they would not differ.
pub fn different_rows(signature: &Signature) -> Option<[Vec<Tensor>; 2]> {
    let rows = [made(signature, 1, Values::OnesInText)?, made(signature, 1, Values::Varied)?];
    (rows[0] != rows[1]).then_some(rows)
}

fn made(signature: &Signature, rows: usize, values: Values) -> Option<Vec<Tensor>> {
    let batch = signature.inputs.iter().find_map(|spec| match spec.dims.first() {
        Some(Dim::Free(Some(name))) => Some(name),
        _ => None,
    });
    signature.inputs.iter().map(|spec| tensor(spec, rows, batch, values)).collect()
}

fn tensor(spec: &TensorSpec, rows: usize, batch: Option<&Arc<str>>, values: Values) -> Option<Tensor> {
    let shape: Vec<usize> = spec
        .dims
        .iter()
        .enumerate()
        .map(|(axis, dim)| match dim {
            Dim::Fixed(size) => *size,
            Dim::Free(name) if axis == 0 || (name.is_some() && name.as_ref() == batch) => rows,
            Dim::Free(_) | Dim::AnyRank => 1,
        })
        .collect();
    if rows != 1 && shape.first() != Some(&rows) {
        return None;
    }
    let len = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size))?;
    if len > MOST_ELEMENTS {
        return None;
    }
    // A mask of zeros would hide the row from the check.
    let is_mask = spec.name.to_ascii_lowercase().contains("mask");
    let values = if is_mask { Values::Ones } else { values };
    let is_image = spec.dims.len() >= 3;
    Tensor::new(shape, data(spec.data_type, len, values, is_image)).ok()
}

/// Elements of a type; `is_image` of integers that use their whole range.
pub(super) fn data(data_type: DataType, len: usize, values: Values, is_image: bool) -> Data {
    macro_rules! integers {
        ($element:ty) => {
            filled(len, values, 1, |index| <$element>::from(index % 2 == 1))
        };
    }
    match data_type {
        DataType::Bool => filled(len, values, true, |index| index % 2 == 1),
        // 0 and 1 are in range for nearly every index or category; pixels use the whole range.
        DataType::Uint8 if is_image => filled(len, values, 1, pixel),
        DataType::Uint8 => integers!(u8),
        DataType::Uint16 => integers!(u16),
        DataType::Uint32 => integers!(u32),
        DataType::Uint64 => integers!(u64),
        DataType::Int8 => integers!(i8),
        DataType::Int16 => integers!(i16),
        DataType::Int32 => integers!(i32),
        DataType::Int64 => integers!(i64),
        DataType::Fp16 => filled(len, values, f16::ONE, |index| f16::from_f32(varied(index))),
        DataType::Bf16 => filled(len, values, bf16::ONE, |index| bf16::from_f32(varied(index))),
        DataType::Fp32 => filled(len, values, 1.0, varied),
        DataType::Fp64 => filled(len, values, 1.0, |index| f64::from(varied(index))),
        DataType::Bytes => {
            let one = if let Values::OnesInText = values { "1".to_owned() } else { String::new() };
            filled(len, values, one, |index| (index % 2).to_string())
        }
    }
}

fn filled<T: Clone + Default>(len: usize, values: Values, one: T, varied: impl Fn(usize) -> T) -> Data
where
    Data: From<Vec<T>>,
{
    Data::from(match values {
        Values::Zeros => vec![T::default(); len],
        Values::Ones | Values::OnesInText => vec![one; len],
        Values::Varied => (0..len).map(varied).collect(),
    })
}

/// 0.1 to 1.9 in steps of 0.1, in an order that neighbours don't share.
fn varied(index: usize) -> f32 {
    let tenths = u8::try_from(index % 19 * 7 % 19 + 1).unwrap_or(1);
    f32::from(tenths) / 10.0 + if tenths == 10 { 0.05 } else { 0.0 }
}

fn pixel(index: usize) -> u8 {
    u8::try_from(index % 251 * 97 % 251).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, data_type: DataType, dims: &[Dim]) -> TensorSpec {
        TensorSpec { name: name.into(), data_type, dims: dims.to_vec() }
    }

    fn named(name: &str) -> Dim {
        Dim::Free(Some(name.into()))
    }

    #[test]
    fn free_dimensions_are_rows_or_one_and_named_ones_agree() {
        let inputs = vec![
            spec("ids", DataType::Int64, &[named("batch"), named("sequence")]),
            spec("pairs", DataType::Fp32, &[named("batch"), Dim::Fixed(3), named("batch")]),
        ];
        let signature = Signature { inputs, optional: vec![], outputs: vec![] };
        let made = made_inputs(&signature, 4).unwrap();
        assert_eq!([made[0].shape(), made[1].shape()], [&[4, 1][..], &[4, 3, 4]]);
        assert_eq!(signature.check(&made), Ok(()));
        assert_eq!(made[0].data(), &Data::from(vec![1_i64; 4]));
    }

    #[test]
    fn what_has_no_such_rows_is_not_made() {
        let fixed = |dims: &[Dim]| Signature {
            inputs: vec![spec("x", DataType::Fp32, dims)],
            optional: vec![],
            outputs: vec![],
        };
        assert!(made_inputs(&fixed(&[Dim::Fixed(2)]), 1).is_some());
        assert!(made_inputs(&fixed(&[Dim::Fixed(2)]), 3).is_none());
        assert!(made_inputs(&fixed(&[]), 1).is_some());
        assert!(made_inputs(&fixed(&[Dim::Fixed(usize::MAX), Dim::Fixed(2)]), 1).is_none());
        assert!(made_inputs(&fixed(&[named("batch"), Dim::Fixed(1 << 40)]), 1).is_none());
    }

    #[test]
    fn the_two_rows_differ_in_every_type_and_masks_stay_ones() {
        use DataType::{
            Bf16, Bool, Bytes, Fp16, Fp32, Fp64, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64,
        };
        for data_type in
            [Bool, Uint8, Uint16, Uint32, Uint64, Int8, Int16, Int32, Int64, Fp16, Bf16, Fp32, Fp64, Bytes]
        {
            let inputs = vec![
                spec("x", data_type, &[named("batch"), Dim::Fixed(2)]),
                spec("attention_mask", DataType::Int64, &[named("batch"), named("sequence")]),
            ];
            let [first, second] =
                different_rows(&Signature { inputs, optional: vec![], outputs: vec![] }).unwrap();
            assert_ne!(first[0], second[0]);
            assert_eq!(first[1], second[1]);
        }
        assert!(different_rows(&Signature { inputs: vec![], optional: vec![], outputs: vec![] }).is_none());
    }
}
