//! What is logged, changed while the process runs: one set of directives for all outputs.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, reload};

type Reload = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

/// What is logged, for who may change it.
#[derive(Clone)]
pub struct LogLevel {
    inner: Arc<Mutex<State>>,
}

struct State {
    directives: String,
    /// One for each output.
    filters: Vec<Reload>,
}

impl LogLevel {
    pub(super) fn new(directives: &str) -> Self {
        let state = State { directives: directives.to_owned(), filters: Vec::new() };
        Self { inner: Arc::new(Mutex::new(state)) }
    }

    /// A filter for one output, which follows the changes.
    pub(super) fn filter<S: Subscriber + 'static>(&self) -> reload::Layer<EnvFilter, S> {
        let mut state = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (filter, handle) = reload::Layer::new(EnvFilter::new(&state.directives));
        state.filters.push(Box::new(move |filter| handle.reload(filter)));
        filter
    }

    /// The directives in force.
    pub fn directives(&self) -> String {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).directives.clone()
    }

    /// Puts other directives in force.
    ///
    /// # Errors
    /// The reason why they are none; what was in force stays.
    pub fn change(&self, directives: &str) -> Result<(), String> {
        let parsed = || EnvFilter::builder().parse(directives).map_err(|error| error.to_string());
        parsed()?;
        let mut state = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for reload in &state.filters {
            reload(parsed()?).map_err(|error| error.to_string())?;
        }
        directives.clone_into(&mut state.directives);
        Ok(())
    }
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogLevel").field(&self.directives()).finish()
    }
}
