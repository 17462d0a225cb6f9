//! The `data` of a tensor, from JSON text that is known to be valid, into a typed buffer.
//!
//! Flat or nested as the tensor's shape says; both count their leaves against it, so memory follows
//! what came and never what a shape claims. One pass over the bytes and no value in between. What
//! counts as an element of which type is `task`'s to say, the same for every route.

use half::{bf16, f16};

use crate::task::{Decimal, Element, InputError, InputErrorCode, Misfit};
use crate::tensor::{Data, DataType};

/// The elements of a tensor of `shape`, of which `expected` is the product, in at most `most_bytes`
/// of memory. Pointers of errors begin at the data.
///
/// # Errors
/// `shape_mismatch` where the leaves are not as many, or not nested, as the shape says;
/// `payload_too_large`; else what is wrong with a leaf.
pub(super) fn elements(
    json: &str,
    data_type: DataType,
    (shape, expected): (&[usize], usize),
    most_bytes: u64,
) -> Result<Data, InputError> {
    match data_type {
        DataType::Bool => read::<bool>(json, shape, expected, most_bytes),
        DataType::Uint8 => read::<u8>(json, shape, expected, most_bytes),
        DataType::Uint16 => read::<u16>(json, shape, expected, most_bytes),
        DataType::Uint32 => read::<u32>(json, shape, expected, most_bytes),
        DataType::Uint64 => read::<u64>(json, shape, expected, most_bytes),
        DataType::Int8 => read::<i8>(json, shape, expected, most_bytes),
        DataType::Int16 => read::<i16>(json, shape, expected, most_bytes),
        DataType::Int32 => read::<i32>(json, shape, expected, most_bytes),
        DataType::Int64 => read::<i64>(json, shape, expected, most_bytes),
        DataType::Fp16 => read::<f16>(json, shape, expected, most_bytes),
        DataType::Bf16 => read::<bf16>(json, shape, expected, most_bytes),
        DataType::Fp32 => read::<f32>(json, shape, expected, most_bytes),
        DataType::Fp64 => read::<f64>(json, shape, expected, most_bytes),
        DataType::Bytes => read::<String>(json, shape, expected, most_bytes),
    }
}

fn read<T: Element>(json: &str, shape: &[usize], expected: usize, most_bytes: u64) -> Result<Data, InputError>
where
    Data: From<Vec<T>>,
{
    let most = usize::try_from(most_bytes).unwrap_or(usize::MAX) / size_of::<T>();
    // A leaf and its comma are two bytes at least.
    let elements = Vec::with_capacity(expected.min(json.len() / 2 + 1).min(most));
    let mut walk = Walk { json, at: 0, shape, expected, most, counts: Vec::new(), elements };
    walk.run()?;
    Ok(walk.elements.into())
}

/// A walk over the leaves.
struct Walk<'a, T> {
    json: &'a str,
    at: usize,
    shape: &'a [usize],
    expected: usize,
    /// As many as the memory that they may take holds.
    most: usize,
    /// Per open array: how many of its members are behind.
    counts: Vec<usize>,
    elements: Vec<T>,
}

impl<T: Element> Walk<'_, T> {
    fn run(&mut self) -> Result<(), InputError> {
        // A flat list's leaves lie one array deep, a nested one's as deep as the shape; the first
        // leaf decides. A scalar may come bare.
        let mut leaf_depth = None;
        while let Some(&byte) = self.json.as_bytes().get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                b',' => {
                    self.at += 1;
                    if let Some(count) = self.counts.last_mut() {
                        *count += 1;
                    }
                }
                b'[' => self.open(leaf_depth)?,
                b']' => self.close(leaf_depth)?,
                _ => {
                    let depth = *leaf_depth.get_or_insert(self.counts.len());
                    if depth != self.counts.len() || !(depth <= 1 || depth == self.shape.len()) {
                        return Err(self.misplaced("a value"));
                    }
                    self.leaf()?;
                    self.numbers_behind();
                }
            }
        }
        if self.elements.len() == self.expected {
            return Ok(());
        }
        let detail =
            format!("the shape {:?} holds {}, got {}", self.shape, self.expected, self.elements.len());
        Err(InputError::at(InputErrorCode::ShapeMismatch, "", detail))
    }

    fn open(&mut self, leaf_depth: Option<usize>) -> Result<(), InputError> {
        let deepest = leaf_depth.unwrap_or(self.shape.len().max(1));
        if self.counts.len() >= deepest {
            return Err(self.misplaced("an array"));
        }
        self.counts.push(0);
        self.at += 1;
        Ok(())
    }

    fn close(&mut self, leaf_depth: Option<usize>) -> Result<(), InputError> {
        let depth = self.counts.len();
        let is_nested = leaf_depth.is_none_or(|leaves| leaves > 1) && self.shape.len() > 1;
        let before = self.json[..self.at].trim_end();
        let is_empty = before.ends_with('[');
        let count = self.counts.pop().map_or(0, |count| if is_empty { 0 } else { count + 1 });
        self.at += 1;
        // Without leaves there is nothing to place: `[]` stands for any tensor without elements.
        let is_free = self.expected == 0 && self.elements.is_empty();
        match self.shape.get(depth - 1) {
            Some(&size) if is_nested && !is_free && size != count => {
                let detail = format!(
                    "expected an array of {size} here (the shape is {:?}), got one of {count}",
                    self.shape
                );
                Err(InputError::at(InputErrorCode::ShapeMismatch, self.pointer(), detail))
            }
            _ => Ok(()),
        }
    }

    /// Reads one leaf.
    #[inline]
    fn leaf(&mut self) -> Result<(), InputError> {
        if self.elements.len() >= self.expected {
            let detail = format!("the shape {:?} holds {}, got more", self.shape, self.expected);
            return Err(InputError::at(InputErrorCode::ShapeMismatch, "", detail));
        }
        if self.elements.len() >= self.most {
            let detail = "expected tensors that take no more memory than a body may, got more";
            return Err(InputError::at(InputErrorCode::TooLarge, "", detail));
        }
        let rest = &self.json[self.at..];
        let (length, read) = match rest.as_bytes()[0] {
            b'"' => {
                let text = string(rest);
                (text.len(), from_text(text))
            }
            b't' => (4, T::from_bool(true).map_err(|misfit| (misfit, "a boolean"))),
            b'f' => (5, T::from_bool(false).map_err(|misfit| (misfit, "a boolean"))),
            b'n' => (4, Err((Misfit::Type, "null"))),
            b'{' => (1, Err((Misfit::Type, "an object"))),
            _ => {
                let number = number(rest);
                (number.len(), from_number(number).map_err(|misfit| (misfit, "a number")))
            }
        };
        match read {
            Ok(element) => self.elements.push(element),
            Err((misfit, came)) => return Err(misfit.error::<T>(came, self.pointer())),
        }
        self.at += length;
        Ok(())
    }

    /// Reads the numbers that follow in the same array, the usual case, as long as nothing is unusual.
    fn numbers_behind(&mut self) {
        let text = self.json.as_bytes();
        let room = self.expected.min(self.most).saturating_sub(self.elements.len());
        let before = self.elements.len();
        for _ in 0..room {
            if text.get(self.at) != Some(&b',') {
                break;
            }
            let start = self.at + 1 + usize::from(text.get(self.at + 1) == Some(&b' '));
            let number = text.get(start..).and_then(Decimal::scan);
            let Some((number, length)) = number else { break };
            let Some(element) = T::from_decimal(number) else { break };
            self.elements.push(element);
            self.at = start + length;
        }
        if let Some(count) = self.counts.last_mut() {
            *count += self.elements.len() - before;
        }
    }

    fn misplaced(&self, came: &str) -> InputError {
        let (shape, rank) = (self.shape, self.shape.len());
        let detail = match rank {
            0 | 1 => format!("expected one flat array for the shape {shape:?}, got {came} elsewhere"),
            _ => format!(
                "expected one flat array, or arrays {rank} deep for the shape {shape:?}, got {came} at another depth"
            ),
        };
        InputError::at(InputErrorCode::ShapeMismatch, self.pointer(), detail)
    }

    fn pointer(&self) -> String {
        self.counts.iter().fold(String::new(), |pointer, index| format!("{pointer}/{index}"))
    }
}

/// The number at the start of `rest`.
fn number(rest: &str) -> &str {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
    &rest[..rest.as_bytes().iter().take_while(|byte| is_part(byte)).count()]
}

/// A JSON number as an element. Text has no numbers, and a truth value is none.
#[inline]
fn from_number<T: Element>(text: &str) -> Result<T, Misfit> {
    if matches!(T::TYPE, DataType::Bytes | DataType::Bool) { Err(Misfit::Type) } else { T::from_cell(text) }
}

/// A quoted string as an element.
fn from_text<T: Element>(quoted: &str) -> Result<T, (Misfit, &'static str)> {
    let fits = |read: Result<T, Misfit>| read.map_err(|misfit| (misfit, "a string"));
    let inner = &quoted[1..quoted.len() - 1];
    if !inner.contains('\\') {
        return fits(T::from_string(inner));
    }
    match serde_json::from_str::<String>(quoted) {
        Ok(text) => fits(T::from_owned(text)),
        Err(_) => Err((Misfit::Type, "a string with half a surrogate pair")),
    }
}

/// The string at the start of `rest`, with its quotes.
fn string(rest: &str) -> &str {
    let bytes = rest.as_bytes();
    let mut end = 1;
    while let Some(&byte) = bytes.get(end) {
        match byte {
            b'"' => return &rest[..=end],
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(json: &str, shape: &[usize]) -> Result<Vec<f32>, (InputErrorCode, Option<String>)> {
        let data = elements(json, DataType::Fp32, (shape, shape.iter().product()), 1 << 20);
        match data.map_err(|error| (error.code, error.pointer))? {
            Data::Fp32(values) => Ok(values.to_vec()),
            other => panic!("{other:?}"),
        }
    }

    fn refused(json: &str, shape: &[usize], code: InputErrorCode, pointer: &str) {
        let pointer = (!pointer.is_empty()).then(|| pointer.to_owned());
        assert_eq!(floats(json, shape), Err((code, pointer)), "{json} as {shape:?}");
    }

    #[test]
    fn flat_and_nested_are_the_same() {
        let expected = Ok(vec![1.0, 2.5, -3.0, 4e-7, 0.0, 6.0]);
        assert_eq!(floats("[1, 2.5, -3, 4e-7, 0, 6]", &[2, 3]), expected);
        assert_eq!(floats(" [ [1,2.5, -3] ,\n[4E-7,0,6.0]\t] ", &[2, 3]), expected);
        assert_eq!(floats("[[[1],[2.5]],[[-3],[4e-7]],[[0],[6]]]", &[3, 2, 1]), expected);
        assert_eq!(floats("7", &[]), Ok(vec![7.0]));
        assert_eq!(floats("[7]", &[]), Ok(vec![7.0]));
        assert_eq!(floats("[[7]]", &[1, 1]), Ok(vec![7.0]));
        for json in ["[]", "[[],[]]", " [ [ ] ,[] ] "] {
            assert_eq!(floats(json, &[2, 0]), Ok(vec![]), "{json}");
        }
        assert_eq!(floats("[]", &[0]), Ok(vec![]));
    }

    #[test]
    fn what_is_not_the_shape_is_refused_with_its_place() {
        use InputErrorCode::ShapeMismatch;
        refused("[1,2,3]", &[2, 2], ShapeMismatch, "");
        refused("[1,2,3,4,5]", &[2, 2], ShapeMismatch, "");
        refused("[[1,2],[3]]", &[2, 2], ShapeMismatch, "/1");
        refused("[[1,2,3],[4]]", &[2, 2], ShapeMismatch, "/0");
        refused("[[1,2],3]", &[2, 2], ShapeMismatch, "/1");
        refused("[1,[2,3]]", &[2, 2], ShapeMismatch, "/1");
        refused("[[[1]]]", &[1, 1], ShapeMismatch, "/0/0");
        refused("[[1,2],[3,4]]", &[4], ShapeMismatch, "/0");
        refused("[[1,2],[3,4]]", &[2, 2, 1], ShapeMismatch, "/0/0");
        refused("1", &[2], ShapeMismatch, "");
        refused("[]", &[2], ShapeMismatch, "");
        refused("[1]", &[0], ShapeMismatch, "");
    }

    #[test]
    fn leaves_of_other_types_and_beyond_the_type_are_refused_with_their_place() {
        use InputErrorCode::{InvalidInput, NumberOutOfRange};
        refused("[1,\"2\"]", &[2], InvalidInput, "/1");
        refused("[[1],[true]]", &[2, 1], InvalidInput, "/1/0");
        refused("[null,1]", &[2], InvalidInput, "/0");
        refused("[{\"a\":[1,2]},1]", &[2], InvalidInput, "/0");
        refused("[1e39]", &[1], NumberOutOfRange, "/0");
        let integers = |json| elements(json, DataType::Int8, (&[2], 2), 8).map_err(|error| error.code);
        assert_eq!(integers("[-128,-0]"), Ok(vec![-128_i8, 0].into()));
        assert_eq!(integers("[1,128]"), Err(NumberOutOfRange));
        assert_eq!(integers("[1,1.0]"), Err(InvalidInput));
        assert_eq!(integers("[true,1]"), Err(InvalidInput));
        let wide = elements("[18446744073709551615]", DataType::Uint64, (&[1], 1), 8);
        assert_eq!(wide, Ok(vec![u64::MAX].into()));
        assert!(elements("[1]", DataType::Bool, (&[1], 1), 8).is_err());
        assert!(elements("[1]", DataType::Bytes, (&[1], 1), 99).is_err());
        let halves = elements("[1.5,65504]", DataType::Fp16, (&[2], 2), 8);
        assert_eq!(halves, Ok(vec![f16::from_f32(1.5), f16::MAX].into()));
        assert!(elements("[65520]", DataType::Fp16, (&[1], 1), 8).is_err());
    }

    #[test]
    fn no_more_memory_is_taken_than_is_allowed() {
        let bytes = |most| elements("[1,2,3]", DataType::Fp64, (&[3], 3), most).map_err(|error| error.code);
        assert!(bytes(24).is_ok());
        assert_eq!(bytes(23), Err(InputErrorCode::TooLarge));
    }

    #[test]
    fn texts_are_taken_as_they_are() {
        let json = r#"["", "a,]\"b", "\u00e9\n", "ünï", "\\"]"#;
        let expected = ["", "a,]\"b", "é\n", "ünï", "\\"].map(str::to_owned).to_vec();
        assert_eq!(elements(json, DataType::Bytes, (&[5], 5), 999), Ok(expected.into()));
        let error = elements(r#"["\ud800"]"#, DataType::Bytes, (&[1], 1), 99).unwrap_err();
        assert_eq!(error.detail, "expected a string, got a string with half a surrogate pair");
    }
}
