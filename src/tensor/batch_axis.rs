//! Rows in and out of a batch: concatenate and split them, change their width, with nothing reordered.
//!
//! `split` after `concatenate` gives the same rows back (property-tested below).

use super::data::Element;
use super::{Data, Tensor, TensorError, with_buffer};

/// Tensors that can't share a batch, or rows that are not there.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AxisError {
    /// There is nothing to concatenate.
    #[error("no tensors to concatenate")]
    Empty,
    /// Types or inner dimensions differ.
    #[error("tensors of {first} and {other} can't share a batch")]
    Mismatch {
        /// Type and shape of the first tensor.
        first: String,
        /// Type and shape of the one that differs.
        other: String,
    },
    /// The pieces don't make a tensor: rows times inner dimensions overflow.
    #[error(transparent)]
    Shape(#[from] TensorError),
    /// The sizes asked for don't add up to the rows of the tensor.
    #[error("{asked} rows asked of a tensor of {rows}")]
    Rows {
        /// Sum of the sizes asked for.
        asked: usize,
        /// Rows of the tensor.
        rows: usize,
    },
}

fn described(tensor: &Tensor) -> String {
    format!("{}{:?}", tensor.data_type(), tensor.shape())
}

/// Joins tensors of one type and equal inner dimensions along the first axis, in order.
///
/// # Errors
/// When there are none, or one differs in type, rank or an inner dimension.
pub fn concatenate(tensors: &[&Tensor]) -> Result<Tensor, AxisError> {
    let [first, rest @ ..] = tensors else { return Err(AxisError::Empty) };
    if rest.is_empty() {
        return Ok((*first).clone());
    }
    let mut rows = 0;
    for tensor in tensors {
        let fits = tensor.data_type() == first.data_type()
            && !tensor.shape().is_empty()
            && tensor.shape()[1..] == first.shape()[1..];
        if !fits {
            return Err(AxisError::Mismatch { first: described(first), other: described(tensor) });
        }
        rows += tensor.rows();
    }
    let mut shape = first.shape().to_vec();
    shape[0] = rows;
    let data = with_buffer!(first.data(), _buffer => join(_buffer, tensors));
    Ok(Tensor::new(shape, data)?)
}

/// The elements of `tensors` one after the other; `_type` only names their type.
fn join<T: Element>(_type: &[T], tensors: &[&Tensor]) -> Data
where
    Data: From<Vec<T>>,
{
    let total = tensors.iter().map(|tensor| tensor.data().len()).sum();
    let mut joined = Vec::with_capacity(total);
    for tensor in tensors {
        joined.extend_from_slice(T::slice_of(tensor.data()));
    }
    Data::from(joined)
}

/// Cuts a tensor into pieces of `sizes` rows along the first axis, sharing its memory.
///
/// # Errors
/// When `sizes` don't add up to the tensor's rows, or it has no axis.
pub fn split(tensor: &Tensor, sizes: &[usize]) -> Result<Vec<Tensor>, AxisError> {
    let asked = sizes.iter().sum();
    if tensor.shape().is_empty() || asked != tensor.rows() {
        let rows = if tensor.shape().is_empty() { 0 } else { tensor.rows() };
        return Err(AxisError::Rows { asked, rows });
    }
    let row_len = tensor.row_len();
    let mut start = 0;
    let pieces = sizes.iter().map(|&size| {
        let mut shape = tensor.shape().to_vec();
        shape[0] = size;
        let range = start * row_len..(start + size) * row_len;
        start += size;
        Ok(Tensor::new(shape, tensor.data().slice(range))?)
    });
    pieces.collect()
}

/// Picks rows out of tensors of one type, each by tensor and row, and stacks them in that order. With a
/// `width`, the second axis may differ: it is brought to that width, filled with the type's zero.
///
/// # Errors
/// When there are no rows, a tensor differs in type or an inner dimension or has no such row.
pub fn gather(rows: &[(&Tensor, usize)], width: Option<usize>) -> Result<Tensor, AxisError> {
    let [(first, _), ..] = rows else { return Err(AxisError::Empty) };
    // The first axis is rows; the second one, where it may differ, is widths.
    let skipped = if width.is_some() { 2 } else { 1 };
    let inner = |tensor: &Tensor| tensor.shape().get(skipped..).map(<[usize]>::to_vec);
    let Some(wanted) = inner(first) else {
        return Err(AxisError::Mismatch {
            first: described(first),
            other: format!("rank {skipped} or more"),
        });
    };
    let mut last: Option<&Tensor> = None;
    for &(tensor, row) in rows {
        if row >= tensor.rows() {
            return Err(AxisError::Rows { asked: row + 1, rows: tensor.rows() });
        }
        // Rows of one tensor often follow each other.
        if last.is_some_and(|last| std::ptr::eq(last, tensor)) {
            continue;
        }
        last = Some(tensor);
        if tensor.data_type() != first.data_type() || tensor.shape().get(skipped..) != Some(&wanted) {
            return Err(AxisError::Mismatch { first: described(first), other: described(tensor) });
        }
    }
    let step: usize = wanted.iter().product();
    let row_len = width.map_or(step, |width| width * step);
    let data = with_buffer!(first.data(), _buffer => stack(_buffer, rows, row_len));
    let mut shape = vec![rows.len()];
    shape.extend(width);
    shape.extend(wanted);
    Ok(Tensor::new(shape, data)?)
}

/// Rows of `row_len` elements, cut or filled to that; `_type` only names their type.
fn stack<T: Element + Default>(_type: &[T], rows: &[(&Tensor, usize)], row_len: usize) -> Data
where
    Data: From<Vec<T>>,
{
    let mut stacked = Vec::with_capacity(rows.len() * row_len);
    for (index, (tensor, row)) in rows.iter().enumerate() {
        let own = tensor.row_len();
        let elements = &T::slice_of(tensor.data())[row * own..(row + 1) * own];
        stacked.extend_from_slice(&elements[..own.min(row_len)]);
        stacked.resize_with((index + 1) * row_len, T::default);
    }
    Data::from(stacked)
}

/// Brings the second axis of a tensor to `width`: cut on the right, or filled with the type's zero.
///
/// # Errors
/// When the tensor has no second axis, or would have too many elements.
pub fn with_width(tensor: &Tensor, width: usize) -> Result<Tensor, AxisError> {
    let &[rows, own, ref inner @ ..] = tensor.shape() else {
        return Err(AxisError::Mismatch { first: described(tensor), other: "rank 2 or more".into() });
    };
    if own == width {
        return Ok(tensor.clone());
    }
    let step: usize = inner.iter().product();
    let (from, into) = (own * step, width * step);
    let data = with_buffer!(tensor.data(), buffer => {
        let mut resized = Vec::with_capacity(rows * into);
        for row in 0..rows {
            resized.extend_from_slice(&buffer[row * from..row * from + from.min(into)]);
            resized.resize_with((row + 1) * into, Default::default);
        }
        Data::from(resized)
    });
    let mut shape = tensor.shape().to_vec();
    shape[1] = width;
    Ok(Tensor::new(shape, data)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tensor(rows: usize, width: usize, start: f32) -> Tensor {
        #[expect(clippy::cast_precision_loss, reason = "small test values")]
        let values: Vec<f32> = (0..rows * width).map(|i| start + i as f32).collect();
        Tensor::new(vec![rows, width], values).unwrap()
    }

    proptest! {
        #[test]
        fn split_undoes_concatenate(sizes in prop::collection::vec(0_usize..5, 1..6), width in 0_usize..4) {
            let parts: Vec<Tensor> =
                sizes.iter().zip(0_u8..).map(|(&rows, i)| tensor(rows, width, f32::from(i) * 100.0)).collect();
            let joined = concatenate(&parts.iter().collect::<Vec<_>>()).unwrap();
            prop_assert_eq!(split(&joined, &sizes).unwrap(), parts);
        }

        #[test]
        fn gathered_rows_are_those_asked_for(
            widths in prop::collection::vec(1_usize..5, 1..5),
            picks in prop::collection::vec((0_usize..100, 0_usize..100), 1..20),
        ) {
            let tensors: Vec<Tensor> =
                widths.iter().zip(0_u8..).map(|(&width, i)| tensor(3, width, f32::from(i) * 100.0)).collect();
            let rows: Vec<(&Tensor, usize)> =
                picks.iter().map(|&(which, row)| (&tensors[which % tensors.len()], row % 3)).collect();
            let gathered = gather(&rows, Some(6)).unwrap();
            prop_assert_eq!(gathered.shape(), &[rows.len(), 6]);
            for ((source, row), got) in rows.iter().zip(split(&gathered, &vec![1; rows.len()]).unwrap()) {
                let own = &split(source, &[1, 1, 1]).unwrap()[*row];
                prop_assert_eq!(&with_width(&got, own.shape()[1]).unwrap(), own);
                prop_assert_eq!(&with_width(own, 6).unwrap(), &got);
            }
            let same = gather(&[(&tensors[0], 2), (&tensors[0], 0)], None).unwrap();
            prop_assert_eq!(same.shape(), &[2, widths[0]]);
        }

        #[test]
        fn padding_keeps_every_row(rows in 0_usize..5, width in 0_usize..5, more in 0_usize..5) {
            let source = tensor(rows, width, 1.0);
            let padded = with_width(&source, width + more).unwrap();
            prop_assert_eq!(&with_width(&padded, width).unwrap(), &source);
            let (Data::Fp32(from), Data::Fp32(to)) = (source.data(), padded.data()) else { panic!("not FP32") };
            for row in 0..rows {
                let start = row * (width + more);
                prop_assert_eq!(&to[start..start + width], &from[row * width..(row + 1) * width]);
                prop_assert!(to[start + width..start + width + more].iter().all(|&value| value == 0.0));
            }
        }
    }

    #[test]
    fn different_inner_dimensions_and_types_are_refused() {
        let narrow = tensor(1, 2, 0.0);
        let wide = tensor(1, 3, 0.0);
        assert!(matches!(concatenate(&[&narrow, &wide]), Err(AxisError::Mismatch { .. })));
        let integers = Tensor::new(vec![1, 2], vec![1_i64, 2]).unwrap();
        assert!(matches!(concatenate(&[&narrow, &integers]), Err(AxisError::Mismatch { .. })));
        assert_eq!(concatenate(&[]), Err(AxisError::Empty));
        let deep = Tensor::new(vec![2, 2, 2], (0..8_u8).map(f32::from).collect::<Vec<_>>()).unwrap();
        let cut = Tensor::new(vec![2, 1, 2], vec![0.0_f32, 1.0, 4.0, 5.0]).unwrap();
        assert_eq!(with_width(&deep, 1), Ok(cut));
        let flat = Tensor::new(vec![2], vec![1.0_f32; 2]).unwrap();
        assert!(matches!(with_width(&flat, 1), Err(AxisError::Mismatch { .. })));
        assert!(matches!(gather(&[(&narrow, 0), (&wide, 0)], None), Err(AxisError::Mismatch { .. })));
        assert!(matches!(gather(&[(&flat, 0)], Some(2)), Err(AxisError::Mismatch { .. })));
        assert_eq!(gather(&[(&narrow, 1)], None), Err(AxisError::Rows { asked: 2, rows: 1 }));
        assert_eq!(gather(&[], None), Err(AxisError::Empty));
        assert_eq!(split(&narrow, &[2]), Err(AxisError::Rows { asked: 2, rows: 1 }));
    }

    #[test]
    fn a_shape_must_hold_its_elements() {
        assert!(Tensor::new(vec![2, 2], vec![1.0_f32; 3]).is_err());
        assert!(Tensor::new(vec![usize::MAX, 2], vec![1.0_f32; 3]).is_err());
        assert_eq!(Tensor::new(vec![], vec![1.0_f32]).unwrap().rows(), 1);
    }
}
