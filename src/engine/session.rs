//! One session of the runtime: what a worker locks to run a batch.

use std::fmt;
use std::sync::Arc;

use ort::ErrorCode;
use ort::logging::LogLevel;
use ort::session::{RunOptions, SessionInputValue, SessionInputs};

use super::values::{self, Given};
use super::{Interrupt, Run, RunError};
use crate::tensor::Tensor;

/// A session. Runs one batch at a time; dropped before `main` returns, or the runtime's statics die
/// under it.
pub struct Session {
    inner: ort::session::Session,
    /// The same for every run: the interrupt acts on it.
    options: Arc<RunOptions>,
    interrupt: Interrupt,
    /// Columns of a ZipMap's scores; empty without one.
    class_labels: Arc<[String]>,
    /// Names of the optional inputs, in the signature's order.
    optional: Arc<[Arc<str>]>,
}

impl Session {
    pub(super) fn new(
        inner: ort::session::Session,
        class_labels: Arc<[String]>,
        optional: Arc<[Arc<str>]>,
    ) -> ort::Result<Self> {
        let mut options = RunOptions::new()?;
        // A failed run is told by its result. Else each bad input of a client's would be an error
        // in the log.
        options.set_log_level(LogLevel::Fatal)?;
        let options = Arc::new(options);
        let switched = Arc::clone(&options);
        let interrupt = Interrupt::from_fn(move |raised| {
            let set = if raised { switched.terminate() } else { switched.unterminate() };
            if let Err(error) = set {
                tracing::warn!(%error, raised, "can't set the terminate flag of a run");
            }
        });
        Ok(Self { inner, options, interrupt, class_labels, optional })
    }

    fn check_count(&self, given: usize) -> Result<(), RunError> {
        let wanted = self.inner.inputs().len();
        if given == wanted {
            return Ok(());
        }
        Err(RunError::InvalidInput(format!("{given} inputs for {wanted}")))
    }

    fn run_values<'i, 'v: 'i>(
        &mut self,
        values: impl Into<SessionInputs<'i, 'v>>,
        given: Given<'_>,
    ) -> Result<Vec<Tensor>, RunError> {
        match self.inner.run_with_options(values, &*self.options) {
            Ok(outputs) => {
                let read = |(_, value)| values::output(value, given, &self.class_labels);
                outputs.into_iter().map(read).collect()
            }
            Err(_) if self.interrupt.is_raised() => Err(RunError::Interrupted),
            Err(error) => Err(run_error(error.code(), error.to_string())),
        }
    }
}

impl Run for Session {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        self.check_count(inputs.len())?;
        let values: Vec<SessionInputValue<'_>> =
            inputs.iter().map(values::input).collect::<Result<_, _>>()?;
        self.run_values(values.as_slice(), Given { inputs, optional: &[] })
    }

    fn run_with(&mut self, inputs: &[Tensor], optional: &[(usize, Tensor)]) -> Result<Vec<Tensor>, RunError> {
        if optional.is_empty() {
            return self.run(inputs);
        }
        self.check_count(inputs.len())?;
        let mut values: Vec<(String, SessionInputValue<'_>)> = Vec::new();
        for (outlet, tensor) in self.inner.inputs().iter().zip(inputs) {
            values.push((outlet.name().to_owned(), values::input(tensor)?));
        }
        for (index, tensor) in optional {
            let name = self.optional.get(*index);
            let name = name.ok_or_else(|| RunError::InvalidInput(format!("no optional input {index}")))?;
            values.push((name.to_string(), values::input(tensor)?));
        }
        self.run_values(values, Given { inputs, optional })
    }

    fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("interrupt", &self.interrupt).finish_non_exhaustive()
    }
}

/// The runtime has no code for lack of memory, and device failures come under several.
fn run_error(code: ErrorCode, text: String) -> RunError {
    let lower = text.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| lower.contains(phrase));
    if says(&["out of memory", "failed to allocate memory", "bad_alloc", "bad allocation"]) {
        return RunError::OutOfMemory(text);
    }
    if says(&["cuda failure", "cudnn failure", "cublas failure", "cuda error"]) {
        return RunError::Device(text);
    }
    match code {
        ErrorCode::InvalidArgument => RunError::InvalidInput(text),
        ErrorCode::EngineError | ErrorCode::ExecutionProviderFailure | ErrorCode::DeviceReset => {
            RunError::Device(text)
        }
        _ => RunError::Failed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_devices_are_told_apart_by_words_and_codes() {
        let of = |code, text: &str| run_error(code, text.to_owned());
        let general = ErrorCode::GenericFailure;
        assert!(matches!(
            of(general, "Failed to allocate memory for requested buffer"),
            RunError::OutOfMemory(_)
        ));
        assert!(matches!(of(general, "CUDA failure 2: out of memory"), RunError::OutOfMemory(_)));
        assert!(matches!(of(general, "CUDA failure 700: illegal access"), RunError::Device(_)));
        assert!(matches!(of(ErrorCode::ExecutionProviderFailure, "x"), RunError::Device(_)));
        assert!(matches!(of(ErrorCode::InvalidArgument, "x"), RunError::InvalidInput(_)));
        assert!(matches!(of(general, "x"), RunError::Failed(_)));
    }
}
