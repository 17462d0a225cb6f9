//! Which model's queue a free slot serves: pure, like the policy that forms the batch.
//!
//! Start-time fair queueing (Goyal, Vin, Cheng 1996) over the models of a device: each run advances its
//! model's virtual time by the permit-seconds that it takes, and the model that is behind is served
//! first, so that one model's backlog costs the others no more than its share. Models that are
//! about as far are served by their oldest job's deadline. When the one that is next needs more
//! permits than are free, nothing else starts in its place: otherwise small runs would keep a wide
//! one waiting for ever. A model without a free session is passed over; it is being served.

use std::time::Instant;

/// Models within so many permit-seconds of each other have had the same.
const QUANTUM: f64 = 0.005;

/// What is seen of one model in whose queue something may run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Permit-seconds that it has had, on the clock of all.
    pub(super) virtual_time: f64,
    /// Deadline of its oldest job.
    pub(super) deadline: Instant,
    /// Sessions that run nothing.
    pub(super) free_sessions: usize,
    /// Permits that one run takes.
    pub(super) cost: usize,
}

/// The queue to serve next with `free_permits` out of `permits`, if any.
pub(super) fn pick(
    queues: impl Iterator<Item = (usize, Candidate)>,
    free_permits: usize,
    permits: usize,
) -> Option<usize> {
    #[expect(clippy::cast_possible_truncation, reason = "the order matters, not the number")]
    let turn = |queue: &Candidate| (queue.virtual_time / QUANTUM) as i64;
    let (index, queue) = queues
        .filter(|(_, queue)| queue.free_sessions > 0)
        .min_by_key(|(index, queue)| (turn(queue), queue.deadline, *index))?;
    (queue.cost.min(permits) <= free_permits).then_some(index)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn queue(virtual_time: f64, deadline_ms: u64, sessions: usize, cost: usize, epoch: Instant) -> Candidate {
        let deadline = epoch + Duration::from_millis(deadline_ms);
        Candidate { virtual_time, deadline, free_sessions: sessions, cost }
    }

    #[test]
    fn who_had_least_is_next_and_the_deadline_decides_between_equals() {
        let epoch = Instant::now();
        let queues = [
            queue(1.0, 5, 1, 1, epoch),
            queue(0.1001, 20, 1, 1, epoch),
            queue(0.1002, 10, 1, 1, epoch),
            queue(0.0, 1, 0, 1, epoch),
        ];
        assert_eq!(pick(queues.into_iter().enumerate(), 1, 2), Some(2));
        assert_eq!(pick(queues[3..].iter().copied().enumerate(), 2, 2), None, "its session is busy");
    }

    #[test]
    fn a_wide_run_is_not_overtaken_for_ever() {
        let epoch = Instant::now();
        let queues = [queue(0.0, 5, 1, 2, epoch), queue(0.0, 10, 1, 1, epoch)];
        assert_eq!(pick(queues.into_iter().enumerate(), 1, 2), None, "permits are saved for the wide run");
        assert_eq!(pick(queues.into_iter().enumerate(), 2, 2), Some(0));
        let wider_than_the_device = [queue(0.0, 5, 1, 9, epoch)];
        assert_eq!(pick(wider_than_the_device.into_iter().enumerate(), 2, 2), Some(0));
    }
}
