//! Sessions that tell when the last of them is freed: an unloaded model is gone only then.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::engine::{Interrupt, Run, RunError, Session};
use crate::tensor::Tensor;

/// A session and the sign that it is there. Fields are dropped in this order.
struct Told {
    session: Session,
    _is_there: mpsc::Sender<Infallible>,
}

impl Run for Told {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        self.session.run(inputs)
    }

    fn run_with(&mut self, inputs: &[Tensor], optional: &[(usize, Tensor)]) -> Result<Vec<Tensor>, RunError> {
        self.session.run_with(inputs, optional)
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

/// The sessions as the scheduler takes them.
pub(super) fn told(sessions: Vec<Session>) -> (Vec<Box<dyn Run>>, Freed) {
    let (is_there, freed) = mpsc::channel(1);
    let told = |session| Box::new(Told { session, _is_there: is_there.clone() }) as Box<dyn Run>;
    (sessions.into_iter().map(told).collect(), Freed(Mutex::new(Some(freed))))
}
