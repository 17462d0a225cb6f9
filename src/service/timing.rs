//! One small record of a request's timestamps. From it, once, at its end, come the stage metrics,
//! the `server-timing` header and, when it is sampled, the stage spans.

use std::time::{Duration, Instant, SystemTime};

use crate::scheduler::JobTimes;
use crate::telemetry::Stage;

/// The stages that a request has reached, with their times.
#[derive(Clone, Debug)]
pub struct Timeline {
    started: Instant,
    stages: [Option<(Instant, Instant)>; STAGES.len()],
    batch_size: usize,
}

const STAGES: [(Stage, &str); 5] = [
    (Stage::Preprocess, "preprocess"),
    (Stage::Queue, "queue"),
    (Stage::Batch, "batch"),
    (Stage::Execute, "execute"),
    (Stage::Postprocess, "postprocess"),
];

impl Timeline {
    /// A record of a request whose first header byte came at `started`.
    pub fn new(started: Instant) -> Self {
        Self { started, stages: [None; STAGES.len()], batch_size: 0 }
    }

    /// When the request's first header byte came.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Notes that a stage took from `begun` until `ended`.
    pub fn record(&mut self, stage: Stage, begun: Instant, ended: Instant) {
        self.stages[stage as usize] = Some((begun, ended));
    }

    /// Notes what the scheduler did.
    pub fn record_job(&mut self, times: &JobTimes, batch_size: usize) {
        self.record(Stage::Queue, times.enqueued, times.dequeued);
        self.record(Stage::Batch, times.dequeued, times.assembled);
        self.record(Stage::Execute, times.assembled, times.executed);
        self.batch_size = batch_size;
    }

    /// The stages reached, in order.
    pub fn stages(&self) -> impl Iterator<Item = (Stage, Instant, Instant)> + '_ {
        STAGES
            .iter()
            .zip(&self.stages)
            .filter_map(|((stage, _), times)| times.map(|(begun, ended)| (*stage, begun, ended)))
    }

    /// The same in wall-clock time.
    pub fn wall_stages(&self) -> Vec<(Stage, SystemTime, SystemTime)> {
        let (now, wall) = (Instant::now(), SystemTime::now());
        let at = |instant: Instant| wall - now.saturating_duration_since(instant);
        self.stages().map(|(stage, begun, ended)| (stage, at(begun), at(ended))).collect()
    }

    /// The value of the `server-timing` header: stages reached, in milliseconds, and the total.
    pub fn server_timing(&self) -> String {
        let mut text = String::with_capacity(160);
        for ((stage, name), times) in STAGES.iter().zip(&self.stages) {
            let Some((begun, ended)) = times else { continue };
            push_entry(&mut text, name, ended.saturating_duration_since(*begun));
            if matches!(stage, Stage::Batch) {
                text.push_str(";desc=\"");
                push_digits(&mut text, self.batch_size, 1);
                text.push('"');
            }
            text.push_str(", ");
        }
        push_entry(&mut text, "total", self.started.elapsed());
        text
    }
}

/// Milliseconds with three decimals, from whole microseconds.
fn push_entry(text: &mut String, name: &str, took: Duration) {
    let micros = usize::try_from(took.as_micros()).unwrap_or(usize::MAX);
    text.push_str(name);
    text.push_str(";dur=");
    push_digits(text, micros / 1000, 1);
    text.push('.');
    push_digits(text, micros % 1000, 3);
}

/// Decimal digits of `number`, at least `least` of them. The formatter takes ten times as long, which
/// shows on every answer.
fn push_digits(text: &mut String, number: usize, least: u32) {
    let count = number.checked_ilog10().map_or(1, |log| log + 1).max(least);
    for place in (0..count).rev() {
        text.push(char::from(b"0123456789"[number / 10_usize.pow(place) % 10]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_holds_the_stages_reached_in_order() {
        let now = Instant::now();
        let at = |millis| now + Duration::from_millis(millis);
        let mut timeline = Timeline::new(now);
        timeline.record(Stage::Postprocess, at(9), at(10));
        timeline.record(Stage::Preprocess, at(0), at(1));
        timeline
            .record_job(&JobTimes { enqueued: at(1), dequeued: at(2), assembled: at(3), executed: at(9) }, 8);
        let header = timeline.server_timing();
        let expected = "preprocess;dur=1.000, queue;dur=1.000, batch;dur=1.000;desc=\"8\", \
                        execute;dur=6.000, postprocess;dur=1.000, total;dur=";
        assert!(header.starts_with(expected), "{header}");
        assert!(Timeline::new(now).server_timing().starts_with("total;dur="));
    }

    #[test]
    fn times_are_written_as_the_formatter_would() {
        for micros in [0, 1, 9, 10, 99, 100, 999, 1000, 1001, 10_000, 59_999, 1_000_000, 86_400_000_001] {
            let mut text = String::new();
            push_entry(&mut text, "x", Duration::from_micros(micros));
            assert_eq!(text, format!("x;dur={}.{:03}", micros / 1000, micros % 1000));
        }
    }
}
