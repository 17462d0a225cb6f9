//! Catches a panic inside a future, so that it becomes an answer instead of a dropped connection.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that resolves to `Err(Panicked)` where its inner one panics.
pub struct CatchPanic<'a, F>(Pin<&'a mut F>);

/// The inner future panicked.
pub struct Panicked;

impl<'a, F: Future> CatchPanic<'a, F> {
    /// Watches over `future`.
    pub fn new(future: Pin<&'a mut F>) -> Self {
        Self(future)
    }
}

impl<F: Future> Future for CatchPanic<'_, F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = self.0.as_mut();
        // Nothing of the future is used after a panic.
        match catch_unwind(AssertUnwindSafe(|| inner.poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_error_and_a_value_stays() {
        assert!(matches!(CatchPanic::new(pin!(async { 1 })).await, Ok(1)));
        assert!(CatchPanic::new(pin!(async { panic!("scripted") })).await.is_err());
    }
}
