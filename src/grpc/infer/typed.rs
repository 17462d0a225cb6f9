//! Elements one by one, as `InferTensorContents` has them: a field for several types each.
//!
//! FP16 and BF16 have no field: they travel raw alone.

use bytes::Bytes;

use crate::grpc::proto::inference::InferTensorContents;
use crate::service::ErrorCode;
use crate::tensor::{Data, DataType};

type Refusal = (ErrorCode, String);

/// The field of a type.
const fn field(data_type: DataType) -> Option<&'static str> {
    Some(match data_type {
        DataType::Bool => "bool_contents",
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "int_contents",
        DataType::Int64 => "int64_contents",
        DataType::Uint8 | DataType::Uint16 | DataType::Uint32 => "uint_contents",
        DataType::Uint64 => "uint64_contents",
        DataType::Fp32 => "fp32_contents",
        DataType::Fp64 => "fp64_contents",
        DataType::Bytes => "bytes_contents",
        DataType::Fp16 | DataType::Bf16 => return None,
    })
}

/// Fields and how many elements each has.
fn lengths(contents: &InferTensorContents) -> [(&'static str, usize); 8] {
    [
        ("bool_contents", contents.bool_contents.len()),
        ("int_contents", contents.int_contents.len()),
        ("int64_contents", contents.int64_contents.len()),
        ("uint_contents", contents.uint_contents.len()),
        ("uint64_contents", contents.uint64_contents.len()),
        ("fp32_contents", contents.fp32_contents.len()),
        ("fp64_contents", contents.fp64_contents.len()),
        ("bytes_contents", contents.bytes_contents.len()),
    ]
}

/// Whether there are no elements at all.
pub(super) fn is_empty(contents: &InferTensorContents) -> bool {
    lengths(contents).iter().all(|(_, length)| *length == 0)
}

/// The elements of a tensor of `count`.
///
/// # Errors
/// `missing_input` where there are none, `invalid_input` where they stand in another field or are no
/// UTF-8, `shape_mismatch` for another number of them, `number_out_of_range` for one beyond its type.
pub(super) fn elements(
    contents: InferTensorContents,
    data_type: DataType,
    count: usize,
) -> Result<Data, Refusal> {
    let Some(expected) = field(data_type) else {
        let detail = format!("expected {data_type} in raw_input_contents, which is its only form");
        return Err((ErrorCode::InvalidInput, detail));
    };
    let mut length = 0;
    for (name, elements) in lengths(&contents) {
        if name == expected {
            length = elements;
        } else if elements > 0 {
            let detail = format!("expected {data_type} in {expected}, got {name}");
            return Err((ErrorCode::InvalidInput, detail));
        }
    }
    if length == 0 && count > 0 {
        let detail = format!("expected {expected}, or raw_input_contents for all inputs, got neither");
        return Err((ErrorCode::MissingInput, detail));
    }
    if length != count {
        return Err((ErrorCode::ShapeMismatch, format!("expected {count} elements, got {length}")));
    }
    Ok(match data_type {
        DataType::Bool => contents.bool_contents.into(),
        DataType::Int8 => narrowed::<_, i8>(&contents.int_contents, data_type)?.into(),
        DataType::Int16 => narrowed::<_, i16>(&contents.int_contents, data_type)?.into(),
        DataType::Int32 => contents.int_contents.into(),
        DataType::Int64 => contents.int64_contents.into(),
        DataType::Uint8 => narrowed::<_, u8>(&contents.uint_contents, data_type)?.into(),
        DataType::Uint16 => narrowed::<_, u16>(&contents.uint_contents, data_type)?.into(),
        DataType::Uint32 => contents.uint_contents.into(),
        DataType::Uint64 => contents.uint64_contents.into(),
        DataType::Fp32 => contents.fp32_contents.into(),
        DataType::Fp64 => contents.fp64_contents.into(),
        DataType::Bytes => texts(contents.bytes_contents)?.into(),
        // Told above that it has no field.
        DataType::Fp16 | DataType::Bf16 => Vec::<f32>::new().into(),
    })
}

fn narrowed<F: Copy, T: TryFrom<F>>(numbers: &[F], data_type: DataType) -> Result<Vec<T>, Refusal> {
    let narrow = |(index, &number): (usize, &F)| {
        T::try_from(number).map_err(|_| {
            let detail = format!("element {index} does not fit {data_type}");
            (ErrorCode::NumberOutOfRange, detail)
        })
    };
    numbers.iter().enumerate().map(narrow).collect()
}

fn texts(elements: Vec<Bytes>) -> Result<Vec<String>, Refusal> {
    let text = |(index, bytes): (usize, Bytes)| {
        String::from_utf8(bytes.into()).map_err(|_| {
            let detail = format!("expected strings in UTF-8, got other bytes at element {index}");
            (ErrorCode::InvalidInput, detail)
        })
    };
    elements.into_iter().enumerate().map(text).collect()
}

/// Elements for an answer.
pub(super) fn contents(data: &Data) -> InferTensorContents {
    let mut contents = InferTensorContents::default();
    match data {
        Data::Bool(values) => contents.bool_contents = values.to_vec(),
        Data::Int8(values) => contents.int_contents = values.iter().map(|&value| value.into()).collect(),
        Data::Int16(values) => contents.int_contents = values.iter().map(|&value| value.into()).collect(),
        Data::Int32(values) => contents.int_contents = values.to_vec(),
        Data::Int64(values) => contents.int64_contents = values.to_vec(),
        Data::Uint8(values) => contents.uint_contents = values.iter().map(|&value| value.into()).collect(),
        Data::Uint16(values) => contents.uint_contents = values.iter().map(|&value| value.into()).collect(),
        Data::Uint32(values) => contents.uint_contents = values.to_vec(),
        Data::Uint64(values) => contents.uint64_contents = values.to_vec(),
        Data::Fp32(values) => contents.fp32_contents = values.to_vec(),
        Data::Fp64(values) => contents.fp64_contents = values.to_vec(),
        Data::Bytes(texts) => {
            contents.bytes_contents = texts.iter().map(|text| Bytes::from(text.clone())).collect();
        }
        // Wanted raw.
        Data::Fp16(_) | Data::Bf16(_) => {}
    }
    contents
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(contents: InferTensorContents, data_type: DataType, count: usize) -> ErrorCode {
        elements(contents, data_type, count).unwrap_err().0
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(bytes in prop::collection::vec(any::<i8>(), 1..40)) {
            let texts: Vec<String> = bytes.iter().map(|byte| format!("é{byte}")).collect();
            let wide: Vec<i64> = bytes.iter().map(|&byte| i64::from(byte) << 40).collect();
            let unsigned: Vec<u16> = bytes.iter().map(|byte| byte.unsigned_abs().into()).collect();
            let floats: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 3.0).collect();
            for data in [Data::from(bytes), texts.into(), wide.into(), unsigned.into(), floats.into()] {
                let again = elements(contents(&data), data.data_type(), data.len()).unwrap();
                prop_assert_eq!(again, data);
            }
        }
    }

    #[test]
    fn another_field_count_or_range_is_refused() {
        let ints =
            |numbers: &[i32]| InferTensorContents { int_contents: numbers.to_vec(), ..Default::default() };
        assert_eq!(refused(ints(&[1]), DataType::Fp32, 1), ErrorCode::InvalidInput);
        assert_eq!(refused(ints(&[1]), DataType::Int64, 1), ErrorCode::InvalidInput);
        assert_eq!(refused(ints(&[1]), DataType::Int32, 2), ErrorCode::ShapeMismatch);
        assert_eq!(refused(ints(&[128]), DataType::Int8, 1), ErrorCode::NumberOutOfRange);
        assert_eq!(refused(ints(&[-129]), DataType::Int8, 1), ErrorCode::NumberOutOfRange);
        assert_eq!(refused(ints(&[]), DataType::Int8, 1), ErrorCode::MissingInput);
        assert_eq!(refused(ints(&[1]), DataType::Fp16, 1), ErrorCode::InvalidInput);
        let broken =
            InferTensorContents { bytes_contents: vec![Bytes::from_static(b"\xff")], ..Default::default() };
        assert_eq!(refused(broken, DataType::Bytes, 1), ErrorCode::InvalidInput);
        assert!(elements(InferTensorContents::default(), DataType::Fp32, 0).unwrap().is_empty());
    }
}
