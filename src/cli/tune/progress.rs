//! How much of the budget is used, on stderr, only where that is a terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The budget, and how far it is used.
pub(super) struct Clock {
    begun: Instant,
    budget: Duration,
    bar: ProgressBar,
}

impl Clock {
    /// Starts now.
    pub(super) fn start(budget: Duration) -> Self {
        let length = u64::try_from(budget.as_millis()).unwrap_or(u64::MAX);
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("[{bar:30}] {elapsed} {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { begun: Instant::now(), budget, bar }
    }

    /// Says what is done now.
    pub(super) fn show(&self, what: impl Into<String>) {
        self.bar.set_message(what.into());
        self.bar.set_position(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX));
    }

    /// What is left of the first `share` of the budget.
    pub(super) fn left_of(&self, share: f64) -> Duration {
        self.budget.mul_f64(share).saturating_sub(self.begun.elapsed())
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
