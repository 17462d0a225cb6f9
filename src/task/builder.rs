//! What collects instances of a task, whatever form they come in.

use serde::Deserializer;
use serde::de::{MapAccess, SeqAccess};

use super::body::ListSeed;
use super::forms;
use super::names::{Names, Seen};
use super::parameters::Accepted;
use super::problem::InputErrorCode::BatchTooLarge;
use super::report::{DecodeReport, Refused};

/// Collects instances of one task.
pub(super) trait Builder: Sized {
    /// What an instance may look like, for error texts.
    const EXPECTED: &'static str;

    /// The members of an instance.
    fn names(&self) -> &Names;

    /// The parameters that the task takes.
    fn accepted(&self) -> Accepted;

    /// True when `parameters` may stand beside the members of a bare object.
    fn parameters_beside(&self) -> bool {
        false
    }

    /// Instances that one request may hold at most, when the model itself says so.
    fn most_instances(&self) -> Option<usize> {
        None
    }

    /// Bytes that every instance is decoded into, whatever it says: defaults are not on the wire.
    fn instance_bytes(&self) -> u64 {
        0
    }

    /// Starts an instance that is an object.
    fn begin(&mut self);

    /// Starts instance `row`, or comes back to it: columns come one after the other. Rows start in order.
    fn seek(&mut self, row: usize);

    /// Takes one member's value.
    fn member<'de, D: Deserializer<'de>>(
        &mut self,
        index: usize,
        value: D,
        report: &mut DecodeReport,
    ) -> Result<bool, D::Error>;

    /// Ends an instance that was an object. Gives the first member that is missing, if one is.
    fn finish(&mut self, seen: &Seen) -> Option<usize>;

    /// Takes an instance that is an array.
    fn array<'de, A: SeqAccess<'de>>(
        &mut self,
        elements: A,
        report: &mut DecodeReport,
    ) -> Result<(), A::Error>;

    /// Takes an instance that is a string; false when the task has no use for one.
    fn text(&mut self, text: &str) -> bool;

    /// True when an instance may be the value of the only member, which is neither array nor object.
    fn takes_values(&self) -> bool {
        false
    }

    /// Takes all instances by columns: an object of members, each with a list of values. Gives how many
    /// instances there are.
    fn columns<'de, A: MapAccess<'de>>(
        &mut self,
        columns: A,
        report: &mut DecodeReport,
    ) -> Result<usize, A::Error> {
        forms::read_columns(self, columns, report)
    }

    /// Takes all instances where the members are not named. Gives how many there are.
    fn unnamed<'de, A: SeqAccess<'de>>(
        &mut self,
        instances: A,
        report: &mut DecodeReport,
    ) -> Result<usize, A::Error> {
        serde::de::Visitor::visit_seq(ListSeed { builder: self, report }, instances)
    }
}

/// Refuses an instance beyond `count` others where a limit says so; stands at the place of the instance.
pub(super) fn make_room<B: Builder>(
    builder: &B,
    count: usize,
    report: &mut DecodeReport,
) -> Result<(), Refused> {
    let most = report.limits.max_instances;
    if count >= most {
        report.leave();
        return Err(report.refuse(BatchTooLarge, format!("expected at most {most} instances, got more")));
    }
    if (count as u64 + 1).saturating_mul(builder.instance_bytes()) > report.limits.max_bytes {
        return Err(report.too_large());
    }
    if let Some(most) = builder.most_instances().filter(|&most| count >= most) {
        let detail = format!("this model takes no batches: expected {most} instance, got more");
        return Err(report.refuse(BatchTooLarge, detail));
    }
    Ok(())
}
