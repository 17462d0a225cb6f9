//! Pieces of a body put together in one run of memory, with one of its bytes on a boundary that any
//! tensor's elements may lie on.
//!
//! Memory follows what has come, never what was announced.

use bytes::Bytes;

/// Where binary tensors should begin: a cache line, and enough for every kernel of the runtime.
const ALIGNMENT: usize = 64;
/// The least that is allocated.
const FIRST: usize = 64 << 10;
/// How much may be allocated ahead of what has come, where more is announced.
const AHEAD: usize = 4;

/// A body under collection.
pub struct Collected {
    /// Padding, then what has come.
    memory: Vec<u8>,
    padding: usize,
    align_at: usize,
    announced: Option<usize>,
}

impl Collected {
    /// An empty body whose byte `align_at` will lie on a boundary of 64 bytes, and that will hold
    /// `announced` bytes in the end, if that is true.
    pub fn new(align_at: usize, announced: Option<u64>) -> Self {
        let announced = announced.and_then(|length| usize::try_from(length).ok());
        Self { memory: Vec::new(), padding: 0, align_at, announced }
    }

    /// Appends a piece.
    pub fn push(&mut self, piece: &[u8]) {
        if self.memory.capacity() - self.memory.len() < piece.len() {
            self.grow(piece.len());
        }
        self.memory.extend_from_slice(piece);
    }

    fn grow(&mut self, more: usize) {
        let needed = self.memory.len() - self.padding + more;
        let room = match self.announced {
            Some(announced) if announced >= needed => announced.min((needed * AHEAD).max(FIRST)),
            _ => (needed * 2).max(FIRST),
        };
        // The allocator moves large memory by its pages, which is no copy.
        self.memory.reserve_exact(room + ALIGNMENT - self.memory.len());
        let beyond = self.memory.as_ptr().addr().wrapping_add(self.align_at) % ALIGNMENT;
        let padding = (ALIGNMENT - beyond) % ALIGNMENT;
        if padding != self.padding {
            let (came, end) = (self.padding..self.memory.len(), needed - more + padding);
            self.memory.resize(end.max(came.end), 0);
            self.memory.copy_within(came, padding);
            self.memory.truncate(end);
            self.padding = padding;
        }
    }

    /// The whole body.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from(self.memory).slice(self.padding..)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_of_it_in_order_with_the_wanted_byte_on_the_boundary(
            pieces in prop::collection::vec(0_usize..50_000, 1..12),
            align_at in 0_usize..5_000,
            announced in prop::option::of(0_u64..400_000),
        ) {
            let mut collected = Collected::new(align_at, announced);
            let mut expected = Vec::new();
            for (length, fill) in pieces.iter().zip(1_u8..) {
                let piece = vec![fill; *length];
                collected.push(&piece);
                expected.extend_from_slice(&piece);
                let allowed = (expected.len() * AHEAD).max(FIRST) + ALIGNMENT;
                prop_assert!(collected.memory.capacity() <= allowed);
            }
            let bytes = collected.into_bytes();
            if bytes.len() > align_at {
                prop_assert_eq!(bytes[align_at..].as_ptr().addr() % ALIGNMENT, 0);
            }
            prop_assert_eq!(bytes, expected);
        }
    }

    #[test]
    fn an_announced_length_is_neither_allocated_at_once_nor_passed() {
        let mut collected = Collected::new(0, Some(1 << 40));
        collected.push(&[1; 1000]);
        assert!(collected.memory.capacity() <= FIRST + ALIGNMENT);
        let mut collected = Collected::new(0, Some(200_000));
        collected.push(&vec![1; 100_000]);
        assert!(collected.memory.capacity() <= 200_000 + ALIGNMENT);
        assert_eq!(Collected::new(usize::MAX, None).into_bytes().len(), 0);
    }
}
