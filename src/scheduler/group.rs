//! Which jobs can share a batch: those whose rows are of one shape, or are once they are padded.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::job::JobRequest;

/// What a model's rows may have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grouping {
    /// Rows can share a batch at all.
    pub batchable: bool,
    /// A dimension of a row is free: rows of different shapes come.
    pub has_free_shape: bool,
    /// Rows of tokens may be padded to the longest: checked by running them at both widths.
    pub pads: bool,
}

impl Grouping {
    /// The group of a job, and whether it runs by itself. Groups of different shapes may by chance have
    /// one number; whoever joins their rows sees that they don't fit.
    pub(super) fn of(self, request: &JobRequest) -> (u64, bool) {
        // A list for a model that is not batchable is cut into its rows, by the limit of one.
        let is_alone = !request.optional.is_empty() || (!self.batchable && request.rows <= 1);
        if is_alone || !self.has_free_shape {
            return (0, is_alone);
        }
        let skipped = if self.pads && request.row_tokens.is_some() { 2 } else { 1 };
        let mut hasher = DefaultHasher::new();
        skipped.hash(&mut hasher);
        for input in &request.inputs {
            input.shape().get(skipped..).hash(&mut hasher);
        }
        (hasher.finish(), false)
    }

    /// How wide its widest row is, for what it costs: its tokens, or the elements of its largest input where
    /// shapes are free.
    pub(super) fn width(self, request: &JobRequest) -> usize {
        if let Some(tokens) = request.row_tokens.as_deref().and_then(|tokens| tokens.iter().max()) {
            return *tokens as usize;
        }
        if !self.has_free_shape {
            return 1;
        }
        let elements = request
            .inputs
            .iter()
            .map(|input| if self.batchable { input.row_len() } else { input.data().len() });
        elements.max().unwrap_or(1).max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::tensor::Tensor;

    fn request(shape: &[usize], row_tokens: Option<Vec<u32>>) -> JobRequest {
        let data = vec![0_i64; shape.iter().product()];
        JobRequest {
            inputs: vec![Tensor::new(shape.to_vec(), data).unwrap()],
            optional: Vec::new(),
            rows: shape[0],
            row_tokens,
            priority: 0,
            deadline: Instant::now(),
            trace: None,
            input_length: 0,
        }
    }

    #[test]
    fn shapes_decide_unless_they_are_padded() {
        let exact = Grouping { batchable: true, has_free_shape: true, pads: false };
        let group = |grouping: Grouping, shape: &[usize]| grouping.of(&request(shape, Some(vec![3]))).0;
        assert_eq!(group(exact, &[1, 3]), group(exact, &[4, 3]));
        assert_ne!(group(exact, &[1, 3]), group(exact, &[1, 4]));
        let padded = Grouping { pads: true, ..exact };
        assert_eq!(group(padded, &[1, 3]), group(padded, &[1, 4]));
        assert_ne!(group(padded, &[1, 3, 2]), group(padded, &[1, 3, 4]));
        let given = |shape: &[usize]| padded.of(&request(shape, None)).0;
        assert_ne!(given(&[1, 3]), given(&[1, 4]), "tensors that callers give have no padding");
        assert_ne!(given(&[1, 3]), group(padded, &[1, 3]));
    }

    #[test]
    fn what_cannot_be_joined_is_alone() {
        let none = Grouping::default();
        assert!(none.of(&request(&[1, 3], None)).1);
        assert!(!none.of(&request(&[2, 3], None)).1, "its rows are run one by one");
        let mut optional = request(&[1, 3], None);
        optional.optional.push((0, Tensor::new(vec![1], vec![0_i64]).unwrap()));
        assert!(Grouping { batchable: true, ..none }.of(&optional).1);
        assert_eq!(Grouping { has_free_shape: true, ..none }.width(&request(&[2, 3], None)), 6);
    }
}
