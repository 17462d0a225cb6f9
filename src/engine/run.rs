//! What a scheduler needs of a session: run it, and interrupt a run from another thread.
//!
//! A trait, so that the scheduler's tests can script slow, failing and hanging sessions.

use super::Interrupt;
use crate::tensor::Tensor;

/// Something that turns input tensors into output tensors, one call at a time.
pub trait Run: Send {
    /// Runs `inputs`, which stand in the order of the signature's inputs, and gives the outputs in
    /// the order of its outputs.
    ///
    /// # Errors
    /// When the runtime refuses the inputs, fails, or was interrupted.
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError>;

    /// Like [`run`](Self::run), with `optional` inputs beside: each overrides what the graph has for
    /// the optional input of that index in the signature.
    ///
    /// # Errors
    /// Those of `run`; and when there is no such optional input.
    fn run_with(&mut self, inputs: &[Tensor], optional: &[(usize, Tensor)]) -> Result<Vec<Tensor>, RunError> {
        if optional.is_empty() {
            return self.run(inputs);
        }
        Err(RunError::InvalidInput("optional inputs for a model without any".into()))
    }

    /// A handle that stops a run in progress. Every call gives a handle on the same switch.
    fn interrupt(&self) -> Interrupt;
}

impl RunError {
    /// True where the device is at fault, or has no memory left: another run of the same may go well.
    pub const fn is_of_device(&self) -> bool {
        matches!(self, Self::OutOfMemory(_) | Self::Device(_) | Self::Lost(_))
    }
}

/// Why a run gave no outputs. The texts are the runtime's own, with file names and sizes in them:
/// for logs, never for clients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The runtime says that the inputs are at fault.
    #[error("the inputs were refused: {0}")]
    InvalidInput(String),
    /// [`Interrupt::raise`] ended the run.
    #[error("the run was interrupted")]
    Interrupted,
    /// There was no memory for the run, on the host or on a device.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// The device or its driver failed; the session may be of no more use.
    #[error("the device failed: {0}")]
    Device(String),
    /// The device is of no more use to this session, and maybe to the process.
    #[error("the device is lost: {0}")]
    Lost(String),
    /// Anything else.
    #[error("the run failed: {0}")]
    Failed(String),
}
