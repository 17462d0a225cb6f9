//! `text/csv`: a header row with feature names, then one row per instance.
//!
//! A byte order mark is skipped, since spreadsheets write one. Quoted fields, CRLF and any order of
//! columns work; an empty cell is an absent value.

use csv_core::{ReadRecordResult, Reader};

use super::{Tabular, TabularBuilder};
use crate::task::builder::Builder;
use crate::task::names::Seen;
use crate::task::problem::InputErrorCode::{
    BatchTooLarge, InvalidInput, MissingInput, TooLarge, UnknownInput,
};
use crate::task::problem::presentable;
use crate::task::report::push_escaped;
use crate::task::{DecodeLimits, DecodeReport, InputError};

impl Tabular {
    /// Decodes a table; gives the builder and the number of rows.
    pub(in crate::task) fn decode_csv(
        &self,
        body: &[u8],
        header: HeaderRow,
        limits: &DecodeLimits,
    ) -> Result<(TabularBuilder<'_>, usize), InputError> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let text = std::str::from_utf8(body)
            .map_err(|_| InputError::new(InvalidInput, String::new(), "expected a table in UTF-8"))?;
        let mut records = Records::new(text);
        if !records.advance() {
            let what = if header == HeaderRow::Absent { "at least one row" } else { "a header row" };
            let detail = format!("expected {what}, got an empty table");
            return Err(InputError::new(InvalidInput, String::new(), detail));
        }
        let is_headless = match header {
            HeaderRow::Present => false,
            HeaderRow::Absent => true,
            HeaderRow::Either => self.is_row(&records),
        };
        let columns = if is_headless { (0..self.features.len()).collect() } else { self.columns(&records)? };
        let mut is_next = is_headless || records.advance();
        let mut builder = self.builder();
        let mut rows = 0;
        let mut seen = Seen::default();
        while is_next {
            if rows == limits.max_instances {
                let detail = format!("expected at most {rows} rows, got more");
                return Err(InputError::new(BatchTooLarge, "/instances".into(), detail));
            }
            if (rows as u64 + 1).saturating_mul(builder.instance_bytes()) > limits.max_bytes {
                let detail = format!("expected at most {} bytes once decoded, got more", limits.max_bytes);
                return Err(InputError::new(TooLarge, format!("/instances/{rows}"), detail));
            }
            self.row(&mut builder, &records, &columns, (rows, &mut seen))?;
            rows += 1;
            is_next = records.advance();
        }
        if rows == 0 {
            let detail = "expected at least one row after the header, got none";
            return Err(InputError::new(InvalidInput, "/instances".into(), detail));
        }
        Ok((builder, rows))
    }

    /// True of values in the features' order, which can be no header: none is a feature's name, and there
    /// are numbers where numbers have to be.
    fn is_row(&self, record: &Records<'_>) -> bool {
        if record.len() != self.features.len() {
            return false;
        }
        let mut numbers = 0;
        for (index, feature) in self.features.iter().enumerate() {
            let cell = record.field(index).trim();
            if self.names.find(cell, index).is_some() {
                return false;
            }
            if feature.takes_text() || cell.is_empty() {
                continue;
            }
            if feature.read_cell(cell, &mut DecodeReport::new()).is_err() {
                return false;
            }
            numbers += 1;
        }
        numbers > 0
    }

    /// The feature of every column.
    fn columns(&self, header: &Records<'_>) -> Result<Vec<usize>, InputError> {
        let mut columns = Vec::with_capacity(header.len());
        let mut seen = Seen::default();
        for index in 0..header.len() {
            let name = header.field(index).trim();
            let mut pointer = String::from("/");
            let Some(feature) = self.names.find(name, index) else {
                let shown = presentable(name);
                push_escaped(&mut pointer, &shown);
                let near = self.names.nearest(name);
                let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
                let detail = format!("unknown column {shown:?}{hint}");
                return Err(InputError::new(UnknownInput, pointer, detail));
            };
            if !seen.insert(feature) {
                push_escaped(&mut pointer, name);
                return Err(InputError::new(
                    InvalidInput,
                    pointer,
                    "expected each column once, got this one twice",
                ));
            }
            columns.push(feature);
        }
        for (index, feature) in self.features.iter().enumerate() {
            if feature.default.is_none() && !seen.contains(index) {
                let mut pointer = String::from("/");
                push_escaped(&mut pointer, &feature.name);
                return Err(InputError::new(
                    MissingInput,
                    pointer,
                    "expected a column of this name, got none",
                ));
            }
        }
        Ok(columns)
    }

    fn row(
        &self,
        builder: &mut TabularBuilder<'_>,
        record: &Records<'_>,
        columns: &[usize],
        (row, seen): (usize, &mut Seen),
    ) -> Result<(), InputError> {
        if record.len() != columns.len() {
            let detail =
                format!("expected {} cells, one for each column, got {}", columns.len(), record.len());
            return Err(InputError::new(InvalidInput, format!("/instances/{row}"), detail));
        }
        seen.clear();
        builder.begin();
        let mut report = DecodeReport::new();
        for (index, &feature) in columns.iter().enumerate() {
            let cell = record.field(index);
            let spec = &self.features[feature];
            // Spaces around a number are how people align tables; in a string they may count.
            let cell = if spec.takes_text() { cell } else { cell.trim() };
            if cell.is_empty() {
                continue;
            }
            let stored =
                spec.read_cell(cell, &mut report).and_then(|value| builder.put(feature, value, &mut report));
            if stored.is_err() {
                report.close(&self.names);
                let failure = report.failure();
                let (code, detail) = failure.map_or((InvalidInput, String::new()), |it| (it.code, it.detail));
                return Err(InputError::new(code, self.cell_pointer(row, feature), detail));
            }
            seen.insert(feature);
        }
        match builder.finish(seen) {
            Some(feature) => {
                let detail = "expected a value here, got an empty cell";
                Err(InputError::new(MissingInput, self.cell_pointer(row, feature), detail))
            }
            None => Ok(()),
        }
    }

    fn cell_pointer(&self, row: usize, feature: usize) -> String {
        let mut pointer = format!("/instances/{row}/");
        push_escaped(&mut pointer, &self.features[feature].name);
        pointer
    }
}

/// Whether a table's first row names its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderRow {
    /// It does.
    Present,
    /// It does not: the columns are the features, in the signature's order.
    Absent,
    /// It does unless it can only be values.
    Either,
}

/// The records of a table, one at a time, in memory that is used again.
struct Records<'a> {
    reader: Reader,
    rest: &'a [u8],
    fields: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
}

impl<'a> Records<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            reader: Reader::new(),
            rest: text.as_bytes(),
            fields: vec![0; 1024],
            ends: vec![0; 64],
            count: 0,
        }
    }

    fn len(&self) -> usize {
        self.count
    }

    fn field(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        // The whole table is UTF-8, and fields are cut at ASCII bytes only.
        std::str::from_utf8(&self.fields[start..self.ends[index]]).unwrap_or_default()
    }

    /// Reads the next record; false at the end.
    fn advance(&mut self) -> bool {
        let (mut written, mut ended) = (0, 0);
        loop {
            let (result, read, wrote, ends) =
                self.reader.read_record(self.rest, &mut self.fields[written..], &mut self.ends[ended..]);
            self.rest = &self.rest[read..];
            written += wrote;
            ended += ends;
            match result {
                // With no input left, an empty slice tells the reader that this is the end.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    self.count = ended;
                    return true;
                }
                ReadRecordResult::End => return false,
            }
        }
    }
}
