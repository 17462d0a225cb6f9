//! A progress bar on stderr, only where that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::arguments::Bounds;

/// Steps of the bar.
const STEPS: u64 = 1000;

/// Shows how far one measurement is.
pub(super) struct Progress {
    bar: ProgressBar,
    bounds: Bounds,
}

impl Progress {
    /// A bar that appears with the first [`Self::show`].
    pub(super) fn new(label: String, bounds: Bounds) -> Self {
        // The default target is stderr, and nothing where that is no terminal.
        let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{msg} [{bar:40}] {elapsed}");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(label);
        Self { bar, bounds }
    }

    #[cfg(test)]
    pub(super) fn hidden() -> Self {
        let bounds = Bounds { warmup: Duration::ZERO, duration: Duration::from_secs(1), requests: 1 };
        Self { bar: ProgressBar::hidden(), bounds }
    }

    /// The measurement begins.
    pub(super) fn begin(&self) {
        self.bar.reset_elapsed();
    }

    /// It is this far.
    pub(super) fn show(&self, elapsed: Duration, sent: u64) {
        self.bar.set_position(position(self.bounds, elapsed, sent));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The steps that are done, by time or by number, whichever is further.
fn position(bounds: Bounds, elapsed: Duration, sent: u64) -> u64 {
    let by_time = elapsed.as_millis() * u128::from(STEPS) / bounds.duration.as_millis().max(1);
    let by_count = u128::from(sent) * u128::from(STEPS) / u128::from(bounds.requests.max(1));
    u64::try_from(by_time.max(by_count)).unwrap_or(STEPS).min(STEPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_follows_what_ends_first() {
        let bounds = Bounds { warmup: Duration::ZERO, duration: Duration::from_secs(10), requests: 100 };
        assert_eq!(position(bounds, Duration::from_secs(5), 10), 500);
        assert_eq!(position(bounds, Duration::from_secs(1), 90), 900);
        assert_eq!(position(bounds, Duration::from_secs(99), 100), STEPS);
    }
}
