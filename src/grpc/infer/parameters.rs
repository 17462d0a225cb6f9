//! Parameters of a request, an input, an output: those that mean something here.

use std::collections::HashMap;
use std::time::Duration;

use crate::grpc::proto::inference::InferParameter;
use crate::grpc::proto::inference::infer_parameter::ParameterChoice;
use crate::service::{ErrorCode, Schedule, ServiceError};

pub(super) type Parameters = HashMap<String, InferParameter>;

fn choice<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a ParameterChoice> {
    // Mostly there are none, and a look-up hashes the name.
    if parameters.is_empty() {
        return None;
    }
    parameters.get(name)?.parameter_choice.as_ref()
}

/// A parameter that is a whole number of 0 or more; `at` is where the parameters stand.
fn whole_number(parameters: &Parameters, at: &str, name: &str) -> Result<Option<u64>, ServiceError> {
    let number = match choice(parameters, name) {
        None => return Ok(None),
        Some(ParameterChoice::Uint64Param(number)) => Some(*number),
        Some(ParameterChoice::Int64Param(number)) => u64::try_from(*number).ok(),
        Some(
            ParameterChoice::BoolParam(_) | ParameterChoice::StringParam(_) | ParameterChoice::DoubleParam(_),
        ) => None,
    };
    number.map(Some).ok_or_else(|| {
        let detail = "expected an integer of 0 or more, got another value";
        ServiceError::new(ErrorCode::InvalidInput, detail).at(format!("{at}/parameters/{name}"))
    })
}

/// What the request's parameters ask of the schedule.
///
/// # Errors
/// `invalid_input` for what is no number, and for a sequence: models here keep no state.
pub(super) fn schedule(parameters: &Parameters) -> Result<Schedule, ServiceError> {
    let is_sequence = match choice(parameters, "sequence_id") {
        None => false,
        Some(ParameterChoice::StringParam(text)) => !text.is_empty(),
        Some(_) => whole_number(parameters, "", "sequence_id")?.is_some_and(|number| number != 0),
    };
    if is_sequence {
        let detail = "models here keep no state: send the request without a sequence";
        return Err(ServiceError::new(ErrorCode::InvalidInput, detail).at("/parameters/sequence_id"));
    }
    // 0 = none of the caller's own.
    let timeout = whole_number(parameters, "", "timeout")?.filter(|&micros| micros > 0);
    let priority = whole_number(parameters, "", "priority")?;
    Ok(Schedule { timeout: timeout.map(Duration::from_micros), priority })
}

/// Whether a tensor is said to lie in memory that client and server share.
pub(super) fn is_shared_memory(parameters: &Parameters) -> bool {
    choice(parameters, "shared_memory_region").is_some()
}

/// How many of the best classes are asked for of the output at `position`.
///
/// # Errors
/// `invalid_input`.
pub(super) fn classes(parameters: &Parameters, position: usize) -> Result<Option<usize>, ServiceError> {
    if parameters.is_empty() {
        return Ok(None);
    }
    let classes = whole_number(parameters, &format!("/outputs/{position}"), "classification")?;
    Ok(classes.map(|classes| usize::try_from(classes).unwrap_or(usize::MAX)))
}
