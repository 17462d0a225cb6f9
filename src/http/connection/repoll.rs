//! Wakes that a connection's task gives itself while it is polled.
//!
//! The HTTP library hands a request's body over through a channel whose both ends are in one task: each
//! end wakes the other, that is, the task that runs. To the async runtime this is a task that wants to
//! be queued again, for which it wakes a second thread that finds nothing: two system calls and a change
//! of cores for each request. Here such a wake makes the connection be polled again at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

/// Polls in a row, at most: then other tasks have their turn.
const IN_A_ROW: usize = 8;

/// A waker that knows whether its task is being polled.
struct SelfWake {
    polling: AtomicBool,
    woken: AtomicBool,
    task: Waker,
}

impl Wake for SelfWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Whoever comes second of this and the end of the poll sees the other: no wake is lost.
        self.woken.store(true, SeqCst);
        if !self.polling.load(SeqCst) {
            self.task.wake_by_ref();
        }
    }
}

/// Polls a future again when it has woken itself.
#[derive(Default)]
pub(super) struct Repoll {
    waker: Option<(Arc<SelfWake>, Waker)>,
}

impl Repoll {
    /// Polls by `poll`, again while it was woken meanwhile. To be called by one task.
    pub(super) fn poll<T>(
        &mut self,
        context: &Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let (own, waker) = self.waker.get_or_insert_with(|| {
            let (polling, woken) = (AtomicBool::new(false), AtomicBool::new(false));
            let own = Arc::new(SelfWake { polling, woken, task: context.waker().clone() });
            (Arc::clone(&own), Waker::from(own))
        });
        for _ in 0..IN_A_ROW {
            own.polling.store(true, SeqCst);
            own.woken.swap(false, SeqCst);
            let polled = poll(&mut Context::from_waker(waker));
            own.polling.store(false, SeqCst);
            if polled.is_ready() || !own.woken.load(SeqCst) {
                return polled;
            }
        }
        own.task.wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    fn counted() -> (Arc<Counted>, Waker) {
        let counted = Arc::new(Counted(AtomicUsize::new(0)));
        (Arc::clone(&counted), Waker::from(counted))
    }

    #[test]
    fn who_wakes_itself_is_polled_again_and_its_task_is_not_woken() {
        let (task, waker) = counted();
        let (mut repoll, mut left) = (Repoll::default(), 3);
        let polled = repoll.poll(&Context::from_waker(&waker), |context| {
            left -= 1;
            context.waker().wake_by_ref();
            if left == 0 { Poll::Ready("done") } else { Poll::Pending }
        });
        assert_eq!((polled, task.0.load(SeqCst)), (Poll::Ready("done"), 0));
    }

    #[test]
    fn who_never_ceases_lets_others_have_their_turn() {
        let (task, waker) = counted();
        let mut polls = 0;
        let polled: Poll<()> = Repoll::default().poll(&Context::from_waker(&waker), |context| {
            polls += 1;
            context.waker().wake_by_ref();
            Poll::Pending
        });
        assert_eq!((polled, polls, task.0.load(SeqCst)), (Poll::Pending, IN_A_ROW, 1));
    }

    #[test]
    fn a_wake_after_the_poll_wakes_the_task() {
        let (task, waker) = counted();
        let (mut repoll, mut kept) = (Repoll::default(), None);
        let polled: Poll<()> = repoll.poll(&Context::from_waker(&waker), |context| {
            kept = Some(context.waker().clone());
            Poll::Pending
        });
        assert_eq!((polled, task.0.load(SeqCst)), (Poll::Pending, 0));
        kept.unwrap().wake();
        assert_eq!(task.0.load(SeqCst), 1);
    }

    /// Each number is sent only when the one before has been seen: one lost wake and it stands still.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_wake_of_another_thread_is_lost() {
        const WAKES: usize = 50_000;
        let (seen, sent) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let wakers = Arc::new(std::sync::Mutex::new(None::<Waker>));
        let sender = std::thread::spawn({
            let (seen, sent, wakers) = (Arc::clone(&seen), Arc::clone(&sent), Arc::clone(&wakers));
            move || {
                for number in 1..=WAKES {
                    while seen.load(SeqCst) + 1 < number {
                        std::hint::spin_loop();
                    }
                    sent.store(number, SeqCst);
                    if let Some(waker) = wakers.lock().unwrap().take() {
                        waker.wake();
                    }
                }
            }
        });
        let mut repoll = Repoll::default();
        let all = poll_fn(|context| {
            repoll.poll(context, |context| {
                *wakers.lock().unwrap() = Some(context.waker().clone());
                let number = sent.load(SeqCst);
                seen.store(number, SeqCst);
                if number == WAKES { Poll::Ready(()) } else { Poll::Pending }
            })
        });
        tokio::time::timeout(std::time::Duration::from_mins(1), all).await.expect("no wake was lost");
        sender.join().unwrap();
    }
}
