//! Instances by columns: `{"amount": [1.5, 2.0], "hour": [3, 4]}`, or `[[1.5], [2.0]]` for a column as
//! tensors of shape `[N,1]` are written.

use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use crate::task::body::{MemberSeed, next_key, twice};
use crate::task::builder::{Builder, make_room};
use crate::task::key::{Key, unknown_member};
use crate::task::names::Seen;
use crate::task::problem::InputErrorCode::{InvalidInput, MissingInput, ShapeMismatch};
use crate::task::report::{DecodeReport, Refused, Step, wrong_types};

/// What is known of the columns read so far.
#[derive(Default)]
struct Columns {
    seen: Seen,
    /// Values of each.
    rows: Option<usize>,
    /// Row and member of the values that are null.
    nulls: Vec<(usize, usize)>,
}

/// Reads all columns; gives how many instances they make.
pub(in crate::task) fn read_columns<'de, B: Builder, A: MapAccess<'de>>(
    builder: &mut B,
    mut map: A,
    report: &mut DecodeReport,
) -> Result<usize, A::Error> {
    let mut columns = Columns::default();
    let mut expected = 0;
    report.bare = false;
    report.enter(Step::Unknown);
    while let Some(key) = next_key(&mut map, builder, expected, report)? {
        report.step(key.step());
        let Key::Member(index) = key else {
            return Err(unknown_member(builder.names(), "input", report).into_error());
        };
        if !columns.seen.insert(index) {
            return Err(twice(report));
        }
        map.next_value_seed(ColumnSeed { builder, index, columns: &mut columns, report })?;
        expected = index + 1;
    }
    if let Err(refused) = columns.finish(builder, report) {
        return Err(refused.into_error());
    }
    report.leave();
    columns.rows.ok_or_else(|| {
        let detail = format!("expected a list of values for each of {}, got none", builder.names().listed());
        report.refuse_as(InvalidInput, detail)
    })
}

impl Columns {
    /// Fills what is absent, row by row, or says which value is missing.
    fn finish<B: Builder>(&mut self, builder: &mut B, report: &mut DecodeReport) -> Result<(), Refused> {
        self.nulls.sort_unstable();
        let mut nulls = self.nulls.as_slice();
        for row in 0..self.rows.unwrap_or(0) {
            let mut seen = self.seen.clone();
            while let [(at, member), rest @ ..] = nulls
                && *at == row
            {
                seen.set_null(*member);
                nulls = rest;
            }
            builder.seek(row);
            if let Some(missing) = builder.finish(&seen) {
                report.step(Step::Member(missing));
                if self.seen.contains(missing) {
                    report.enter(Step::Index(row));
                    return Err(report.refuse(MissingInput, "expected a value here, got null"));
                }
                return Err(report.refuse(MissingInput, "expected a list of values here, got none"));
            }
        }
        Ok(())
    }
}

struct ColumnSeed<'a, B> {
    builder: &'a mut B,
    index: usize,
    columns: &'a mut Columns,
    report: &'a mut DecodeReport,
}

impl<'de, B: Builder> DeserializeSeed<'de> for ColumnSeed<'_, B> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, column: D) -> Result<(), D::Error> {
        column.deserialize_any(self)
    }
}

impl<'de, B: Builder> Visitor<'de> for ColumnSeed<'_, B> {
    type Value = ();

    wrong_types!(|_| "a list of values, one for each instance"; bool number string null object);

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let Self { builder, index, columns, report } = self;
        let known = columns.rows;
        let mut count = 0;
        report.enter(Step::Index(0));
        loop {
            let seed = ValueSeed { builder, index, row: count, known, report };
            match values.next_element_seed(seed)? {
                None => break,
                Some(true) => {}
                Some(false) => columns.nulls.push((count, index)),
            }
            count += 1;
            report.step(Step::Index(count));
        }
        report.leave();
        match known {
            Some(rows) if rows != count => {
                let detail = format!("expected {rows} values as in the first column, got {count}");
                Err(report.refuse_as(ShapeMismatch, detail))
            }
            _ if count == 0 => {
                Err(report.refuse_as(InvalidInput, "expected at least one value, got an empty array"))
            }
            _ => {
                columns.rows = Some(count);
                Ok(())
            }
        }
    }
}

/// One value of a column; false when it is null.
struct ValueSeed<'a, B> {
    builder: &'a mut B,
    index: usize,
    row: usize,
    known: Option<usize>,
    report: &'a mut DecodeReport,
}

impl<'de, B: Builder> DeserializeSeed<'de> for ValueSeed<'_, B> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<bool, D::Error> {
        let Self { builder, index, row, known, report } = self;
        match known {
            None => make_room(builder, row, report).map_err(Refused::into_error::<D::Error>)?,
            Some(rows) if row >= rows => {
                report.leave();
                let detail = format!("expected {rows} values as in the first column, got more");
                return Err(report.refuse_as(ShapeMismatch, detail));
            }
            Some(_) => {}
        }
        builder.seek(row);
        if report.ways.nested {
            return value.deserialize_any(NestedValue { builder, index, report });
        }
        let taken = builder.member(index, value, report);
        if taken.is_err() && row == 0 && report.container_came() {
            report.ways.nested = true;
            report.read_again();
        }
        taken
    }
}

/// A value that is an array of one.
struct NestedValue<'a, B> {
    builder: &'a mut B,
    index: usize,
    report: &'a mut DecodeReport,
}

impl<'de, B: Builder> Visitor<'de> for NestedValue<'_, B> {
    type Value = bool;

    wrong_types!(|_| "an array of one value, as the first one"; bool number string null object);

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<bool, A::Error> {
        let Self { builder, index, report } = self;
        report.enter(Step::Index(0));
        let taken = values.next_element_seed(MemberSeed { builder, index, report })?;
        report.leave();
        let Some(taken) = taken else {
            return Err(report.refuse_as(ShapeMismatch, "expected an array of one value, got an empty one"));
        };
        if values.next_element::<serde::de::IgnoredAny>()?.is_some() {
            return Err(report.refuse_as(ShapeMismatch, "expected an array of one value, got more"));
        }
        Ok(taken)
    }
}
