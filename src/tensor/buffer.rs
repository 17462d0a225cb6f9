//! A shared, immutable run of elements: a slice of a reference-counted vector.
//!
//! Splitting a batch's outputs into its members' outputs costs a reference count, not a copy.

use std::ops::{Deref, Range};
use std::sync::Arc;

/// A range of a shared vector. Cloning and slicing never copy elements.
#[derive(Clone)]
pub struct Buffer<T> {
    whole: Arc<Vec<T>>,
    range: Range<usize>,
}

impl<T> Buffer<T> {
    /// The elements `range` of this buffer, sharing its memory.
    ///
    /// # Panics
    /// If `range` reaches beyond this buffer: a caller's bug, like slice indexing.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.len(),
            "slice {range:?} of a buffer of {}",
            self.len()
        );
        Self {
            whole: Arc::clone(&self.whole),
            range: self.range.start + range.start..self.range.start + range.end,
        }
    }
}

impl<T: Clone> Buffer<T> {
    /// The elements as a vector: moved out when this is the only owner of all of it, else copied.
    pub fn into_vec(self) -> Vec<T> {
        let Self { whole, range } = self;
        if range.len() == whole.len() {
            Arc::try_unwrap(whole).unwrap_or_else(|shared| shared.to_vec())
        } else {
            whole[range].to_vec()
        }
    }
}

impl<T> From<Vec<T>> for Buffer<T> {
    fn from(elements: Vec<T>) -> Self {
        let range = 0..elements.len();
        Self { whole: Arc::new(elements), range }
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.whole[self.range.clone()]
    }
}

impl<T: PartialEq> PartialEq for Buffer<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}
