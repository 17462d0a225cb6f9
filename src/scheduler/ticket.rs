//! The caller's end of a job: await it for the answer, drop it to give the job up.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::oneshot;

use super::job::{FailureKind, Finished, JobFailure};
use super::queue::Place;
use super::state::Shared;
use crate::engine::Interrupt;

/// Why a job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmitError {
    /// No room; try again after these whole seconds.
    Full {
        /// 1 to 60, jittered.
        retry_after_s: u64,
    },
    /// The scheduler is closing.
    Closed,
}

/// Where a job stands, shared between its worker and its ticket.
#[derive(Default)]
pub(super) struct Control {
    progress: Mutex<Progress>,
}

#[derive(Default)]
enum Progress {
    #[default]
    Queued,
    Running {
        since: Instant,
        interrupt: Interrupt,
    },
    Abandoned,
}

impl Control {
    /// Marks the job as running; false when its caller has gone, then it must not be run.
    pub(super) fn begin(&self, interrupt: Interrupt) -> bool {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*progress, Progress::Abandoned) {
            return false;
        }
        *progress = Progress::Running { since: Instant::now(), interrupt };
        true
    }

    /// The run is over: from now on nobody may interrupt the session for this job's sake.
    pub(super) fn end(&self) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if let Progress::Running { .. } = *progress {
            *progress = Progress::Queued;
        }
    }

    pub(super) fn is_abandoned(&self) -> bool {
        matches!(*self.progress.lock().unwrap_or_else(PoisonError::into_inner), Progress::Abandoned)
    }

    fn abandon(&self) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if let Progress::Running { interrupt, .. } = &*progress {
            interrupt.raise();
        }
        *progress = Progress::Abandoned;
    }

    fn running_since(&self) -> Option<Instant> {
        match &*self.progress.lock().unwrap_or_else(PoisonError::into_inner) {
            Progress::Running { since, .. } => Some(*since),
            Progress::Queued | Progress::Abandoned => None,
        }
    }
}

/// A submitted job. Resolves once, when the job was run or could not be; dropping it before that
/// takes the job out of the queue, or interrupts its run.
pub struct Ticket {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: usize,
    pub(super) place: Place,
    pub(super) enqueued: Instant,
    pub(super) control: Arc<Control>,
    pub(super) reply: oneshot::Receiver<Result<Finished, JobFailure>>,
    pub(super) answered: bool,
}

impl Ticket {
    /// When the job was put into the queue.
    pub fn enqueued(&self) -> Instant {
        self.enqueued
    }

    /// When the run began, while it goes on.
    pub fn running_since(&self) -> Option<Instant> {
        self.control.running_since()
    }
}

impl Future for Ticket {
    type Output = Result<Finished, JobFailure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(Pin::new(&mut self.reply).poll(context));
        self.answered = true;
        Poll::Ready(answer.unwrap_or(Err(JobFailure { kind: FailureKind::Cancelled, times: None })))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.answered {
            self.control.abandon();
            self.shared.withdraw(self.queue, self.place);
        }
    }
}
