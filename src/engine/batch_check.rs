//! Whether a graph's rows are independent: that a result never depends on who shared its batch.
//!
//! Shapes can't tell (a graph may subtract the mean of the batch), so two different rows are run
//! alone and together and must agree.

use super::{Run, RunError};
use crate::model::{ProviderKind, Tolerance};
use crate::tensor::{AxisError, Data, Tensor, concatenate, split, with_width};

/// What the check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchCheck {
    /// Alone and batched agree.
    Independent,
    /// They don't: run batches of one.
    Dependent {
        /// Position of the output that shows it; none where the batch could not be run at all.
        output: Option<usize>,
        /// What differs.
        detail: String,
    },
}

/// Runs each of `rows` alone and both as a batch, and compares.
///
/// # Errors
/// When a single row can't be run, or the batch fails for want of memory, by its device or by an
/// interrupt: then nothing is known.
pub fn rows_are_independent(
    run: &mut dyn Run,
    rows: &[Vec<Tensor>; 2],
    tolerance: &Tolerance,
    provider: ProviderKind,
) -> Result<BatchCheck, RunError> {
    let alone = [run.run(&rows[0])?, run.run(&rows[1])?];
    let inputs: Result<Vec<Tensor>, AxisError> =
        rows[0].iter().zip(&rows[1]).map(|(first, second)| concatenate(&[first, second])).collect();
    let batched = match inputs {
        Ok(inputs) => run.run(&inputs),
        Err(error) => return Ok(dependent(None, format!("the rows can't be joined: {error}"))),
    };
    let batched = match batched {
        Ok(batched) => batched,
        Err(RunError::InvalidInput(text) | RunError::Failed(text)) => {
            return Ok(dependent(None, format!("two rows fail where one runs: {text}")));
        }
        Err(error) => return Err(error),
    };
    for (output, together) in batched.iter().enumerate() {
        let detail = match split(together, &[1, 1]) {
            Ok(parts) => (0..2).find_map(|row| {
                let difference = difference(alone[row].get(output)?, &parts[row], tolerance, provider);
                difference.map(|what| format!("row {row} alone and in a batch of two: {what}"))
            }),
            Err(_) => Some(format!("a batch of two rows gives shape {:?}", together.shape())),
        };
        if let Some(detail) = detail {
            return Ok(dependent(Some(output), detail));
        }
    }
    Ok(BatchCheck::Independent)
}

/// Whether a row gives alone at its own width what it gives padded to a wider one: then rows of
/// different widths may share a batch. `narrow` and `padded` are the same row; an output that is as
/// wide as its input is compared over the row's own width.
///
/// # Errors
/// When a row can't be run: then nothing is known.
pub fn padding_changes(
    run: &mut dyn Run,
    (narrow, padded): (&[Tensor], &[Tensor]),
    tolerance: &Tolerance,
    provider: ProviderKind,
) -> Result<Option<String>, RunError> {
    let width = |inputs: &[Tensor]| inputs.first().and_then(|input| input.shape().get(1).copied());
    let (own, padded_width) = (width(narrow), width(padded));
    let (expected, actual) = (run.run(narrow)?, run.run(padded)?);
    for (expected, actual) in expected.iter().zip(&actual) {
        let is_wide =
            expected.shape().get(1).copied() == own && actual.shape().get(1).copied() == padded_width;
        let cut = own.filter(|_| is_wide).and_then(|own| with_width(actual, own).ok());
        let actual = cut.as_ref().unwrap_or(actual);
        if let Some(difference) = difference(expected, actual, tolerance, provider) {
            return Ok(Some(difference));
        }
    }
    Ok(None)
}

fn dependent(output: Option<usize>, detail: String) -> BatchCheck {
    BatchCheck::Dependent { output, detail }
}

/// How `actual` differs from `expected`, if it does. Floats may differ by `tolerance`; integers,
/// truth values and strings not at all.
fn difference(
    expected: &Tensor,
    actual: &Tensor,
    tolerance: &Tolerance,
    provider: ProviderKind,
) -> Option<String> {
    if expected.shape() != actual.shape() || expected.data_type() != actual.data_type() {
        return Some(format!(
            "{}{:?} became {}{:?}",
            expected.data_type(),
            expected.shape(),
            actual.data_type(),
            actual.shape()
        ));
    }
    if !expected.data_type().is_float() {
        return (expected.data() != actual.data()).then(|| "values differ".into());
    }
    let value = |data: &Data, index| data.float_at(index).unwrap_or(f64::NAN);
    (0..expected.data().len())
        .map(|index| (index, value(expected.data(), index), value(actual.data(), index)))
        .find(|&(_, expected, actual)| !tolerance.allows(expected, actual, provider))
        .map(|(index, expected, actual)| format!("element {index} is {expected} and {actual}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Interrupt;

    /// A session whose outputs are made by a function of its inputs.
    struct Scripted<F>(F);

    impl<F: FnMut(&Tensor) -> Result<Tensor, RunError> + Send> Run for Scripted<F> {
        fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
            (self.0)(&inputs[0]).map(|output| vec![output])
        }

        fn interrupt(&self) -> Interrupt {
            Interrupt::from_fn(|_| {})
        }
    }

    fn check(script: impl FnMut(&Tensor) -> Result<Tensor, RunError> + Send) -> Result<BatchCheck, RunError> {
        let rows = [1.0_f32, 2.0].map(|value| vec![Tensor::new(vec![1, 1], vec![value]).unwrap()]);
        rows_are_independent(&mut Scripted(script), &rows, &Tolerance::default(), ProviderKind::Cpu)
    }

    fn output_of(check: &BatchCheck) -> Option<usize> {
        match check {
            BatchCheck::Dependent { output, .. } => *output,
            BatchCheck::Independent => None,
        }
    }

    #[test]
    fn an_echo_is_independent_and_others_are_not() {
        assert_eq!(check(|input| Ok(input.clone())), Ok(BatchCheck::Independent));
        let first_row_only = check(|input| {
            let Data::Fp32(values) = input.data() else { panic!("not FP32") };
            Ok(Tensor::new(input.shape().to_vec(), vec![values[0]; values.len()]).unwrap())
        });
        assert_eq!(output_of(&first_row_only.unwrap()), Some(0));
        let one_row_out = check(|_| Ok(Tensor::new(vec![1, 1], vec![0.0_f32]).unwrap()));
        assert_eq!(output_of(&one_row_out.unwrap()), Some(0));
    }

    #[test]
    fn padding_that_shows_is_found() {
        let row = |values: &[f32]| vec![Tensor::new(vec![1, values.len()], values.to_vec()).unwrap()];
        let (narrow, padded) = (row(&[1.0, 2.0]), row(&[1.0, 2.0, 0.0, 0.0]));
        let check = |script: fn(&[f32]) -> Vec<f32>| {
            let mut run = Scripted(move |input: &Tensor| {
                let Data::Fp32(values) = input.data() else { panic!("not FP32") };
                let output = script(values);
                Ok(Tensor::new(vec![1, output.len()], output).unwrap())
            });
            padding_changes(&mut run, (&narrow, &padded), &Tolerance::default(), ProviderKind::Cpu).unwrap()
        };
        assert_eq!(check(<[f32]>::to_vec), None, "as wide as the input");
        assert_eq!(check(|values| vec![values.iter().sum()]), None);
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let mean = |values: &[f32]| vec![values.iter().sum::<f32>() / values.len() as f32];
        assert!(check(mean).is_some());
    }

    #[test]
    fn a_batch_that_fails_is_dependent_and_a_single_row_that_fails_says_nothing() {
        let refuse = |rows| {
            move |input: &Tensor| {
                if input.rows() == rows { Err(RunError::Failed("no".into())) } else { Ok(input.clone()) }
            }
        };
        assert!(matches!(check(refuse(2)), Ok(BatchCheck::Dependent { output: None, .. })));
        assert_eq!(check(refuse(1)), Err(RunError::Failed("no".into())));
    }
}
