//! One session of the runtime, and how it runs a batch: with host memory, or bound to a device's.

use std::sync::Arc;

use ort::ErrorCode;
use ort::logging::LogLevel;
use ort::session::{RunOptions, SessionInputValue, SessionInputs};

use super::bound::{Bound, Capture, Capturing, Place};
use super::graphs::{self, GRAPH_ID, NO_GRAPH};
use super::placement;
use super::stream::Stream;
use super::values::{self, Given};
use super::{Interrupt, RunError};
use crate::tensor::Tensor;

/// A session of the runtime with what its runs need.
pub(super) struct Core {
    /// Where it runs with inputs and outputs in the memory of a device, which is the session's: dropped before it.
    bound: Option<Bound>,
    inner: ort::session::Session,
    /// The same for every run: the interrupt acts on it.
    options: Arc<RunOptions>,
    interrupt: Interrupt,
    /// Columns of a ZipMap's scores; empty without one.
    class_labels: Arc<[String]>,
    /// Names of the optional inputs, in the signature's order.
    optional: Arc<[Arc<str>]>,
    /// Its device, and whether it has run there: only a run of the runtime's own makes the device that of its thread
    /// (`cudaSetDevice`), so that the first one is not bound.
    device: Option<(Place, HasRun)>,
    /// What it runs on, if it is ours: dropped after it.
    _stream: Option<Stream>,
}

/// Whether a session has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HasRun {
    No,
    Yes,
}

/// What all sessions of a graph have in common.
#[derive(Clone)]
pub(super) struct Shared {
    /// Columns of a ZipMap's scores; empty without one.
    pub(super) class_labels: Arc<[String]>,
    /// Names of the optional inputs, in the signature's order.
    pub(super) optional: Arc<[Arc<str>]>,
}

impl Core {
    /// A session that runs on the device at `place`, or, without one, where its provider takes host memory.
    pub(super) fn new(
        (inner, stream): (ort::session::Session, Option<Stream>),
        shared: &Shared,
        place: Option<(Place, Capture)>,
    ) -> ort::Result<Self> {
        let place = place.map(|(place, capture)| match place {
            Place::Cuda(_) => (place, capturable(&inner, capture)),
            #[cfg(test)]
            Place::Host => (place, capture),
        });
        let Shared { class_labels, optional } = shared.clone();
        let mut options = RunOptions::new()?;
        // A failed run is told by its result. Else each bad input of a client's would be an error
        // in the log.
        options.set_log_level(LogLevel::Fatal)?;
        let bound = match place {
            None => None,
            Some((place, capture)) => Bound::new(&inner, place, capture).unwrap_or_else(|error| {
                // Slower, and right all the same.
                tracing::warn!(%error, "inputs and outputs can't be bound to the device: the runtime copies them");
                None
            }),
        };
        if place.is_some_and(|(_, capture)| capture == Capture::Shapes) {
            options.set(GRAPH_ID, NO_GRAPH)?;
        }
        let options = Arc::new(options);
        let switched = Arc::clone(&options);
        let interrupt = Interrupt::from_fn(move |raised| {
            let set = if raised { switched.terminate() } else { switched.unterminate() };
            if let Err(error) = set {
                tracing::warn!(%error, raised, "can't set the terminate flag of a run");
            }
        });
        let device = place.map(|(place, _)| (place, HasRun::No));
        Ok(Self { bound, inner, options, interrupt, class_labels, optional, device, _stream: stream })
    }

    fn check_count(&self, given: usize) -> Result<(), RunError> {
        let wanted = self.inner.inputs().len();
        if given == wanted {
            return Ok(());
        }
        Err(RunError::InvalidInput(format!("{given} inputs for {wanted}")))
    }

    fn run_bound(&mut self, inputs: &[Tensor]) -> Option<Result<Vec<Tensor>, RunError>> {
        if let Some((_, has_run @ HasRun::No)) = &mut self.device {
            *has_run = HasRun::Yes;
            return None;
        }
        let ran = self.bound.as_mut()?.run(&mut self.inner, inputs, &self.options);
        Some(match ran {
            Ok(outputs) => {
                let given = Given { inputs: &[], optional: &[] };
                let read = |value| values::output(value, given, &self.class_labels);
                outputs.into_iter().map(read).collect()
            }
            Err(error) => Err(failed(&self.interrupt, &error)),
        })
    }

    fn run_values<'i, 'v: 'i>(
        &mut self,
        values: impl Into<SessionInputs<'i, 'v>>,
        given: Given<'_>,
    ) -> Result<Vec<Tensor>, RunError> {
        let _others_may_run = self.device.map(|_| graphs::running());
        match self.inner.run_with_options(values, &*self.options) {
            Ok(outputs) => {
                let read = |(_, value)| values::output(value, given, &self.class_labels);
                outputs.into_iter().map(read).collect()
            }
            Err(error) => Err(failed(&self.interrupt, &error)),
        }
    }
}

impl Core {
    pub(super) fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        self.check_count(inputs.len())?;
        if let Some(ran) = self.run_bound(inputs) {
            return ran;
        }
        let values: Vec<SessionInputValue<'_>> =
            inputs.iter().map(values::input).collect::<Result<_, _>>()?;
        self.run_values(values.as_slice(), Given { inputs, optional: &[] })
    }

    pub(super) fn run_with(
        &mut self,
        inputs: &[Tensor],
        optional: &[(usize, Tensor)],
    ) -> Result<Vec<Tensor>, RunError> {
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

    pub(super) fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// Whether shapes that come for the first time are captured, where graphs are asked for.
    pub(super) fn capture_new_shapes(&mut self, capturing: Capturing) {
        if let Some(bound) = &mut self.bound {
            bound.capture_new_shapes(capturing);
        }
    }

    /// Runs `inputs`, and gives the device back what the arenas hold beyond that. Not after shapes were captured: a
    /// graph uses memory that the arena takes for free.
    pub(super) fn shrink(&mut self, inputs: &[Tensor]) -> Result<(), RunError> {
        let Some((Place::Cuda(id), _)) = self.device else { return Ok(()) };
        let shrinking = || {
            let mut options = RunOptions::new()?;
            options.set("memory.enable_memory_arena_shrinkage", format!("gpu:{id}"))?;
            Ok(options)
        };
        let options = shrinking().map_err(|error| failed(&self.interrupt, &error))?;
        let values: Vec<SessionInputValue<'_>> =
            inputs.iter().map(values::input).collect::<Result<_, _>>()?;
        let _others_may_run = graphs::running();
        match self.inner.run_with_options(values.as_slice(), &options) {
            Ok(_) => Ok(()),
            Err(error) => Err(failed(&self.interrupt, &error)),
        }
    }
}

/// A replayed graph reads its inputs where they lay when it was captured. What a kernel reads on the host was copied
/// there once and would be the first request's for ever.
fn capturable(session: &ort::session::Session, capture: Capture) -> Capture {
    if capture == Capture::Shapes && placement::reads_inputs_on_host(session) {
        tracing::warn!("CUDA graphs are off: the host reads an input of this graph");
        return Capture::Off;
    }
    capture
}

fn failed(interrupt: &Interrupt, error: &ort::Error) -> RunError {
    if interrupt.is_raised() {
        return RunError::Interrupted;
    }
    run_error(error.code(), error.to_string())
}

/// Words for a lack of memory; the last ones are an arena's at its limit.
const MEMORY: [&str; 6] = [
    "alloc_failed",
    "out of memory",
    "failed to allocate memory",
    "bad_alloc",
    "bad allocation",
    "smaller than requested bytes",
];

/// The runtime has no code for lack of memory, and device failures come under several.
fn run_error(code: ErrorCode, text: String) -> RunError {
    let lower = text.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| lower.contains(phrase));
    if says(&MEMORY) {
        return RunError::OutOfMemory(text);
    }
    if says(&["cuda failure", "cudnn failure", "cublas failure", "cuda error", "tensorrt ep"]) {
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
        let limit = "BFCArena::Extend Available memory of 1048576 is smaller than requested bytes of 8388608";
        assert!(matches!(of(general, limit), RunError::OutOfMemory(_)));
        assert!(matches!(
            of(general, "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED"),
            RunError::OutOfMemory(_)
        ));
        assert!(matches!(of(general, "CUDA failure 700: illegal access"), RunError::Device(_)));
        assert!(matches!(of(general, "TensorRT EP execution context enqueue failed."), RunError::Device(_)));
        assert!(matches!(of(ErrorCode::ExecutionProviderFailure, "x"), RunError::Device(_)));
        assert!(matches!(of(ErrorCode::InvalidArgument, "x"), RunError::InvalidInput(_)));
        assert!(matches!(of(general, "x"), RunError::Failed(_)));
    }
}
