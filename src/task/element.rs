//! One value of a body as one element of a tensor, exactly or not at all.
//!
//! Integers are taken only as written without fraction or exponent and never pass through a
//! double; decimals are rounded once to the element's type; what would round to infinity is refused.

use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, Visitor};

use super::decimal::Decimal;
use super::misfit::{Misfit, misfit_code, misfit_detail};
use super::report::{DecodeReport, wrong_types};
use crate::tensor::DataType;

/// A Rust type that a tensor can hold.
pub trait Element: Sized + Clone + Default + Send + Sync + 'static {
    /// The tensor type.
    const TYPE: DataType;
    /// What a caller has to send.
    const EXPECTED: &'static str;

    /// From a whole number.
    ///
    /// # Errors
    /// Why it is no element; so for all of these.
    fn from_u64(_value: u64) -> Result<Self, Misfit> {
        Err(Misfit::Type)
    }

    /// From a negative whole number.
    ///
    /// # Errors
    /// See [`Self::from_u64`].
    fn from_i64(_value: i64) -> Result<Self, Misfit> {
        Err(Misfit::Type)
    }

    /// From a number with a fraction or an exponent.
    ///
    /// # Errors
    /// See [`Self::from_u64`].
    fn from_f64(_value: f64) -> Result<Self, Misfit> {
        Err(Misfit::Type)
    }

    /// From a truth value.
    ///
    /// # Errors
    /// See [`Self::from_u64`].
    fn from_bool(_value: bool) -> Result<Self, Misfit> {
        Err(Misfit::Type)
    }

    /// From text.
    ///
    /// # Errors
    /// See [`Self::from_u64`].
    fn from_string(_value: &str) -> Result<Self, Misfit> {
        Err(Misfit::Type)
    }

    /// From text that may be kept.
    ///
    /// # Errors
    /// See [`Self::from_u64`].
    fn from_owned(value: String) -> Result<Self, Misfit> {
        Self::from_string(&value)
    }

    /// From the text of one value, where its type is not marked: a cell of a table, a JSON number.
    ///
    /// # Errors
    /// See [`Self::from_u64`].
    fn from_cell(text: &str) -> Result<Self, Misfit>;

    /// From a number in JSON, the same as [`Self::from_cell`] gives; none where only that can tell.
    #[inline]
    fn from_decimal(_number: Decimal) -> Option<Self> {
        None
    }

    /// The request of the deserializer that loses nothing.
    ///
    /// # Errors
    /// The deserializer's.
    fn ask<'de, D: Deserializer<'de>, V: Visitor<'de>>(
        deserializer: D,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        deserializer.deserialize_any(visitor)
    }
}

/// Reads a value as a `T`.
pub(super) fn element<'de, T: Element, D: Deserializer<'de>>(
    deserializer: D,
    report: &mut DecodeReport,
) -> Result<T, D::Error> {
    let result = T::ask(deserializer, ElementVisitor::<T> { report, element: PhantomData });
    result.map_err(|error| report.own_words(error, T::EXPECTED))
}

/// Reads a value as a `T`, null as none.
pub(super) fn optional_element<'de, T: Element, D: Deserializer<'de>>(
    deserializer: D,
    report: &mut DecodeReport,
) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_option(OptionVisitor { report, element: PhantomData })
}

/// A place in an array for a `T`.
pub(super) struct ElementSeed<'a, T> {
    pub(super) report: &'a mut DecodeReport,
    pub(super) element: PhantomData<T>,
}

impl<'de, T: Element> DeserializeSeed<'de> for ElementSeed<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        element(deserializer, self.report)
    }
}

struct ElementVisitor<'a, T> {
    report: &'a mut DecodeReport,
    element: PhantomData<T>,
}

impl<T: Element> ElementVisitor<'_, T> {
    fn settle<E: Error>(self, result: Result<T, Misfit>, came: &str) -> Result<T, E> {
        result.map_err(|misfit| self.report.refuse_as(misfit_code(misfit), misfit_detail::<T>(misfit, came)))
    }
}

impl<'de, T: Element> Visitor<'de> for ElementVisitor<'_, T> {
    type Value = T;

    wrong_types!(|_| T::EXPECTED; null array object);

    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        self.settle(T::from_bool(value), "a boolean")
    }

    #[inline]
    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        self.settle(T::from_u64(value), "a number")
    }

    #[inline]
    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        self.settle(T::from_i64(value), "a number")
    }

    #[inline]
    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        self.settle(T::from_f64(value), "a number")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<T, E> {
        self.settle(T::from_string(value), "a string")
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::ask(deserializer, self)
    }
}

struct OptionVisitor<'a, T> {
    report: &'a mut DecodeReport,
    element: PhantomData<T>,
}

impl<'de, T: Element> Visitor<'de> for OptionVisitor<'_, T> {
    type Value = Option<T>;

    wrong_types!(|_| T::EXPECTED; bool number string array object);

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        element(deserializer, self.report).map(Some)
    }
}

/// Decimal text as JSON writes numbers; Rust's parser also takes `inf` and `nan`.
fn is_decimal(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
}

macro_rules! integers {
    ($($integer:ident $type:ident),* $(,)?) => {$(
        impl Element for $integer {
            const TYPE: DataType = DataType::$type;
            const EXPECTED: &'static str = "an integer";

            #[inline]
            fn from_u64(value: u64) -> Result<Self, Misfit> {
                value.try_into().map_err(|_| Misfit::Range)
            }

            #[inline]
            fn from_i64(value: i64) -> Result<Self, Misfit> {
                value.try_into().map_err(|_| Misfit::Range)
            }

            fn from_f64(value: f64) -> Result<Self, Misfit> {
                // `-0`, and integers of more than 64 bits, come as doubles too.
                if value == 0.0 && value.is_sign_negative() {
                    Ok(0)
                } else if value.abs() >= 9_223_372_036_854_775_808.0 {
                    Err(Misfit::Range)
                } else {
                    Err(Misfit::Fraction)
                }
            }

            fn from_cell(text: &str) -> Result<Self, Misfit> {
                use std::num::IntErrorKind::{NegOverflow, PosOverflow};
                text.parse::<$integer>().map_err(|error| match error.kind() {
                    PosOverflow | NegOverflow => Misfit::Range,
                    // "-1" for an unsigned type is a number beyond the type, not a wrong character.
                    _ if text.parse::<i64>().is_ok() => Misfit::Range,
                    _ if is_decimal(text) && text.parse::<f64>().is_ok() => Misfit::Fraction,
                    _ => Misfit::Type,
                })
            }

            #[inline]
            fn from_decimal(number: Decimal) -> Option<Self> {
                number.to_integer()
            }
        }
    )*};
}

integers!(
    u8 Uint8, u16 Uint16, u32 Uint32, u64 Uint64,
    i8 Int8, i16 Int16, i32 Int32, i64 Int64,
);

impl Element for f64 {
    const TYPE: DataType = DataType::Fp64;
    const EXPECTED: &'static str = "a number";

    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "rounded once, to the element's type")]
    fn from_u64(value: u64) -> Result<Self, Misfit> {
        Ok(value as Self)
    }

    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "rounded once, to the element's type")]
    fn from_i64(value: i64) -> Result<Self, Misfit> {
        Ok(value as Self)
    }

    #[inline]
    fn from_f64(value: f64) -> Result<Self, Misfit> {
        if value.is_finite() { Ok(value) } else { Err(Misfit::Range) }
    }

    fn from_cell(text: &str) -> Result<Self, Misfit> {
        if !is_decimal(text) {
            return Err(Misfit::Type);
        }
        text.parse().map_err(|_| Misfit::Type).and_then(Self::from_f64)
    }

    #[inline]
    fn from_decimal(number: Decimal) -> Option<Self> {
        number.to_f64()
    }
}

impl Element for f32 {
    const TYPE: DataType = DataType::Fp32;
    const EXPECTED: &'static str = "a number";

    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "rounded once, to the element's type")]
    fn from_u64(value: u64) -> Result<Self, Misfit> {
        Ok(value as Self)
    }

    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "rounded once, to the element's type")]
    fn from_i64(value: i64) -> Result<Self, Misfit> {
        Ok(value as Self)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "what becomes infinite is refused")]
    fn from_f64(value: f64) -> Result<Self, Misfit> {
        let single = value as Self;
        if single.is_finite() { Ok(single) } else { Err(Misfit::Range) }
    }

    fn from_cell(text: &str) -> Result<Self, Misfit> {
        if !is_decimal(text) {
            return Err(Misfit::Type);
        }
        match text.parse::<Self>() {
            Ok(value) if value.is_finite() => Ok(value),
            Ok(_) => Err(Misfit::Range),
            Err(_) => Err(Misfit::Type),
        }
    }

    #[inline]
    fn from_decimal(number: Decimal) -> Option<Self> {
        number.to_f32()
    }

    /// Asked for as a single, so that the decimal is rounded once and not first to a double.
    #[inline]
    fn ask<'de, D: Deserializer<'de>, V: Visitor<'de>>(
        deserializer: D,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        deserializer.deserialize_f32(visitor)
    }
}

impl Element for bool {
    const TYPE: DataType = DataType::Bool;
    const EXPECTED: &'static str = "true or false";

    fn from_bool(value: bool) -> Result<Self, Misfit> {
        Ok(value)
    }

    fn from_cell(text: &str) -> Result<Self, Misfit> {
        match text {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            _ => Err(Misfit::Type),
        }
    }
}

impl Element for String {
    const TYPE: DataType = DataType::Bytes;
    const EXPECTED: &'static str = "a string";

    fn from_string(value: &str) -> Result<Self, Misfit> {
        Ok(value.to_owned())
    }

    fn from_owned(value: Self) -> Result<Self, Misfit> {
        Ok(value)
    }

    fn from_cell(text: &str) -> Result<Self, Misfit> {
        Ok(text.to_owned())
    }
}
