//! The elements of a tensor as a flat JSON list.
//!
//! Invariant: byte for byte what the JSON library writes. Floats, which large tensors are made of,
//! are written here, because one by one through the library they cost twice as much; they must be
//! finite, which the caller has seen to.

use crate::task::Elements;
use crate::tensor::{Data, DataType};

/// Two pieces of 8 bytes cover so many characters, which is nearly every single.
const SHORT: usize = 16;

/// Appends the elements.
///
/// # Errors
/// None in practice: memory takes every byte.
pub(super) fn write(json: &mut Vec<u8>, data: &Data) -> Result<(), serde_json::Error> {
    match data {
        Data::Fp16(values) => floats(json, values.iter().map(|value| value.to_f32())),
        Data::Bf16(values) => floats(json, values.iter().map(|value| value.to_f32())),
        Data::Fp32(values) => floats(json, values.iter().copied()),
        Data::Fp64(values) => floats(json, values.iter().copied()),
        others => serde_json::to_writer(json, &Elements(others))?,
    }
    Ok(())
}

/// About how many bytes that takes, so that what is written is not moved as it grows.
pub(super) fn expected(data: &Data) -> usize {
    let each = match data.data_type() {
        DataType::Fp64 => 22,
        DataType::Fp32 => 13,
        _ => 12,
    };
    data.len().saturating_mul(each)
}

fn floats<T: zmij::Float>(json: &mut Vec<u8>, values: impl Iterator<Item = T>) {
    let mut buffer = zmij::Buffer::new();
    json.push(b'[');
    let start = json.len();
    for value in values {
        let text = buffer.format_finite(value).as_bytes();
        match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
            // Two overlapping pieces of fixed size are two moves, where a copy of any length is a call.
            (Some(first), Some(last)) if text.len() <= SHORT => {
                json.extend_from_slice(first);
                json.truncate(json.len() + text.len() - SHORT);
                json.extend_from_slice(last);
                json.push(b',');
            }
            _ => {
                json.extend_from_slice(text);
                json.push(b',');
            }
        }
    }
    if json.len() > start {
        json.pop();
    }
    json.push(b']');
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};
    use proptest::prelude::*;

    use super::*;

    fn written(data: &Data) -> String {
        let mut json = b"before".to_vec();
        write(&mut json, data).unwrap();
        String::from_utf8(json).unwrap()
    }

    proptest! {
        #[test]
        fn it_is_what_the_library_writes(
            bits in prop::collection::vec(any::<u64>(), 0..40),
            usual in prop::collection::vec(-1e3_f32..1e3, 0..40),
        ) {
            let kept = |value: &f64| value.is_finite();
            let doubles: Vec<f64> = bits.iter().map(|&bits| f64::from_bits(bits)).filter(kept).collect();
            let halves = bits.iter().map(|&bits| f16::from_bits((bits >> 48) as u16));
            let brains = bits.iter().map(|&bits| bf16::from_bits((bits >> 48) as u16));
            let singles = bits.iter().map(|&bits| f32::from_bits((bits >> 32) as u32));
            for data in [
                Data::from(doubles),
                Data::from(singles.filter(|value| value.is_finite()).collect::<Vec<_>>()),
                Data::from(halves.filter(|value| value.is_finite()).collect::<Vec<_>>()),
                Data::from(brains.filter(|value| value.is_finite()).collect::<Vec<_>>()),
                Data::from(usual),
                Data::from(bits),
            ] {
                let expected = serde_json::to_string(&Elements(&data)).unwrap();
                prop_assert_eq!(written(&data), format!("before{expected}"));
            }
        }
    }
}
