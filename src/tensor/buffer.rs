//! A shared, immutable run of elements: a slice of a reference-counted vector, or of the bytes that
//! a request or the runtime brought, used where they lie.
//!
//! Splitting a batch's outputs into its members' outputs costs a reference count, not a copy. Raw
//! bytes are kept only when they lie as a vector of their own would; else they are copied.

use std::ops::{Deref, Range};
use std::sync::Arc;

use bytemuck::{NoUninit, Pod};
use bytes::Bytes;
use half::{bf16, f16};

/// Where every vector of numbers begins. The runtime's vectorised sums begin at such a boundary, so
/// elsewhere the same numbers would be added in another order and give another last bit.
const BOUNDARY: usize = 16;

/// A type of elements, and how a buffer's raw bytes are seen as such.
pub trait Stored: Sized {
    /// The elements that `bytes` hold; none for types that are never kept as raw bytes.
    fn view(bytes: &[u8]) -> &[Self];
}

macro_rules! plain {
    ($($element:ty),*) => {$(
        impl Stored for $element {
            #[inline]
            fn view(bytes: &[u8]) -> &[Self] {
                // Fails for bytes of no length only, which lie anywhere: the others were held
                // against length and alignment when they were taken.
                bytemuck::try_cast_slice(bytes).unwrap_or_default()
            }
        }
    )*};
}

plain!(u8, u16, u32, u64, i8, i16, i32, i64, f16, bf16, f32, f64);

/// Not every byte is a truth value, so that a view would have to look at all of them each time.
impl Stored for bool {
    fn view(_bytes: &[u8]) -> &[Self] {
        &[]
    }
}

impl Stored for String {
    fn view(_bytes: &[u8]) -> &[Self] {
        &[]
    }
}

/// A range of shared memory. Cloning and slicing never copy elements.
#[derive(Clone)]
pub struct Buffer<T>(Memory<T>);

#[derive(Clone)]
enum Memory<T> {
    Vector {
        whole: Arc<Vec<T>>,
        range: Range<usize>,
    },
    /// Begins at a boundary, or a slice of what does; a whole number of elements.
    Raw(Bytes),
}

impl<T: Stored> Buffer<T> {
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
        Self(match &self.0 {
            Memory::Vector { whole, range: own } => Memory::Vector {
                whole: Arc::clone(whole),
                range: own.start + range.start..own.start + range.end,
            },
            Memory::Raw(bytes) => {
                Memory::Raw(bytes.slice(range.start * size_of::<T>()..range.end * size_of::<T>()))
            }
        })
    }
}

impl<T: Clone + Stored> Buffer<T> {
    /// The elements as a vector: moved out when this is the only owner of all of it, else copied.
    pub fn into_vec(self) -> Vec<T> {
        match self.0 {
            Memory::Vector { whole, range } if range.len() == whole.len() => {
                Arc::try_unwrap(whole).unwrap_or_else(|shared| shared.to_vec())
            }
            Memory::Vector { whole, range } => whole[range].to_vec(),
            Memory::Raw(bytes) => T::view(&bytes).to_vec(),
        }
    }
}

impl<T: Pod> Buffer<T> {
    /// The elements that `bytes` hold, in place where they begin at a boundary of 16 bytes, else
    /// copied. A rest that is no whole element is cut off.
    pub fn from_raw(bytes: Bytes) -> Self {
        let whole = bytes.len() - bytes.len() % size_of::<T>();
        if whole == bytes.len() && bytes.as_ptr().addr().is_multiple_of(BOUNDARY.max(align_of::<T>())) {
            Self(Memory::Raw(bytes))
        } else {
            Self::from(bytemuck::allocation::pod_collect_to_vec::<u8, T>(&bytes[..whole]))
        }
    }
}

impl<T: Stored + NoUninit + Send + Sync> Buffer<T> {
    /// The elements as bytes, sharing the memory.
    pub fn to_raw(&self) -> Bytes {
        match &self.0 {
            Memory::Raw(bytes) => bytes.clone(),
            Memory::Vector { range, .. } if range.is_empty() => Bytes::new(),
            Memory::Vector { .. } => Bytes::from_owner(AsBytes(self.clone())),
        }
    }
}

/// A buffer as the owner of its bytes.
struct AsBytes<T>(Buffer<T>);

impl<T: Stored + NoUninit> AsRef<[u8]> for AsBytes<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

impl<T> From<Vec<T>> for Buffer<T> {
    fn from(elements: Vec<T>) -> Self {
        let range = 0..elements.len();
        Self(Memory::Vector { whole: Arc::new(elements), range })
    }
}

impl<T: Stored> Deref for Buffer<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match &self.0 {
            Memory::Vector { whole, range } => &whole[range.clone()],
            Memory::Raw(bytes) => T::view(bytes),
        }
    }
}

impl<T: PartialEq + Stored> PartialEq for Buffer<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: std::fmt::Debug + Stored> std::fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}
