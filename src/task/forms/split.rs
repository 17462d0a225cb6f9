//! `dataframe_split`: a table as pandas splits it, the names of its columns and its cells apart. Its index
//! says nothing to a model.
//!
//! Members of a JSON object have no order, and pandas puts the cells first where it sorts them: then a
//! first pass learns the columns, and a second one reads the cells.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::task::body::{MemberSeed, twice};
use crate::task::builder::{Builder, make_room};
use crate::task::key::unknown_member;
use crate::task::names::Seen;
use crate::task::problem::InputErrorCode::{InvalidInput, MissingInput, ShapeMismatch, UnknownInput};
use crate::task::report::{DecodeReport, Refused, Step, wrong_types};

/// Reads a table; gives how many rows it has.
pub(super) fn read<'de, B: Builder, D: Deserializer<'de>>(
    builder: &mut B,
    table: D,
    report: &mut DecodeReport,
) -> Result<usize, D::Error> {
    table.deserialize_any(TableVisitor { builder, report })
}

struct TableVisitor<'a, B> {
    builder: &'a mut B,
    report: &'a mut DecodeReport,
}

impl<'de, B: Builder> Visitor<'de> for TableVisitor<'_, B> {
    type Value = usize;

    wrong_types!(|_| "an object with \"columns\" and \"data\""; bool number string null);

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<usize, A::Error> {
        let detail = "expected an object with \"columns\" and \"data\", got an array";
        Err(self.report.refuse_as(InvalidInput, detail))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<usize, A::Error> {
        let Self { builder, report } = self;
        let known = report.ways.columns.clone();
        let (mut columns, mut rows, mut seen) = (known.clone(), None, Vec::new());
        let mut postponed = false;
        report.enter(Step::Unknown);
        while let Some(part) = map.next_key_seed(PartSeed { report })? {
            let Some(part) = part else {
                let detail =
                    format!("expected \"columns\", \"data\" and \"index\" only, got {:?}", report.unknown());
                return Err(report.refuse_as(UnknownInput, detail));
            };
            report.step(Step::Word(part));
            if seen.contains(&part) {
                return Err(twice(report));
            }
            seen.push(part);
            match (part, &columns) {
                ("columns", _) if known.is_none() => {
                    columns = Some(map.next_value_seed(ColumnsSeed { builder, report })?);
                }
                ("data", Some(columns)) => {
                    rows = Some(map.next_value_seed(DataSeed { builder, columns, report })?);
                }
                ("data", None) => {
                    postponed = true;
                    map.next_value::<IgnoredAny>()?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if postponed {
            // Without names the columns are those of the model, in its order.
            let in_order = || (0..builder.names().list().len()).collect();
            report.ways.columns = Some(columns.unwrap_or_else(in_order));
            report.read_again();
            return Err(A::Error::custom(""));
        }
        let Some(rows) = rows else {
            report.step(Step::Word("data"));
            return Err(report.refuse_as(MissingInput, "expected the rows of the table here, got none"));
        };
        report.leave();
        Ok(rows)
    }
}

/// A part of a table; none when pandas has no such.
struct PartSeed<'a> {
    report: &'a mut DecodeReport,
}

impl<'de> DeserializeSeed<'de> for PartSeed<'_> {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for PartSeed<'_> {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report.expecting(f, "a member's name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        let part = ["columns", "index", "data"].into_iter().find(|part| *part == key);
        if part.is_none() {
            self.report.set_unknown(key);
            self.report.step(Step::Unknown);
        }
        Ok(part)
    }
}

/// The names of the columns; gives the members that they stand for.
struct ColumnsSeed<'a, B> {
    builder: &'a B,
    report: &'a mut DecodeReport,
}

impl<'de, B: Builder> DeserializeSeed<'de> for ColumnsSeed<'_, B> {
    type Value = Vec<usize>;

    fn deserialize<D: Deserializer<'de>>(self, columns: D) -> Result<Vec<usize>, D::Error> {
        columns.deserialize_any(self)
    }
}

impl<'de, B: Builder> Visitor<'de> for ColumnsSeed<'_, B> {
    type Value = Vec<usize>;

    wrong_types!(|_| "an array of the columns' names"; bool number string null object);

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Vec<usize>, A::Error> {
        let Self { builder, report } = self;
        let (mut columns, mut seen) = (Vec::new(), Seen::default());
        report.enter(Step::Index(0));
        while let Some(column) =
            names.next_element_seed(ColumnSeed { builder, position: columns.len(), report })?
        {
            if !seen.insert(column) {
                return Err(report.refuse_as(InvalidInput, "expected each column once, got this one twice"));
            }
            columns.push(column);
            report.step(Step::Index(columns.len()));
        }
        report.leave();
        if columns.is_empty() {
            return Err(report.refuse_as(InvalidInput, "expected at least one column, got an empty array"));
        }
        Ok(columns)
    }
}

/// One column: its name, or its position where the table has no names.
struct ColumnSeed<'a, B> {
    builder: &'a B,
    position: usize,
    report: &'a mut DecodeReport,
}

impl<'de, B: Builder> DeserializeSeed<'de> for ColumnSeed<'_, B> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<usize, D::Error> {
        name.deserialize_any(self)
    }
}

impl<'de, B: Builder> Visitor<'de> for ColumnSeed<'_, B> {
    type Value = usize;

    wrong_types!(|_| "a column's name, or its position in a table without names"; bool null array object);

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        let names = self.builder.names();
        names.find(name, self.position).ok_or_else(|| {
            self.report.set_unknown(name);
            unknown_member(names, "column", self.report).into_error()
        })
    }

    fn visit_u64<E: Error>(self, position: u64) -> Result<usize, E> {
        let width = self.builder.names().list().len();
        let column = usize::try_from(position).ok().filter(|column| *column < width);
        column.ok_or_else(|| {
            let detail =
                format!("expected a column's name or its position below {width}, got another number");
            self.report.refuse_as(UnknownInput, detail)
        })
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<usize, E> {
        self.visit_u64(u64::MAX)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<usize, E> {
        self.visit_u64(u64::MAX)
    }
}

/// The rows; gives how many there are.
struct DataSeed<'a, B> {
    builder: &'a mut B,
    columns: &'a [usize],
    report: &'a mut DecodeReport,
}

impl<'de, B: Builder> DeserializeSeed<'de> for DataSeed<'_, B> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, data: D) -> Result<usize, D::Error> {
        data.deserialize_any(self)
    }
}

impl<'de, B: Builder> Visitor<'de> for DataSeed<'_, B> {
    type Value = usize;

    wrong_types!(|_| "an array of rows"; bool number string null object);

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<usize, A::Error> {
        let Self { builder, columns, report } = self;
        let (mut count, mut seen) = (0, Seen::default());
        report.enter(Step::Index(0));
        while let Some(()) =
            rows.next_element_seed(RowSeed { builder, columns, row: (count, &mut seen), report })?
        {
            count += 1;
            report.step(Step::Index(count));
        }
        report.leave();
        if count == 0 {
            return Err(report.refuse_as(InvalidInput, "expected at least one row, got an empty array"));
        }
        Ok(count)
    }
}

struct RowSeed<'a, B> {
    builder: &'a mut B,
    columns: &'a [usize],
    row: (usize, &'a mut Seen),
    report: &'a mut DecodeReport,
}

impl<'de, B: Builder> DeserializeSeed<'de> for RowSeed<'_, B> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, row: D) -> Result<(), D::Error> {
        make_room(self.builder, self.row.0, self.report).map_err(Refused::into_error::<D::Error>)?;
        row.deserialize_any(self)
    }
}

impl<'de, B: Builder> Visitor<'de> for RowSeed<'_, B> {
    type Value = ();

    wrong_types!(|_| "an array of values, one for each column"; bool number string null object);

    fn visit_seq<A: SeqAccess<'de>>(self, mut cells: A) -> Result<(), A::Error> {
        let Self { builder, columns, row: (row, seen), report } = self;
        let width = columns.len();
        seen.clear();
        builder.seek(row);
        report.enter(Step::Index(0));
        for (position, &index) in columns.iter().enumerate() {
            report.step(Step::Index(position));
            let Some(has_value) = cells.next_element_seed(MemberSeed { builder, index, report })? else {
                report.leave();
                let detail = format!("expected {width} values as there are columns, got {position}");
                return Err(report.refuse_as(ShapeMismatch, detail));
            };
            seen.insert(index);
            if !has_value {
                seen.set_null(index);
            }
        }
        report.leave();
        if cells.next_element::<IgnoredAny>()?.is_some() {
            let detail = format!("expected {width} values as there are columns, got more");
            return Err(report.refuse_as(ShapeMismatch, detail));
        }
        let Some(missing) = builder.finish(seen) else { return Ok(()) };
        let at = columns.iter().position(|&column| column == missing);
        Err(missing_cell(builder, missing, at, report).into_error())
    }
}

/// No value for a member: its column is not there, or the cell in it at `position` is empty.
fn missing_cell<B: Builder>(
    builder: &B,
    missing: usize,
    position: Option<usize>,
    report: &mut DecodeReport,
) -> Refused {
    let Some(position) = position else {
        report.leave();
        report.step(Step::Word("columns"));
        let name = builder.names().list().get(missing).map_or("", |name| &**name);
        return report.refuse(MissingInput, format!("expected a column {name:?}, got none"));
    };
    report.enter(Step::Index(position));
    report.refuse(MissingInput, "expected a value here, got null")
}
