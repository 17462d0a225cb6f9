//! Tensors from and to raw bytes: elements little-endian, row-major, without padding, as the binary
//! tensor data extension of the Open Inference Protocol has them; a `BYTES` element stands behind
//! its length in four bytes.
//!
//! Numbers are used where they lie when they are aligned, and given out sharing their memory. What
//! comes back from `to_raw` after `from_raw` is the same bytes, NaN payloads included.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Buffer, Data, DataType, Tensor};

#[cfg(target_endian = "big")]
compile_error!("raw tensors are little-endian and used in place: this needs a little-endian machine");

/// Bytes of the length before each element of `BYTES`.
const PREFIX: usize = 4;

/// Bytes that are no tensor of the type and shape that they are said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RawError {
    /// Another number of bytes than type and shape make.
    #[error("expected {expected} bytes, got {actual}")]
    Length {
        /// Bytes that type and shape make.
        expected: usize,
        /// Bytes that came.
        actual: usize,
    },
    /// The product of the shape, times the bytes of an element, is more than a machine can address.
    #[error("expected a shape whose product can be held, got a larger one")]
    Overflow,
    /// A byte of a `BOOL` that is neither 0 nor 1.
    #[error("expected 0 or 1 for each truth value, got another byte at element {index}")]
    Boolean {
        /// The element.
        index: usize,
    },
    /// The lengths before the elements of a `BYTES` do not add up to its bytes, or there are more
    /// or fewer elements than the shape says.
    #[error(
        "expected as many elements as the shape says, each behind its length in 4 bytes, got another framing at element {index}"
    )]
    Framing {
        /// The first element that is missing, cut off or too many.
        index: usize,
    },
    /// An element of a `BYTES` that is not UTF-8, as ONNX wants its strings.
    #[error("expected strings in UTF-8, got other bytes at element {index}")]
    Utf8 {
        /// The element.
        index: usize,
    },
}

impl Tensor {
    /// A tensor of `shape` (empty = a scalar) whose elements are `bytes`. Memory follows the bytes,
    /// never the shape.
    ///
    /// # Errors
    /// When `bytes` are not what type and shape say.
    #[expect(clippy::missing_panics_doc, reason = "the bytes were held against the shape")]
    pub fn from_raw(data_type: DataType, shape: Vec<usize>, bytes: Bytes) -> Result<Self, RawError> {
        let len = shape.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
        let len = len.ok_or(RawError::Overflow)?;
        if let Some(width) = data_type.width() {
            let expected = len.checked_mul(width).ok_or(RawError::Overflow)?;
            if expected != bytes.len() {
                return Err(RawError::Length { expected, actual: bytes.len() });
            }
        }
        let data = match data_type {
            DataType::Bool => Data::from(truth_values(&bytes)?),
            DataType::Uint8 => Data::Uint8(Buffer::from_raw(bytes)),
            DataType::Uint16 => Data::Uint16(Buffer::from_raw(bytes)),
            DataType::Uint32 => Data::Uint32(Buffer::from_raw(bytes)),
            DataType::Uint64 => Data::Uint64(Buffer::from_raw(bytes)),
            DataType::Int8 => Data::Int8(Buffer::from_raw(bytes)),
            DataType::Int16 => Data::Int16(Buffer::from_raw(bytes)),
            DataType::Int32 => Data::Int32(Buffer::from_raw(bytes)),
            DataType::Int64 => Data::Int64(Buffer::from_raw(bytes)),
            DataType::Fp16 => Data::Fp16(Buffer::from_raw(bytes)),
            DataType::Bf16 => Data::Bf16(Buffer::from_raw(bytes)),
            DataType::Fp32 => Data::Fp32(Buffer::from_raw(bytes)),
            DataType::Fp64 => Data::Fp64(Buffer::from_raw(bytes)),
            DataType::Bytes => Data::from(strings(len, &bytes)?),
        };
        Ok(Self::new(shape, data).expect("the bytes were held against the shape"))
    }
}

fn truth_values(bytes: &[u8]) -> Result<Vec<bool>, RawError> {
    if let Some(index) = bytes.iter().position(|&byte| byte > 1) {
        return Err(RawError::Boolean { index });
    }
    Ok(bytes.iter().map(|&byte| byte == 1).collect())
}

/// `len` strings, each behind its length; nothing may be left over.
fn strings(len: usize, mut rest: &[u8]) -> Result<Vec<String>, RawError> {
    let mut strings = Vec::with_capacity(len.min(rest.len() / PREFIX));
    for index in 0..len {
        let cut_off = RawError::Framing { index };
        let (length, behind) = rest.split_first_chunk::<PREFIX>().ok_or(cut_off)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| cut_off)?;
        let (text, behind) = behind.split_at_checked(length).ok_or(cut_off)?;
        let text = std::str::from_utf8(text).map_err(|_| RawError::Utf8 { index })?;
        strings.push(text.to_owned());
        rest = behind;
    }
    if rest.is_empty() { Ok(strings) } else { Err(RawError::Framing { index: len }) }
}

impl Data {
    /// The elements as the wire has them. Numbers and truth values share their memory; strings are
    /// copied, one of more than 4 GiB cut.
    pub fn to_raw(&self) -> Bytes {
        match self {
            Self::Bool(buffer) => buffer.to_raw(),
            Self::Uint8(buffer) => buffer.to_raw(),
            Self::Uint16(buffer) => buffer.to_raw(),
            Self::Uint32(buffer) => buffer.to_raw(),
            Self::Uint64(buffer) => buffer.to_raw(),
            Self::Int8(buffer) => buffer.to_raw(),
            Self::Int16(buffer) => buffer.to_raw(),
            Self::Int32(buffer) => buffer.to_raw(),
            Self::Int64(buffer) => buffer.to_raw(),
            Self::Fp16(buffer) => buffer.to_raw(),
            Self::Bf16(buffer) => buffer.to_raw(),
            Self::Fp32(buffer) => buffer.to_raw(),
            Self::Fp64(buffer) => buffer.to_raw(),
            Self::Bytes(buffer) => {
                let mut bytes = BytesMut::with_capacity(self.raw_len());
                for text in buffer.iter() {
                    let length = framed_length(text);
                    bytes.put_u32_le(length);
                    bytes.put_slice(&text.as_bytes()[..length as usize]);
                }
                bytes.freeze()
            }
        }
    }

    /// How many bytes [`to_raw`](Self::to_raw) gives.
    pub fn raw_len(&self) -> usize {
        match self {
            Self::Bytes(buffer) => buffer.iter().map(|text| PREFIX + framed_length(text) as usize).sum(),
            numbers => numbers.len() * numbers.data_type().width().unwrap_or_default(),
        }
    }
}

fn framed_length(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tensor::{split, with_buffer};

    const ALL: [DataType; 14] = [
        DataType::Bool,
        DataType::Uint8,
        DataType::Uint16,
        DataType::Uint32,
        DataType::Uint64,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Fp16,
        DataType::Bf16,
        DataType::Fp32,
        DataType::Fp64,
        DataType::Bytes,
    ];

    /// `content` in memory whose address is `offset` beyond a multiple of 16.
    fn lying_at(offset: usize, content: &[u8]) -> Bytes {
        let memory = vec![0xAA_u8; content.len() + 32];
        let start = (16 + offset - memory.as_ptr().addr() % 16) % 16;
        let mut memory = memory;
        memory[start..start + content.len()].copy_from_slice(content);
        let lies = Bytes::from(memory).slice(start..start + content.len());
        assert!(content.is_empty() || lies.as_ptr().addr() % 16 == offset);
        lies
    }

    /// Bytes that are `len` elements of `data_type`, made of `noise`.
    fn raw(data_type: DataType, len: usize, noise: &[u8]) -> Vec<u8> {
        let mut noise = noise.iter().copied().cycle();
        let mut next = || noise.next().unwrap_or_default();
        match data_type.width() {
            Some(width) if data_type != DataType::Bool => (0..len * width).map(|_| next()).collect(),
            Some(_) => (0..len).map(|_| next() % 2).collect(),
            None => (0..len)
                .flat_map(|_| {
                    let text = "aé🦀".repeat(usize::from(next() % 3));
                    [&u32::try_from(text.len()).unwrap().to_le_bytes(), text.as_bytes()].concat()
                })
                .collect(),
        }
    }

    proptest! {
        #[test]
        fn what_came_in_goes_out_for_every_type_at_every_alignment(
            rows in 0_usize..5,
            width in 0_usize..5,
            offset in 0_usize..8,
            noise in prop::collection::vec(any::<u8>(), 1..64),
        ) {
            for data_type in ALL {
                let content = raw(data_type, rows * width, &noise);
                let tensor = Tensor::from_raw(data_type, vec![rows, width], lying_at(offset, &content)).unwrap();
                prop_assert_eq!(tensor.data_type(), data_type);
                prop_assert_eq!(tensor.data().len(), rows * width);
                prop_assert_eq!(tensor.data().raw_len(), content.len());
                prop_assert_eq!(&tensor.data().to_raw()[..], &content[..]);
                // Elements of their own, as a request in JSON or the runtime brings them.
                let own = with_buffer!(tensor.data().clone(), buffer => Data::from(buffer.into_vec()));
                prop_assert_eq!(&own.to_raw()[..], &content[..]);
                // A batch's members have their own bytes only.
                let sizes: Vec<usize> = (0..rows).map(|_| 1).collect();
                let parts = split(&tensor, &sizes).unwrap();
                let joined: Vec<u8> = parts.iter().flat_map(|part| part.data().to_raw()).collect();
                prop_assert_eq!(joined, content);
            }
        }

        #[test]
        fn no_bytes_of_strings_are_a_panic(len in 0_usize..6, noise in prop::collection::vec(0_u8..3, 0..40)) {
            if let Ok(tensor) = Tensor::from_raw(DataType::Bytes, vec![len], noise.clone().into()) {
                prop_assert_eq!(&tensor.data().to_raw()[..], &noise[..]);
            }
        }
    }

    #[test]
    fn aligned_numbers_stay_where_they_are_both_ways() {
        let content = lying_at(0, &raw(DataType::Fp32, 6, &[1, 2, 3]));
        let tensor = Tensor::from_raw(DataType::Fp32, vec![2, 3], content.clone()).unwrap();
        assert_eq!(tensor.data().to_raw().as_ptr(), content.as_ptr());
        let second = split(&tensor, &[1, 1]).unwrap().remove(1);
        assert_eq!(second.data().to_raw().as_ptr(), content[12..].as_ptr());
        let aside = Tensor::from_raw(DataType::Fp32, vec![2, 3], lying_at(1, &content)).unwrap();
        assert_eq!(aside, tensor);
        let own = Buffer::from(vec![1_i64, 2, 3]);
        assert_eq!(own.to_raw().as_ptr(), own.as_ptr().cast());
    }

    /// Sums of the runtime's gave another last bit for bytes that began between two boundaries.
    #[test]
    fn elements_begin_where_those_of_a_vector_do() {
        let content = raw(DataType::Fp32, 64, &[1, 2, 3]);
        for offset in 0..16 {
            let tensor = Tensor::from_raw(DataType::Fp32, vec![64], lying_at(offset, &content)).unwrap();
            let Data::Fp32(elements) = tensor.data() else { panic!("not FP32") };
            assert_eq!(elements.as_ptr().addr() % 16, 0, "{offset}");
            assert_eq!(tensor.data().to_raw()[..], content[..]);
        }
    }

    #[test]
    fn scalars_and_payloads_of_nan_are_kept() {
        for payload in [f32::NAN.to_bits(), 0x7f80_0001, 0xffff_ffff, (-0.0_f32).to_bits()] {
            let content = payload.to_le_bytes();
            for offset in [0, 1] {
                let scalar = Tensor::from_raw(DataType::Fp32, vec![], lying_at(offset, &content)).unwrap();
                assert_eq!((scalar.shape(), scalar.rows()), (&[][..], 1));
                assert_eq!(scalar.data().to_raw()[..], content);
            }
        }
        let scalar = Tensor::from_raw(DataType::Bytes, vec![], Bytes::from_static(b"\x01\0\0\0a")).unwrap();
        assert_eq!(scalar.data(), &Data::from(vec!["a".to_owned()]));
    }

    #[test]
    fn what_is_not_the_tensor_it_claims_to_be_is_refused() {
        use DataType::{Bool, Bytes as Texts, Fp32, Uint8};

        let of = |data_type, shape: &[usize], bytes: &'static [u8]| {
            Tensor::from_raw(data_type, shape.to_vec(), Bytes::from_static(bytes)).map(|_| ())
        };
        assert_eq!(of(Fp32, &[2], &[0; 7]), Err(RawError::Length { expected: 8, actual: 7 }));
        assert_eq!(of(Fp32, &[], &[]), Err(RawError::Length { expected: 4, actual: 0 }));
        assert_eq!(of(Fp32, &[0, 5], &[]), Ok(()));
        assert_eq!(of(Uint8, &[usize::MAX, 2], &[]), Err(RawError::Overflow));
        assert_eq!(of(Fp32, &[usize::MAX / 2], &[]), Err(RawError::Overflow));
        assert_eq!(of(Texts, &[usize::MAX, 2], &[]), Err(RawError::Overflow));
        assert_eq!(of(Bool, &[3], &[0, 1, 2]), Err(RawError::Boolean { index: 2 }));
        // A shape costs nothing until its elements come.
        assert_eq!(of(Texts, &[usize::MAX], b"\x01\0\0\0a"), Err(RawError::Framing { index: 1 }));
        assert_eq!(of(Texts, &[1], b"\x01\0\0"), Err(RawError::Framing { index: 0 }));
        assert_eq!(of(Texts, &[1], b"\xff\xff\xff\xffa"), Err(RawError::Framing { index: 0 }));
        assert_eq!(of(Texts, &[1], b"\x01\0\0\0ab"), Err(RawError::Framing { index: 1 }));
        assert_eq!(of(Texts, &[2], b"\0\0\0\0\x01\0\0\0\xff"), Err(RawError::Utf8 { index: 1 }));
        assert_eq!(of(Texts, &[0], b""), Ok(()));
    }
}
