//! Which model's work runs next: pure, so that it can be simulated. Called by workers under the
//! device's lock.
//!
//! Earliest deadline first among the models with work and a free session. When the first of them
//! needs more permits than are free, nothing else starts in its place: otherwise small runs would
//! keep a wide one waiting for ever. A model without a free session is passed over; its sessions
//! are busy, so it is being served.

use std::time::Instant;

/// What the policy sees of one model's queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueView {
    /// Deadline of the job at the head; none = nothing waits.
    pub(super) deadline: Option<Instant>,
    /// Sessions that run nothing.
    pub(super) free_sessions: usize,
    /// Permits that one run takes.
    pub(super) cost: usize,
}

/// The queue to serve next with `free_permits` out of `permits`, if any; of `queues`, those in which
/// nothing waits may be left out.
pub(super) fn pick(
    queues: impl Iterator<Item = (usize, QueueView)>,
    free_permits: usize,
    permits: usize,
) -> Option<usize> {
    let (index, queue) = queues
        .filter(|(_, queue)| queue.free_sessions > 0)
        .filter_map(|(index, queue)| Some((queue.deadline?, index, queue)))
        .min_by_key(|(deadline, index, _)| (*deadline, *index))
        .map(|(_, index, queue)| (index, queue))?;
    (queue.cost.min(permits) <= free_permits).then_some(index)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn view(deadline_ms: Option<u64>, free_sessions: usize, cost: usize, epoch: Instant) -> QueueView {
        let deadline = deadline_ms.map(|ms| epoch + Duration::from_millis(ms));
        QueueView { deadline, free_sessions, cost }
    }

    #[test]
    fn earliest_deadline_with_a_free_session_wins() {
        let epoch = Instant::now();
        let queues = [
            view(None, 1, 1, epoch),
            view(Some(20), 1, 1, epoch),
            view(Some(5), 0, 1, epoch),
            view(Some(10), 1, 1, epoch),
        ];
        assert_eq!(pick(queues.into_iter().enumerate(), 1, 2), Some(3));
        assert_eq!(pick(queues[..1].iter().copied().enumerate(), 2, 2), None);
    }

    #[test]
    fn a_wide_run_is_not_overtaken_for_ever() {
        let epoch = Instant::now();
        let queues = [view(Some(5), 1, 2, epoch), view(Some(10), 1, 1, epoch)];
        assert_eq!(pick(queues.into_iter().enumerate(), 1, 2), None, "permits are saved for the wide run");
        assert_eq!(pick(queues.into_iter().enumerate(), 2, 2), Some(0));
        let wider_than_the_device = [view(Some(5), 1, 9, epoch)];
        assert_eq!(pick(wider_than_the_device.into_iter().enumerate(), 2, 2), Some(0));
    }
}
