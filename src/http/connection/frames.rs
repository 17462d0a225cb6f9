//! How many frames an HTTP/2 peer may send that carry nothing: pings, settings, resets and the like.
//!
//! The library bounds what it stores: streams, continuations, small data frames, resets of streams
//! that nobody took. What it answers at once it takes without end, and a peer that only pings keeps a
//! core busy. So the gate counts: a budget that refills with time, with requests and with what the
//! peer is sent, and that such frames use up. Frames are followed by their length; nothing is parsed.

/// What a peer has at first, and at most.
const BUDGET: u64 = 10_000;
/// What comes back each second.
const REFILL_PER_SECOND: u64 = 10_000;
/// What a request brings: its settings, pings and window updates.
const REQUEST: u64 = 10;
/// Bytes written that bring one: a client that reads must open its windows.
const BYTES_WRITTEN: u64 = 1024;
/// A reset uses up more than its request brought: whoever cancels everything stops at 1000 a second.
const RESET: u64 = 20;
/// Settings are rare, and each is applied to every stream.
const SETTINGS: u64 = 10;
/// We ask for an answer every few seconds at most, and the library logs those that nobody asked for.
const PING_ANSWER: u64 = 1000;

const NANOS: u64 = 1_000_000_000;

/// The frames of one connection.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes until the next frame begins.
    skip: u32,
    /// The head of a frame, as far as it is there.
    head: [u8; 9],
    filled: usize,
    budget: u64,
    refilled_at: u64,
    /// Bytes written to the peer that have brought their share.
    written: u64,
}

impl Frames {
    /// Frames that begin behind so many bytes.
    pub(super) fn behind(skip: u32) -> Self {
        Self { skip, head: [0; 9], filled: 0, budget: BUDGET, refilled_at: 0, written: 0 }
    }

    /// Follows what came at nanosecond `now`, when `written` bytes in all had been sent; false once the
    /// budget is used up.
    pub(super) fn read(&mut self, mut bytes: &[u8], (now, written): (u64, u64)) -> bool {
        let shares = written.saturating_sub(self.written) / BYTES_WRITTEN;
        self.written += shares * BYTES_WRITTEN;
        self.earn(shares);
        loop {
            let here = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(self.skip);
            self.skip -= here;
            bytes = &bytes[here as usize..];
            let taken = (self.head.len() - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled < self.head.len() {
                return true;
            }
            self.filled = 0;
            self.skip = u32::from_be_bytes([0, self.head[0], self.head[1], self.head[2]]);
            if !self.charge(now) {
                return false;
            }
        }
    }

    /// Pays for the frame of this head.
    fn charge(&mut self, now: u64) -> bool {
        let (kind, is_answer) = (self.head[3], self.head[4] & 1 == 1);
        let price = match kind {
            // Data and continuations: the library bounds those that carry little.
            0 | 9 => return true,
            1 => {
                self.earn(REQUEST);
                return true;
            }
            3 => RESET,
            4 => SETTINGS,
            6 if is_answer => PING_ANSWER,
            _ => 1,
        };
        if price > self.budget {
            let passed = now.saturating_sub(self.refilled_at).min(NANOS);
            self.refilled_at = now;
            self.earn(passed * REFILL_PER_SECOND / NANOS);
        }
        let left = self.budget.checked_sub(price);
        self.budget = left.unwrap_or_default();
        left.is_some()
    }

    fn earn(&mut self, amount: u64) {
        self.budget = (self.budget + amount).min(BUDGET);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.resize(9 + payload, 0xff);
        frame
    }

    /// How many of these in a row are taken, at most 100,000, with `pause` nanoseconds between them.
    fn taken(frames: &[Vec<u8>], pause: u64) -> u64 {
        let mut gate = Frames::behind(0);
        let bytes = frames.concat();
        (0..100_000).find(|turn| !gate.read(&bytes, (turn * pause, 0))).unwrap_or(100_000)
    }

    #[test]
    fn idle_frames_at_once_are_bounded_by_the_budget() {
        for (kind, flags, payload, most) in
            [(6, 0, 8, BUDGET), (8, 0, 4, BUDGET), (2, 0, 5, BUDGET), (0xee, 0, 3, BUDGET), (4, 0, 0, 1000)]
        {
            assert_eq!(taken(&[frame(kind, flags, payload)], 0), most, "{kind}");
        }
        assert_eq!(taken(&[frame(6, 1, 8)], 0), 10);
        assert_eq!(taken(&[frame(1, 4, 9), frame(3, 0, 4)], 0), 1 + (BUDGET - RESET) / (RESET - REQUEST));
    }

    #[test]
    fn what_comes_slowly_or_with_requests_is_never_too_much() {
        assert_eq!(taken(&[frame(6, 0, 8)], NANOS / 10_000), 100_000);
        let request = [frame(1, 4, 30), frame(0, 1, 100), frame(8, 0, 4), frame(6, 0, 8), frame(8, 0, 4)];
        assert_eq!(taken(&request, 0), 100_000);
        assert_eq!(taken(&[frame(0, 0, 100), frame(9, 0, 0)], 0), 100_000);
    }

    #[test]
    fn a_reader_of_long_answers_may_open_its_windows() {
        let (mut gate, update) = (Frames::behind(0), frame(8, 0, 4));
        for turn in 0..100_000 {
            let marks = (0, turn * 16 * 1024);
            assert!(gate.read(&update, marks) && gate.read(&update, marks), "{turn}");
        }
    }

    #[test]
    fn frames_are_followed_however_reads_cut_them() {
        let bytes: Vec<u8> = (0..2000).flat_map(|n| frame(6, 0, n % 50)).collect();
        for size in [1, 2, 7, 8, 9, 10, 100, 4096] {
            let mut gate = Frames::behind(0);
            assert!(bytes.chunks(size).all(|piece| gate.read(piece, (0, 0))));
            assert_eq!((gate.budget, gate.filled, gate.skip), (BUDGET - 2000, 0, 0), "{size}");
        }
    }
}
