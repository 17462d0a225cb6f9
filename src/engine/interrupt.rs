//! The switch that ends a session's run from another thread.
//!
//! The runtime looks at it between two nodes of the graph: a transformer ends within milliseconds,
//! one long kernel (a tree ensemble, a huge product) runs to its end. The scheduler clears it before
//! it hands the session to the next run.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A switch shared by a session and those who may stop it. Clones are the same switch.
#[derive(Clone)]
pub struct Interrupt(Arc<Switch>);

struct Switch {
    raised: AtomicBool,
    /// Held while `on_change` runs, so that the flag and what follows it never disagree.
    on_change: Mutex<Box<dyn Fn(bool) + Send>>,
}

impl Interrupt {
    /// A switch that calls `on_change` with its new state each time that it changes.
    pub fn from_fn(on_change: impl Fn(bool) + Send + 'static) -> Self {
        let on_change = Mutex::new(Box::new(on_change) as Box<dyn Fn(bool) + Send>);
        Self(Arc::new(Switch { raised: AtomicBool::new(false), on_change }))
    }

    /// Ends the run in progress, and makes every later one fail until [`clear`](Self::clear).
    pub fn raise(&self) {
        self.set(true);
    }

    /// Lets runs pass again. Costs one atomic read when nothing was raised.
    pub fn clear(&self) {
        if self.is_raised() {
            self.set(false);
        }
    }

    /// True between `raise` and `clear`.
    pub fn is_raised(&self) -> bool {
        self.0.raised.load(Ordering::Acquire)
    }

    fn set(&self, raised: bool) {
        let on_change = self.0.on_change.lock().unwrap_or_else(PoisonError::into_inner);
        if self.0.raised.swap(raised, Ordering::AcqRel) != raised {
            on_change(raised);
        }
    }
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Interrupt").field(&self.is_raised()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_passed_on() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let interrupt = Interrupt::from_fn(move |raised| sender.send(raised).unwrap());
        interrupt.clear();
        interrupt.raise();
        interrupt.clone().raise();
        assert!(interrupt.is_raised());
        interrupt.clear();
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [true, false]);
    }
}
