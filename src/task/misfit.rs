//! Why a value is no element of its type, in our words.

use super::element::Element;
use super::problem::InputErrorCode::{InvalidInput, NumberOutOfRange};
use super::{InputError, InputErrorCode};

/// Why a value of the right JSON type is still no element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// A number for a string, a boolean for a number and the like.
    Type,
    /// A number with a fraction or an exponent for an integer.
    Fraction,
    /// A number beyond the type.
    Range,
}

impl Misfit {
    /// What was expected of a `T`, where `came` came.
    pub fn error<T: Element>(self, came: &str, pointer: String) -> InputError {
        InputError::new(misfit_code(self), pointer, misfit_detail::<T>(self, came))
    }
}

/// What was expected where a value did not fit its type.
pub(super) fn misfit_detail<T: Element>(misfit: Misfit, came: &str) -> String {
    match misfit {
        Misfit::Type => format!("expected {}, got {came}", T::EXPECTED),
        Misfit::Fraction => {
            format!("expected {} written without fraction or exponent, got one with", T::EXPECTED)
        }
        Misfit::Range => {
            format!("expected {} within the range of {}, got one beyond it", T::EXPECTED, T::TYPE)
        }
    }
}

pub(super) fn misfit_code(misfit: Misfit) -> InputErrorCode {
    if misfit == Misfit::Range { NumberOutOfRange } else { InvalidInput }
}
