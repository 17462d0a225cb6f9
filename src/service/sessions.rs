//! Sessions as the scheduler gets them: they tell when the last of them is freed (an unloaded model is gone only
//! then), and on an accelerator whether a failed run was the device's end.
//!
//! After some errors a device is of no more use to the process (`cudaErrorIllegalAddress` and others "leave the
//! process in an inconsistent state": CUDA's runtime API, `cudaError_t`), after others it is. The words don't tell
//! them apart, the next run does: inputs that are known to work are run again.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::engine::{Interrupt, Run, RunError, Session};
use crate::tensor::Tensor;

/// What to do when a session's device seems to be lost.
pub(super) struct Watched {
    /// Inputs that a session that works can run; without them every failure of the device is its end.
    pub(super) probe: Option<Vec<Tensor>>,
    /// Told once a session, with what was said.
    pub(super) on_loss: Box<dyn Fn(&str) + Send + Sync>,
}

/// A session and the sign that it is there. Fields are dropped in this order.
struct Told<S> {
    session: S,
    watched: Option<Arc<Watched>>,
    is_lost: bool,
    _is_there: mpsc::Sender<Infallible>,
}

impl<S: Run> Told<S> {
    fn run_by(
        &mut self,
        run: impl FnOnce(&mut S) -> Result<Vec<Tensor>, RunError>,
    ) -> Result<Vec<Tensor>, RunError> {
        if self.is_lost {
            return Err(RunError::Lost("the session's device was lost before".into()));
        }
        match run(&mut self.session) {
            Err(RunError::Device(text)) => Err(self.examined(text)),
            ran => ran,
        }
    }

    fn examined(&mut self, text: String) -> RunError {
        let Some(watched) = &self.watched else { return RunError::Device(text) };
        if watched.probe.as_deref().is_some_and(|inputs| runs(&mut self.session, inputs)) {
            return RunError::Device(text);
        }
        self.is_lost = true;
        (watched.on_loss)(&text);
        RunError::Lost(text)
    }
}

/// Whether a session still runs what it could. That there is no memory for it now, or that somebody stopped the run
/// because its caller has gone, says nothing of the device.
fn runs(session: &mut impl Run, inputs: &[Tensor]) -> bool {
    let mut probe = || {
        session.interrupt().clear();
        session.run(inputs)
    };
    match probe() {
        Ok(_) | Err(RunError::OutOfMemory(_)) => true,
        Err(RunError::Interrupted) => !matches!(probe(), Err(RunError::Device(_) | RunError::Failed(_))),
        Err(_) => false,
    }
}

impl<S: Run> Run for Told<S> {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        self.run_by(|session| session.run(inputs))
    }

    fn run_with(&mut self, inputs: &[Tensor], optional: &[(usize, Tensor)]) -> Result<Vec<Tensor>, RunError> {
        self.run_by(|session| session.run_with(inputs, optional))
    }

    fn interrupt(&self) -> Interrupt {
        self.session.interrupt()
    }
}

/// When all sessions of a model are freed: asked for once.
pub(super) struct Freed(Mutex<Option<mpsc::Receiver<Infallible>>>);

impl Freed {
    /// Waits until the last session is freed; at once where someone else has waited for it.
    pub(super) async fn wait(taken: Option<mpsc::Receiver<Infallible>>) {
        if let Some(mut sessions) = taken {
            sessions.recv().await;
        }
    }

    /// What [`wait`](Self::wait) takes: to be taken from a model before it is let go.
    pub(super) fn take(&self) -> Option<mpsc::Receiver<Infallible>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The sessions as the scheduler takes them; `watched` where they run on an accelerator.
pub(super) fn told(sessions: Vec<Session>, watched: Option<Watched>) -> (Vec<Box<dyn Run>>, Freed) {
    let (is_there, freed) = mpsc::channel(1);
    let watched = watched.map(Arc::new);
    let told = |session| -> Box<dyn Run> {
        let watched = watched.clone();
        Box::new(Told { session, watched, is_lost: false, _is_there: is_there.clone() })
    };
    (sessions.into_iter().map(told).collect(), Freed(Mutex::new(Some(freed))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers runs as it is told, the last answer for ever.
    struct Scripted(Vec<Result<(), RunError>>);

    impl Run for Scripted {
        fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
            let next = if self.0.len() > 1 { self.0.remove(0) } else { self.0[0].clone() };
            next.map(|()| inputs.to_vec())
        }

        fn interrupt(&self) -> Interrupt {
            Interrupt::from_fn(|_| {})
        }
    }

    fn session(script: &[Result<(), RunError>], probe: bool) -> (Told<Scripted>, Arc<Mutex<Vec<String>>>) {
        let losses: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&losses);
        let input = Tensor::new(vec![1], vec![1.0_f32]).unwrap();
        let watched = Watched {
            probe: probe.then(|| vec![input]),
            on_loss: Box::new(move |text| seen.lock().unwrap().push(text.to_owned())),
        };
        let (is_there, _) = mpsc::channel(1);
        let session = Scripted(script.to_vec());
        let watched = Some(Arc::new(watched));
        (Told { session, watched, is_lost: false, _is_there: is_there }, losses)
    }

    fn device() -> Result<(), RunError> {
        Err(RunError::Device("CUDA failure 700".into()))
    }

    #[test]
    fn a_failure_after_which_known_inputs_still_run_is_of_that_run_alone() {
        let (mut told, losses) = session(&[device(), Ok(()), Ok(())], true);
        assert_eq!(told.run(&[]), Err(RunError::Device("CUDA failure 700".into())));
        assert_eq!(told.run(&[]), Ok(Vec::new()));
        assert!(losses.lock().unwrap().is_empty());
        for meanwhile in [RunError::Interrupted, RunError::OutOfMemory("x".into())] {
            let (mut told, losses) = session(&[device(), Err(meanwhile), Ok(())], true);
            assert!(matches!(told.run(&[]), Err(RunError::Device(_))));
            assert!(losses.lock().unwrap().is_empty(), "that the probe was stopped is no loss");
        }
    }

    #[test]
    fn a_device_that_runs_nothing_any_more_is_lost_and_told_once() {
        let interrupted = [device(), Err(RunError::Interrupted), device()];
        for (script, probe) in [(&[device()][..], true), (&[device()], false), (&interrupted, true)] {
            let (mut told, losses) = session(script, probe);
            assert_eq!(told.run(&[]), Err(RunError::Lost("CUDA failure 700".into())));
            assert!(matches!(told.run(&[]), Err(RunError::Lost(_))));
            assert!(matches!(told.run_with(&[], &[]), Err(RunError::Lost(_))));
            assert_eq!(*losses.lock().unwrap(), ["CUDA failure 700"]);
        }
    }

    #[test]
    fn lack_of_memory_and_bad_inputs_are_no_loss() {
        for error in [RunError::OutOfMemory("x".into()), RunError::InvalidInput("x".into())] {
            let (mut told, losses) = session(&[Err(error.clone()), Ok(())], true);
            assert_eq!(told.run(&[]), Err(error));
            assert!(losses.lock().unwrap().is_empty());
        }
    }
}
