//! The phases of the process' end, told to everyone who must act on them.
//!
//! `app` moves the phase forward; listeners, handlers and the scheduler watch it. It never moves back.

use tokio::sync::watch;

/// How far the process is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Normal service.
    Serving,
    /// Readiness is 503; requests are still served, connections are asked to close.
    Draining,
    /// Nothing new is accepted; what is in flight is finished.
    Stopping,
    /// What is still open is cut.
    Cut,
}

/// Moves the phase forward.
#[derive(Debug)]
pub struct Shutdown {
    phase: watch::Sender<Phase>,
}

/// Sees the phase. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ShutdownWatch {
    phase: watch::Receiver<Phase>,
}

impl Shutdown {
    /// A shutdown in phase [`Phase::Serving`].
    pub fn new() -> Self {
        Self { phase: watch::Sender::new(Phase::Serving) }
    }

    /// Moves on to `phase`, unless it has been passed already.
    pub fn advance(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let later = phase > *now;
            if later {
                *now = phase;
            }
            later
        });
    }

    /// A watch on the phase.
    pub fn watch(&self) -> ShutdownWatch {
        ShutdownWatch { phase: self.phase.subscribe() }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl ShutdownWatch {
    /// The phase now.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Returns once `phase` or a later one is reached; never when the sender is gone before that.
    pub async fn reached(&mut self, phase: Phase) {
        if self.phase.wait_for(|now| *now >= phase).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn phases_only_move_forward() {
        let shutdown = Shutdown::new();
        let mut watch = shutdown.watch();
        shutdown.advance(Phase::Stopping);
        shutdown.advance(Phase::Draining);
        watch.reached(Phase::Draining).await;
        assert_eq!(watch.phase(), Phase::Stopping);
    }
}
