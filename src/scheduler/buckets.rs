//! The shapes that an accelerator's batches are filled up to.
//!
//! On an accelerator a shape that was never run before costs a search for algorithms, an engine or a captured
//! graph, far more than the run itself. So a model there has few shapes, all run at warm-up, and every batch is
//! filled up to the next one: rows by the last one again, rows of tokens with padding. On a CPU any shape is as
//! good as another, and a batch is run as it is.

/// Sizes of batches and widths of rows, both ascending; an empty list takes every size as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    rows: Vec<usize>,
    widths: Vec<usize>,
}

impl Buckets {
    /// Buckets for batches of so many `rows`, and for rows of tokens so wide as `widths` says.
    pub fn new(rows: impl IntoIterator<Item = usize>, widths: impl IntoIterator<Item = usize>) -> Self {
        let sorted = |sizes: &mut Vec<usize>| {
            sizes.sort_unstable();
            sizes.dedup();
        };
        let (mut rows, mut widths) = (rows.into_iter().collect(), widths.into_iter().collect());
        sorted(&mut rows);
        sorted(&mut widths);
        Self { rows, widths }
    }

    /// Sizes of batches, rows.
    pub fn sizes(&self) -> &[usize] {
        &self.rows
    }

    /// Widths of rows, tokens.
    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// True where every shape is taken as it is.
    pub fn is_exact(&self) -> bool {
        self.rows.is_empty() && self.widths.is_empty()
    }

    /// Rows of the batch that `rows` rows are run in: at least as many.
    pub fn rows(&self, rows: usize) -> usize {
        up(&self.rows, rows)
    }

    /// Width of the batch in which the widest row has `width` tokens: at least as wide.
    pub fn width(&self, width: usize) -> usize {
        up(&self.widths, width)
    }

    /// The largest size that `rows` rows fill; none where they fill none, or every size is taken as it is.
    pub(super) fn filled(&self, rows: usize) -> Option<usize> {
        self.rows.iter().rev().copied().find(|&size| size <= rows)
    }
}

/// The least of `sizes` that holds `size`; beyond the largest, itself.
fn up(sizes: &[usize], size: usize) -> usize {
    sizes.get(sizes.partition_point(|&bucket| bucket < size)).copied().unwrap_or(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_go_up_to_their_bucket_and_stay_where_there_is_none() {
        let buckets = Buckets::new([8, 1, 2, 4, 8], [16, 32]);
        let rows = [0, 1, 2, 3, 4, 5, 8, 9].map(|rows| buckets.rows(rows));
        assert_eq!(rows, [1, 1, 2, 4, 4, 8, 8, 9]);
        assert_eq!([1, 16, 17, 40].map(|width| buckets.width(width)), [16, 16, 32, 40]);
        assert_eq!(
            [0, 1, 3, 7, 9].map(|rows| buckets.filled(rows)),
            [None, Some(1), Some(2), Some(4), Some(8)]
        );
        assert!(!buckets.is_exact());
        let exact = Buckets::default();
        assert!(exact.is_exact());
        assert_eq!((exact.rows(7), exact.width(7), exact.filled(7)), (7, 7, None));
    }
}
