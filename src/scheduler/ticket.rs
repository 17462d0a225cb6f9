//! The caller's end of a job: await it for the answer, drop it to give the job up.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::oneshot;

use super::job::{FailureKind, Finished, JobFailure};
use super::pending::{Answer, Pending};
use super::state::Shared;
use super::worker;

/// Why a job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmitError {
    /// No room; try again after these whole seconds.
    Full {
        /// 1 to 60, jittered.
        retry_after_s: u64,
    },
    /// Its deadline would pass before it was run, behind what waits.
    DeadlineUnmeetable {
        /// 1 to 60, jittered.
        retry_after_s: u64,
    },
    /// The scheduler is closing.
    Closed,
}

/// A submitted job. Resolves once, when the job was run or could not be; dropping it before that
/// takes the job out of the queue, or interrupts its run when it runs for nobody else.
pub struct Ticket {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: usize,
    pub(super) job: Arc<Pending>,
    pub(super) reply: oneshot::Receiver<Answer>,
    /// No worker was woken: its caller is to come back for all that waits.
    pub(super) leads: bool,
    pub(super) answered: bool,
}

impl Ticket {
    /// Runs what waits in the job's queue in the calling thread, where the model's runs are short enough
    /// for that; else leaves it to the workers. To be called, by who [`leads`](Self::leads), after
    /// giving other requests of the thread the time to put their jobs beside this one.
    pub fn help(&mut self) {
        if std::mem::take(&mut self.leads) {
            worker::run_near(&self.shared, self.queue);
        }
    }

    /// Whether [`help`](Self::help) is still to be called: no worker was woken for this job and those that
    /// come after it.
    pub fn leads(&self) -> bool {
        self.leads
    }

    /// Rows that wait beside this job's.
    pub fn company(&self) -> usize {
        self.shared.queued_rows(self.queue)
    }

    /// When the job was put into the queue.
    pub fn enqueued(&self) -> Instant {
        self.job.enqueued
    }

    /// When its first row began to run; none while all of it waits.
    pub fn running_since(&self) -> Option<Instant> {
        self.job.running_since()
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
            self.job.abandon();
            self.shared.withdraw(self.queue, self.job.place());
            self.help();
        }
    }
}
