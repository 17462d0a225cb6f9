//! Which rows of a run's outputs hold NaN or infinity.
//!
//! Asked by `service/` of every run, whatever the answer's form, so it has a bound: JSON looks at each
//! element anyway, but raw tensors of many MiB are handed on unread.

use super::Tensor;

/// Elements that are looked at, of all outputs together: a vectorised pass over them takes some 20 microseconds.
const LOOKED_AT: usize = 64 << 10;

/// How many of `rows` rows hold NaN or infinity in any of `outputs`. Of outputs with more than 65,536 elements
/// together the first ones of every row are looked at, as many of each.
pub fn non_finite_rows(outputs: &[Tensor], rows: usize) -> usize {
    let floats = || outputs.iter().filter(|output| output.data_type().is_float());
    let share = (LOOKED_AT / (rows.max(1) * floats().count().max(1))).max(1);
    // Nearly always there is little to look at and nothing to find: one pass over all is the quickest.
    let is_small = |output: &Tensor| output.data().len() <= share * rows.max(1);
    if floats().all(|output| is_small(output) && output.data().first_non_finite().is_none()) {
        return 0;
    }
    let is_odd = |output: &Tensor, row: usize| {
        let (start, length) = if output.rows() == rows {
            (row * output.row_len(), output.row_len())
        } else {
            (0, output.data().len())
        };
        output.data().slice(start..start + length.min(share)).first_non_finite().is_some()
    };
    (0..rows).filter(|&row| floats().any(|output| is_odd(output, row))).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: Vec<usize>, values: Vec<f32>) -> Tensor {
        Tensor::new(shape, values).unwrap()
    }

    #[test]
    fn rows_are_counted_once_whatever_holds_them() {
        let labels = Tensor::new(vec![3], vec![1_i64, 2, 3]).unwrap();
        let scores = tensor(vec![3, 2], vec![0.0, f32::NAN, 1.0, 1.0, f32::INFINITY, 0.0]);
        let others = tensor(vec![3], vec![f32::NEG_INFINITY, 0.0, 0.0]);
        assert_eq!(non_finite_rows(std::slice::from_ref(&labels), 3), 0);
        assert_eq!(non_finite_rows(&[labels.clone(), scores.clone()], 3), 2);
        assert_eq!(non_finite_rows(&[labels, scores, others.clone()], 3), 2);
        assert_eq!(non_finite_rows(&[others], 3), 1);
        assert_eq!(non_finite_rows(&[], 3), 0);
    }

    #[test]
    fn an_output_that_has_no_rows_is_every_rows() {
        let whole = tensor(vec![2, 2], vec![0.0, 0.0, 0.0, f32::NAN]);
        let whole = [whole];
        assert_eq!(non_finite_rows(&whole, 1), 1);
        assert_eq!(non_finite_rows(&whole, 3), 3);
        assert_eq!(non_finite_rows(&[tensor(vec![], vec![f32::NAN])], 1), 1);
        assert_eq!(non_finite_rows(&[tensor(vec![0, 2], vec![])], 1), 0);
    }

    #[test]
    fn of_large_outputs_each_row_is_looked_at_as_far_as_the_bound_goes() {
        let (rows, width) = (4, LOOKED_AT);
        let at = |places: &[usize]| {
            let mut values = vec![0.0; rows * width];
            for &place in places {
                values[place] = f32::NAN;
            }
            non_finite_rows(&[tensor(vec![rows, width], values)], rows)
        };
        assert_eq!(at(&[]), 0);
        assert_eq!(at(&[0, width, 3 * width + LOOKED_AT / 4 - 1]), 3);
        assert_eq!(at(&[width - 1]), 0);
    }
}
