//! One change of a model at a time, and a bound on how many changes wait.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{ErrorCode, ServiceError};
use crate::model::ModelName;

/// Most changes that go on or wait.
const MOST: usize = 32;

/// Which models are being changed.
#[derive(Default)]
pub(super) struct Turns {
    busy: Mutex<BTreeSet<ModelName>>,
    freed: Notify,
    asked: AtomicUsize,
}

/// A place among those who change or wait.
pub(super) struct Place(Arc<Turns>);

/// The right to change one model, until it is dropped.
pub(super) struct Turn {
    place: Place,
    name: ModelName,
}

impl Turns {
    /// A place to wait at.
    ///
    /// # Errors
    /// `overloaded` when too many wait.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Place, ServiceError> {
        let place = Place(Arc::clone(self));
        if self.asked.fetch_add(1, Ordering::Relaxed) < MOST {
            return Ok(place);
        }
        Err(ServiceError::new(ErrorCode::Overloaded, format!("{MOST} loads and unloads wait already")))
    }

    fn busy(&self) -> MutexGuard<'_, BTreeSet<ModelName>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until nobody else changes this model.
    pub(super) async fn turn(self, name: ModelName) -> Turn {
        loop {
            let mut freed = pin!(self.0.freed.notified());
            // From here on a turn that ends is heard.
            freed.as_mut().enable();
            if self.0.busy().insert(name.clone()) {
                break;
            }
            freed.await;
        }
        Turn { place: self, name }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.asked.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.place.0.busy().remove(&self.name);
        self.place.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_for_each_model_and_a_bound_for_all() {
        let turns = Arc::new(Turns::default());
        let name = |text: &str| text.parse::<ModelName>().unwrap();
        let first = turns.enter().unwrap().turn(name("a")).await;
        let other = turns.enter().unwrap().turn(name("b")).await;
        let mut second = tokio::spawn(turns.enter().unwrap().turn(name("a")));
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut second).await.is_err());
        drop(first);
        let second = second.await.unwrap();
        let places: Vec<Place> = (2..MOST).map(|_| turns.enter().unwrap()).collect();
        assert_eq!(turns.enter().err().unwrap().code, ErrorCode::Overloaded);
        drop(places);
        drop((second, other));
        assert!(turns.busy().is_empty());
        assert_eq!(turns.asked.load(Ordering::Relaxed), 0);
    }
}
