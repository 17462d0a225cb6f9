//! What makes scores of raw values.

use crate::model::Activation;

/// The probability behind a logit.
pub(super) fn sigmoid(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}

/// Makes scores of a row's raw values.
pub(super) fn activate(row: &mut [f64], activation: Activation) {
    match activation {
        Activation::None => {}
        Activation::Sigmoid => {
            for value in row {
                *value = sigmoid(*value);
            }
        }
        Activation::Softmax => {
            let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            for value in row.iter_mut() {
                *value = (*value - highest).exp();
            }
            let sum: f64 = row.iter().sum();
            for value in row {
                *value /= sum;
            }
        }
    }
}
