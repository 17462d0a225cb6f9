//! Reads protobuf's wire format from a file, without a schema and without holding the file.
//!
//! Only `graph_file` and `class_labels` use it. Payloads that nobody asks for are skipped by seeking, so a model of
//! gigabytes costs a few reads. What it can't read it refuses: a file that this reader and the
//! runtime's would understand differently must not pass.

use std::io::{self, BufRead, BufReader, Read, Seek};

/// One field: its number and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) payload: Payload,
}

/// What follows a field's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// An integer, read.
    Varint(u64),
    /// Four or eight bytes, skipped.
    Fixed,
    /// Bytes up to this position of the file, not read yet.
    Bytes {
        /// Position behind the last byte.
        end: u64,
    },
}

/// A position in a protobuf file.
pub(super) struct Wire<R> {
    source: BufReader<R>,
    at: u64,
}

impl<R: Read + Seek> Wire<R> {
    /// The start of `source`.
    pub(super) fn new(source: R) -> Self {
        Self { source: BufReader::with_capacity(64 << 10, source), at: 0 }
    }

    /// The next field of a message that ends at `end`; none at its end.
    pub(super) fn next(&mut self, end: u64) -> io::Result<Option<Field>> {
        if self.at == end {
            return Ok(None);
        }
        let key = self.varint(end)?;
        let payload = match key & 7 {
            0 => Payload::Varint(self.varint(end)?),
            1 => self.fixed(8, end)?,
            2 => {
                let len = self.varint(end)?;
                let stop = self.at.checked_add(len).filter(|&stop| stop <= end);
                Payload::Bytes { end: stop.ok_or_else(|| malformed("a field reaches beyond its message"))? }
            }
            5 => self.fixed(4, end)?,
            _ => return Err(malformed("unknown wire type")),
        };
        match key >> 3 {
            0 => Err(malformed("field number 0")),
            number => Ok(Some(Field { number, payload })),
        }
    }

    /// Goes on to `to`, which is not behind.
    pub(super) fn skip_to(&mut self, to: u64) -> io::Result<()> {
        let distance = to.checked_sub(self.at).and_then(|distance| i64::try_from(distance).ok());
        self.source.seek_relative(distance.ok_or_else(|| malformed("a field ends before it starts"))?)?;
        self.at = to;
        Ok(())
    }

    /// The bytes up to `end`, if they are at most `most`.
    pub(super) fn bytes(&mut self, end: u64, most: usize) -> io::Result<Vec<u8>> {
        let len = usize::try_from(end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        if len > most {
            return Err(malformed("a name or label is too long"));
        }
        let mut bytes = vec![0; len];
        self.source.read_exact(&mut bytes)?;
        self.at = end;
        Ok(bytes)
    }

    /// Reads up to `end`; true when `is_good` says so of every byte.
    pub(super) fn all_bytes(&mut self, end: u64, is_good: impl Fn(u8) -> bool) -> io::Result<bool> {
        let mut all_good = true;
        while self.at < end {
            let chunk = self.source.fill_buf()?;
            let left = usize::try_from(end - self.at).unwrap_or(usize::MAX);
            let len = chunk.len().min(left);
            if len == 0 {
                return Err(malformed("the file is cut off"));
            }
            all_good &= chunk[..len].iter().all(|&byte| is_good(byte));
            self.source.consume(len);
            self.at += len as u64;
        }
        Ok(all_good)
    }

    /// How many bytes there are before `end`.
    pub(super) fn length_to(&self, end: u64) -> u64 {
        end.saturating_sub(self.at)
    }

    /// True while there is something before `end`.
    pub(super) fn is_before(&self, end: u64) -> bool {
        self.at < end
    }

    /// An integer of seven bits a byte.
    pub(super) fn varint(&mut self, end: u64) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            if self.at >= end {
                return Err(malformed("an integer is cut off"));
            }
            let byte = *self.source.fill_buf()?.first().ok_or_else(|| malformed("the file is cut off"))?;
            self.source.consume(1);
            self.at += 1;
            // The tenth byte holds bit 63 alone; protobuf drops what lies beyond, and so does this.
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(malformed("an integer of more than ten bytes"))
    }

    fn fixed(&mut self, len: u64, end: u64) -> io::Result<Payload> {
        if end - self.at < len {
            return Err(malformed("a number is cut off"));
        }
        self.skip_to(self.at + len)?;
        Ok(Payload::Fixed)
    }
}

/// The error of a file that is not protobuf.
pub(super) fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn fields(bytes: &[u8]) -> io::Result<Vec<Field>> {
        let end = bytes.len() as u64;
        let mut wire = Wire::new(Cursor::new(bytes));
        let mut fields = Vec::new();
        while let Some(field) = wire.next(end)? {
            if let Payload::Bytes { end } = field.payload {
                wire.skip_to(end)?;
            }
            fields.push(field);
        }
        Ok(fields)
    }

    #[test]
    fn every_wire_type_is_read() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 0, 0, 0, 0, 0x21, 0, 0, 0, 0, 0, 0, 0, 0];
        let read: Vec<_> = fields(&bytes).unwrap().iter().map(|f| (f.number, f.payload)).collect();
        let expected = [
            (1, Payload::Varint(150)),
            (2, Payload::Bytes { end: 7 }),
            (3, Payload::Fixed),
            (4, Payload::Fixed),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_cut_off_or_unknown_is_refused() {
        for bad in [&[0x08][..], &[0x12, 9, 0], &[0x1d, 0], &[0x0b], &[0x00, 0x00], &[0xff; 11]] {
            assert!(fields(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(fields(&bytes));
        }
    }
}
