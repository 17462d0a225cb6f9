//! A number in JSON taken apart in one pass, and made an element where plain arithmetic is exact.
//!
//! Invariant: what comes out is bit for bit what the general parser gives; where that is not certain
//! nothing comes out, and the caller asks the general parser.

/// A number as it is written: sign, digits, power of ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    pub(super) negative: bool,
    /// All digits, of the fraction too.
    pub(super) mantissa: u64,
    /// The power of ten that the digits are multiplied by.
    pub(super) exponent: i32,
    /// Written without fraction and exponent.
    pub(super) is_whole: bool,
    /// There was room for all of it.
    pub(super) is_kept: bool,
}

/// Every power of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// So many digits always fit into 64 bits.
const DIGITS: usize = 19;
/// Whole numbers up to here are exact as doubles.
const EXACT: u64 = 1 << 53;
/// What a single has no room for of a double, and half of that: where two singles are equally near.
const CUT: u64 = (1 << 29) - 1;
const HALF: u64 = 1 << 28;
/// More than the last places by which two roundings can be off.
const ERROR: u64 = 4;

impl Decimal {
    /// The number at the start of `text` and its length; none where JSON has no such number.
    #[inline]
    pub fn scan(text: &[u8]) -> Option<(Self, usize)> {
        let negative = text.first() == Some(&b'-');
        let start = usize::from(negative);
        let first = text.get(start).filter(|byte| byte.is_ascii_digit())? - b'0';
        let (mut mantissa, mut at) = match text.get(start + 1) {
            Some(b'.') => (u64::from(first), start + 1),
            Some(b'0'..=b'9') if first == 0 => return None,
            _ => digits(text, start, 0),
        };
        let (mut exponent, mut is_whole) = (0, true);
        if text.get(at) == Some(&b'.') {
            let from = at + 1;
            (mantissa, at) = digits(text, from, mantissa);
            if at == from {
                return None;
            }
            (exponent, is_whole) = (-i32::try_from(at - from).unwrap_or(i32::MAX), false);
        }
        let is_kept = at - start <= DIGITS || significant(&text[start..at]) <= DIGITS;
        if matches!(text.get(at), Some(b'e' | b'E')) {
            let (shift, end) = power(text, at + 1)?;
            (exponent, at) = (exponent.saturating_add(shift), end);
            is_whole = false;
        }
        Some((Self { negative, mantissa, exponent, is_whole, is_kept }, at))
    }

    /// The nearest double.
    #[inline]
    pub(super) fn to_f64(self) -> Option<f64> {
        // Both are exact, so that there is one rounding.
        if self.mantissa <= EXACT { self.about() } else { None }
    }

    /// The nearest single.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "rounded to the nearest, as is wanted")]
    pub(super) fn to_f32(self) -> Option<f32> {
        // The double is off by its last places at most. Unless it lies that near to the middle of
        // two singles, both have the same nearest single.
        let double = self.about()?;
        let single = double as f32;
        let is_near_middle = (double.to_bits() & CUT).wrapping_sub(HALF - ERROR) <= 2 * ERROR;
        let is_plain = single.is_normal() || self.mantissa == 0;
        (is_plain && !is_near_middle).then_some(single)
    }

    /// A double with an error of two roundings at most.
    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "that is the first rounding")]
    fn about(self) -> Option<f64> {
        if !self.is_kept {
            return None;
        }
        let power = *POWERS.get(self.exponent.unsigned_abs() as usize)?;
        let mantissa = self.mantissa as f64;
        let magnitude = if self.exponent < 0 { mantissa / power } else { mantissa * power };
        Some(f64::from_bits(magnitude.to_bits() | u64::from(self.negative) << 63))
    }

    /// The whole number, where it is written as one. Not `-0`, which is none of unsigned types.
    #[inline]
    pub(super) fn to_integer<T: TryFrom<u64> + TryFrom<i64>>(self) -> Option<T> {
        if !self.is_whole || !self.is_kept {
            None
        } else if self.negative {
            0_i64.checked_sub_unsigned(self.mantissa).filter(|&value| value < 0)?.try_into().ok()
        } else {
            self.mantissa.try_into().ok()
        }
    }
}

/// How many digits `number` has from its first on that is not 0.
#[cold]
fn significant(number: &[u8]) -> usize {
    let is_digit = |byte: &&u8| byte.is_ascii_digit();
    number.iter().filter(is_digit).skip_while(|&&byte| byte == b'0').count()
}

/// Powers of ten, by which digits move up when so many follow.
const TENS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Appends the digits at `at` to `value`; where they end. Wraps beyond 64 bits.
#[inline]
fn digits(text: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    // How many digits a number has is as good as random, so nothing here branches on it.
    while let Some(chunk) = text.get(at..).and_then(<[u8]>::first_chunk) {
        let (more, count) = up_to_eight(*chunk);
        value = value.wrapping_mul(TENS[count]).wrapping_add(more);
        at += count;
        if count < 8 {
            return (value, at);
        }
    }
    while let Some(&byte) = text.get(at)
        && byte.is_ascii_digit()
    {
        value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        at += 1;
    }
    (value, at)
}

/// The digits at the start of `chunk` as a number, and how many there are.
#[inline]
fn up_to_eight(chunk: [u8; 8]) -> (u64, usize) {
    // Digits become 0 to 9, and the highest bit of every other byte is found; the lowest such byte
    // ends the digits, whatever is carried into those above it.
    let text = u64::from_le_bytes(chunk) ^ 0x3030_3030_3030_3030;
    let others = (text.wrapping_add(0x7676_7676_7676_7676) | text) & 0x8080_8080_8080_8080;
    let bits = others.trailing_zeros() & !7;
    // With zeros before them the digits fill all eight bytes. Nothing is left of a shift by 64.
    let ones = text.checked_shl(64 - bits).unwrap_or(0);
    // Neighbours are joined to pairs, pairs to fours, fours to the whole.
    let pairs = (ones.wrapping_mul(10).wrapping_add(ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff, bits as usize / 8)
}

/// What stands behind an `e`, and its end.
fn power(text: &[u8], at: usize) -> Option<(i32, usize)> {
    let sign = text.get(at).filter(|&&byte| matches!(byte, b'-' | b'+'));
    let start = at + usize::from(sign.is_some());
    let (value, end) = digits(text, start, 0);
    if end == start {
        return None;
    }
    // So many digits have no wrapped value; a longer power is beyond every table.
    let value = if end - start <= DIGITS { i32::try_from(value).unwrap_or(i32::MAX) } else { i32::MAX };
    Some((if sign == Some(&b'-') { -value } else { value }, end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A number in JSON, of many shapes.
    fn number() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<f32>().prop_filter("finite", |value| value.is_finite()).prop_map(|value| value.to_string()),
            any::<f32>()
                .prop_filter("finite", |value| value.is_finite())
                .prop_map(|value| format!("{value:e}")),
            any::<f64>()
                .prop_filter("finite", |value| value.is_finite())
                .prop_map(|value| format!("{value:e}")),
            any::<f32>()
                .prop_filter("finite", |value| value.is_finite())
                .prop_map(|value| format!("{:e}", f64::from(value))),
            (-2.0_f64..2.0).prop_map(|value| value.to_string()),
            (-1e9_f32..1e9).prop_map(|value| value.to_string()),
            any::<i64>().prop_map(|value| value.to_string()),
            any::<u64>().prop_map(|value| value.to_string()),
            "-?(0|[1-9][0-9]{0,21})(\\.[0-9]{1,25})?([eE][-+]?[0-9]{1,5})?",
        ]
    }

    /// The middle of a single and its neighbour, and what lies next to it.
    fn middle() -> impl Strategy<Value = String> {
        (1_u32..0x7f7f_ffff, -3_i64..=3).prop_map(|(bits, aside)| {
            let single = f64::from(f32::from_bits(bits));
            let middle = f64::midpoint(single, f64::from(f32::from_bits(bits + 1)));
            let near = f64::from_bits(middle.to_bits().saturating_add_signed(aside));
            if bits % 2 == 0 { near.to_string() } else { format!("{near:e}") }
        })
    }

    fn same(text: &str) -> Result<(), TestCaseError> {
        let Some((decimal, length)) = Decimal::scan(text.as_bytes()) else { return Ok(()) };
        prop_assert_eq!(length, text.len());
        if let Some(single) = decimal.to_f32() {
            prop_assert_eq!(single.to_bits(), text.parse::<f32>().unwrap().to_bits(), "{}", text);
        }
        if let Some(double) = decimal.to_f64() {
            prop_assert_eq!(double.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{}", text);
        }
        if let Some(integer) = decimal.to_integer::<i64>() {
            prop_assert_eq!(Ok(integer), text.parse::<i64>());
        }
        if let Some(integer) = decimal.to_integer::<u8>() {
            prop_assert_eq!(Ok(integer), text.parse::<u8>());
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn every_number_is_what_the_general_parser_makes_of_it(text in number()) {
            same(&text)?;
        }

        #[test]
        fn singles_next_to_a_middle_are_rounded_right_or_left_alone(text in middle()) {
            same(&text)?;
        }

        #[test]
        fn only_numbers_of_json_are_numbers(text in "[-+]?[0-9]{0,3}\\.?[0-9]{0,3}([eE]?[-+]?[0-9]{0,2})") {
            if let Some((_, length)) = Decimal::scan(text.as_bytes()) {
                let number: Result<serde_json::Value, _> = serde_json::from_str(&text[..length]);
                // Beyond a double it is still a number.
                let is_number = number.is_ok() || text.contains(['e', 'E']);
                prop_assert!(is_number, "{}", text);
            }
        }
    }

    #[test]
    fn the_usual_numbers_need_no_general_parser() {
        let single = |text: &str| Decimal::scan(text.as_bytes()).and_then(|(decimal, _)| decimal.to_f32());
        assert_eq!(single("0.12345678"), Some(0.123_456_78));
        assert_eq!(single("-0.12345678806304932"), Some(-0.123_456_79));
        assert_eq!(single("1e-7,"), Some(1e-7));
        assert_eq!(single("-0").map(f32::to_bits), Some((-0.0_f32).to_bits()));
        // The middle of 1 and its neighbour is left to those who look at every digit.
        assert_eq!(single("1.000000059604644775"), None);
        assert_eq!(single("1e39"), None);
        assert_eq!(single("1e-40"), None);
        assert_eq!(single("0.00012345678901234567"), Some(0.000_123_456_79));
        assert_eq!(single("12345678901234567890"), None);
        for odd in ["", "-", "01", "-01", "1.", ".5", "1e", "1e+", "+1", "x", "1.e5"] {
            assert_eq!(Decimal::scan(odd.as_bytes()), None, "{odd}");
        }
        let integer =
            |text: &str| Decimal::scan(text.as_bytes()).and_then(|(decimal, _)| decimal.to_integer::<i8>());
        assert_eq!([integer("-128"), integer("127")], [Some(-128), Some(127)]);
        assert_eq!(["-129", "128", "1.0", "1e1", "-0"].map(integer), [None; 5]);
    }
}
