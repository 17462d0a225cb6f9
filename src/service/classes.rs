//! Classification extension: an output's best elements as text, `value:index[:label]`.

use std::fmt::Write;

use crate::tensor::{Data, Tensor, TensorError};

/// The best `most` elements of each row of `output` (of all of it, where there is no batch), the
/// highest first, the lower index on a tie, NaN last. Shape: `[rows, classes]`, or `[classes]`.
///
/// # Errors
/// None in practice: the shape is made from the elements.
pub(super) fn classify(
    output: &Tensor,
    most: usize,
    is_batch: bool,
    labels: Option<&[String]>,
) -> Result<Tensor, TensorError> {
    let rows = if is_batch { output.rows() } else { 1 };
    let width = output.data().len().checked_div(rows).unwrap_or(0);
    let classes = most.min(width);
    let labels = labels.filter(|labels| labels.len() == width);
    let mut texts: Vec<String> = Vec::with_capacity(rows * classes);
    let mut order: Vec<usize> = Vec::with_capacity(width);
    for row in 0..rows {
        let start = row * width;
        let value = |index: usize| output.data().float_at(start + index).unwrap_or(f64::NAN);
        order.clear();
        order.extend(0..width);
        let rank = |index: usize| if value(index).is_nan() { f64::NEG_INFINITY } else { value(index) };
        order.sort_by(|&a, &b| rank(b).total_cmp(&rank(a)));
        for &index in &order[..classes] {
            texts.push(text(output.data(), start + index, index, labels));
        }
    }
    let shape = if is_batch { vec![rows, classes] } else { vec![classes] };
    Tensor::new(shape, texts)
}

fn text(data: &Data, element: usize, index: usize, labels: Option<&[String]>) -> String {
    let mut text = String::new();
    // Writing to a string can't fail.
    let _infallible = match data {
        Data::Fp32(values) => write!(text, "{}", values[element]),
        Data::Uint64(values) => write!(text, "{}", values[element]),
        Data::Int64(values) => write!(text, "{}", values[element]),
        other => write!(text, "{}", other.float_at(element).unwrap_or(f64::NAN)),
    };
    let _infallible = match labels {
        Some(labels) => write!(text, ":{index}:{}", labels[index]),
        None => write!(text, ":{index}"),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(tensor: &Tensor) -> Vec<&str> {
        let Data::Bytes(texts) = tensor.data() else { panic!("{tensor:?}") };
        texts.iter().map(String::as_str).collect()
    }

    #[test]
    fn the_best_of_each_row_stand_first_with_their_labels() {
        let scores = Tensor::new(vec![2, 3], vec![0.25_f32, 0.5, 0.25, f32::NAN, 0.125, 7.0]).unwrap();
        let labels = ["a", "b", "c"].map(str::to_owned);
        let best = classify(&scores, 2, true, Some(&labels)).unwrap();
        assert_eq!(best.shape(), [2, 2]);
        assert_eq!(texts(&best), ["0.5:1:b", "0.25:0:a", "7:2:c", "0.125:1:b"]);
        let all = classify(&scores, 99, true, None).unwrap();
        assert_eq!(texts(&all)[3..], ["7:2", "0.125:1", "NaN:0"]);
        let whole =
            classify(&Tensor::new(vec![3], vec![1_i64, 3, 2]).unwrap(), 1, false, Some(&labels)).unwrap();
        assert_eq!((whole.shape(), texts(&whole)), (&[1][..], vec!["3:1:b"]));
        let none = classify(&Tensor::new(vec![0, 3], Vec::<f32>::new()).unwrap(), 1, true, None).unwrap();
        assert_eq!((none.shape(), texts(&none).len()), (&[0, 0][..], 0));
    }
}
