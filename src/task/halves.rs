//! Half-precision elements: a decimal is rounded once, though it passes through a wider type.

use half::{bf16, f16};

use super::decimal::Decimal;
use super::element::Element;
use super::misfit::Misfit;
use crate::tensor::DataType;

/// `value` as a single whose last bit remembers whether anything was cut off ("round to odd"), so
/// that a second rounding to a shorter type gives what one rounding would have given.
#[expect(clippy::cast_possible_truncation, reason = "the lost bits are kept in the last one")]
fn single_to_odd(value: f64) -> f32 {
    let nearest = value as f32;
    let exact = f64::from(nearest);
    if !nearest.is_finite() || exact.to_bits() == value.to_bits() || nearest.to_bits() & 1 == 1 {
        return nearest;
    }
    // The odd neighbour on the other side of the value lies next to the even one in bit order.
    let away = exact.abs() < value.abs();
    f32::from_bits(if away { nearest.to_bits() + 1 } else { nearest.to_bits() - 1 })
}

/// `value` as a double whose last bit remembers what was cut off.
#[expect(clippy::cast_precision_loss, reason = "the lost bits are kept in the last one")]
fn double_to_odd(value: u64) -> f64 {
    if value < 1 << 53 {
        value as f64
    } else {
        let kept = (value >> 11) | u64::from(value & 0x7ff != 0);
        kept as f64 * 2048.0
    }
}

macro_rules! halves {
    ($($half:ident $type:ident),*) => {$(
        impl Element for $half {
            const TYPE: DataType = DataType::$type;
            const EXPECTED: &'static str = "a number";

            fn from_u64(value: u64) -> Result<Self, Misfit> {
                <Self as Element>::from_f64(double_to_odd(value))
            }

            fn from_i64(value: i64) -> Result<Self, Misfit> {
                let magnitude = double_to_odd(value.unsigned_abs());
                <Self as Element>::from_f64(if value < 0 { -magnitude } else { magnitude })
            }

            fn from_f64(value: f64) -> Result<Self, Misfit> {
                let rounded = $half::from_f32(single_to_odd(value));
                if rounded.is_finite() { Ok(rounded) } else { Err(Misfit::Range) }
            }

            fn from_cell(text: &str) -> Result<Self, Misfit> {
                f64::from_cell(text).and_then(<Self as Element>::from_f64)
            }

            #[inline]
            fn from_decimal(number: Decimal) -> Option<Self> {
                <Self as Element>::from_f64(number.to_f64()?).ok()
            }
        }
    )*};
}

halves!(f16 Fp16, bf16 Bf16);
