//! Whole tensors, as protocols write them that know no instances: each input with its batch dimension.

use serde::de::{MapAccess, SeqAccess};

use super::{TensorsBuilder, sizes};
use crate::task::body::object;
use crate::task::builder::Builder;
use crate::task::names::Seen;
use crate::task::problem::InputErrorCode::{BatchTooLarge, InvalidInput, ShapeMismatch};
use crate::task::report::{DecodeReport, Refused, Step};

impl TensorsBuilder<'_> {
    /// From now on inputs are whole tensors; none has been read yet.
    fn take_whole(&mut self) {
        self.whole = true;
        for (input, spec) in self.inputs.iter_mut().zip(&self.task.signature.inputs) {
            input.shape = sizes(&spec.dims);
        }
    }

    /// Reads every input by its name; gives the number of rows.
    pub(super) fn whole_by_name<'de, A: MapAccess<'de>>(
        &mut self,
        mut inputs: A,
        report: &mut DecodeReport,
    ) -> Result<usize, A::Error> {
        self.take_whole();
        report.bare = false;
        report.enter(Step::Unknown);
        object(&mut inputs, self, &mut Seen::default(), None, report)?;
        let rows = self.rows(report).map_err(Refused::into_error::<A::Error>)?;
        report.leave();
        Ok(rows)
    }

    /// Reads the only input, which needs no name; gives the number of rows.
    pub(super) fn whole_without_name<'de, A: SeqAccess<'de>>(
        &mut self,
        input: A,
        report: &mut DecodeReport,
    ) -> Result<usize, A::Error> {
        self.take_whole();
        self.array(input, report)?;
        report.enter(Step::Unknown);
        let rows = self.rows(report).map_err(|refused| {
            // There is no name in the body that could be pointed at.
            report.leave();
            refused.into_error::<A::Error>()
        })?;
        report.leave();
        Ok(rows)
    }

    /// The rows along the first axis, which all inputs of a batchable model share.
    fn rows(&self, report: &mut DecodeReport) -> Result<usize, Refused> {
        if !self.task.batchable {
            return Ok(1);
        }
        let most = report.limits.max_instances;
        let rows = |index: usize| self.inputs[index].shape.first().and_then(|size| size.known()).unwrap_or(0);
        let first = rows(0);
        for index in 0..self.inputs.len() {
            report.step(Step::Member(index));
            let rows = rows(index);
            if rows == 0 {
                return Err(report.refuse(InvalidInput, "expected at least one row, got an empty array"));
            }
            if rows != first {
                let detail = format!(
                    "the first dimension is the batch, equal for all inputs: expected {first}, got {rows}"
                );
                return Err(report.refuse(ShapeMismatch, detail));
            }
            if rows > most {
                return Err(report.refuse(BatchTooLarge, format!("expected at most {most} rows, got {rows}")));
            }
        }
        Ok(first)
    }
}
