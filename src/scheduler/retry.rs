//! When to try again: `Retry-After` from how fast a queue drains.

/// Whole seconds for `Retry-After` where what waits will have been taken in `wait` seconds: 1 to 60,
/// spread by `jitter` in 0..1 over half as much again, so that refused callers don't all return at once.
pub(super) fn retry_after(wait: f64, jitter: f64) -> u64 {
    let spread = wait.max(1.0) * 0.5f64.mul_add(jitter, 1.0) + jitter;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=60")]
    let seconds = spread.clamp(1.0, 60.0) as u64;
    seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_follows_the_wait_and_stays_in_bounds() {
        assert_eq!(retry_after(0.0, 0.0), 1);
        assert_eq!(retry_after(10.0, 0.0), 10);
        assert!((10..=16).contains(&retry_after(10.0, 0.99)));
        assert_eq!(retry_after(1e9, 0.5), 60);
        assert_eq!(retry_after(f64::NAN, 0.0), 1);
    }
}
