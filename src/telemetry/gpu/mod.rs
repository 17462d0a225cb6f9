//! The thread that looks at GPUs and writes their metrics, every two seconds.
//!
//! [`GpuWatch`] is held by whoever knows which devices serve. The thread starts with the first device and
//! asks the driver; scrapes and requests never do. Invariant: whatever the driver does, serving goes on:
//! what can't be had is told once, and the end waits for the thread only a moment.

mod nvidia;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::metrics::{GpuMetrics, Metrics};
use crate::gpu::{Driver, Reading, Visible};
use nvidia::Nvidia;

/// How often devices are looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// NVML's wait for errors can't be interrupted: between two of them the thread sees what has changed.
const SLICE: Duration = Duration::from_millis(250);
/// So long the end waits for the thread.
const PATIENCE: Duration = Duration::from_secs(1);

/// GPUs that are watched. Dropped, it ends the watch.
#[derive(Debug)]
pub struct GpuWatch {
    shared: Arc<Shared>,
}

/// Takes CUDA's number of a device and that of its error.
type OnXid = Box<dyn Fn(usize, u64) + Send + Sync>;

struct Shared {
    metrics: Arc<Metrics>,
    visible: Visible,
    on_xid: OnXid,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// CUDA's numbers of the devices to watch.
    wanted: Vec<usize>,
    is_running: bool,
    is_ending: bool,
    /// What was told of devices that can't be had.
    told: HashSet<String>,
}

impl GpuWatch {
    /// A watch of no device yet. `visible` is what CUDA was told in the environment; `on_xid` is called by
    /// the watching thread for every critical error (Xid) of a watched device, with CUDA's number of the
    /// device and the number of the error, and should be short.
    pub fn new(
        metrics: &Arc<Metrics>,
        visible: Visible,
        on_xid: impl Fn(usize, u64) + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared {
            metrics: Arc::clone(metrics),
            visible,
            on_xid: Box::new(on_xid),
            state: Mutex::default(),
            changed: Condvar::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Watches `cuda:INDEX` from now on. Returns at once, and does nothing where it is watched already;
    /// one that could not be had is tried again.
    pub fn watch(&self, index: usize) {
        let visible = self.shared.visible.clone();
        self.watch_by(index, || Nvidia::new(visible));
    }

    /// The same with the devices of `make`, which tests script.
    fn watch_by<D: Devices>(&self, index: usize, make: impl FnOnce() -> D) {
        let mut state = self.shared.lock();
        if state.is_ending || state.wanted.contains(&index) {
            return;
        }
        state.wanted.push(index);
        self.shared.changed.notify_all();
        if state.is_running {
            return;
        }
        let (shared, devices) = (Running(Arc::clone(&self.shared)), make());
        let run = move || shared.0.run(devices);
        match thread::Builder::new().name("gpu-sampler".to_owned()).spawn(run) {
            Ok(_) => state.is_running = true,
            Err(error) => {
                state.wanted.clear();
                drop(state);
                tracing::warn!(%error, "GPUs are not watched: there is no thread for it");
            }
        }
    }

    /// Ends the watch, and waits a moment for its thread. The metrics keep their last values.
    pub fn end(&self) {
        let mut state = self.shared.lock();
        if std::mem::replace(&mut state.is_ending, true) {
            return;
        }
        self.shared.changed.notify_all();
        let running = |state: &mut State| state.is_running;
        let ended = self.shared.changed.wait_timeout_while(state, PATIENCE, running);
        let is_stuck = ended.unwrap_or_else(PoisonError::into_inner).1.timed_out();
        if is_stuck {
            tracing::debug!("the GPU driver does not come back: its thread is left behind");
        }
    }
}

impl Drop for GpuWatch {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a device is.
struct Facts {
    uuid: String,
    name: String,
    driver: Driver,
}

/// The devices as the thread asks for them, by CUDA's numbers.
trait Devices: Send + 'static {
    /// Makes a device ready to be read; the reason in a sentence where it can't be.
    fn open(&mut self, index: usize) -> Result<Facts, String>;

    /// Whether its errors are heard.
    fn reports(&self, index: usize) -> bool;

    fn read(&self, index: usize) -> Reading;

    /// Waits for the next error of any, at most `timeout`, or comes back at once where there is no way to
    /// wait: which devices it hits, and its number.
    fn xid(&mut self, timeout: Duration) -> Option<(Vec<usize>, u64)>;
}

/// Tells the others that the thread has ended. A panic leaves every device to be wanted again.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut state = self.0.lock();
            state.is_running = false;
            state.wanted.clear();
        }
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the end, or until there is no device left to watch.
    fn run(&self, mut devices: impl Devices) {
        let mut watched: Vec<(usize, GpuMetrics)> = Vec::new();
        while let Some(new) = self.next(&watched) {
            self.open(&new, &mut devices, &mut watched);
            if watched.is_empty() {
                continue;
            }
            for (index, metrics) in &watched {
                metrics.record(&devices.read(*index));
            }
            self.pause(&mut devices, &watched);
        }
    }

    /// Devices to begin with; `None` where the thread has nothing more to do.
    fn next(&self, watched: &[(usize, GpuMetrics)]) -> Option<Vec<usize>> {
        let mut state = self.lock();
        if state.is_ending || state.wanted.is_empty() {
            // Under the lock: who wants a device from here on starts another thread.
            state.is_running = false;
            return None;
        }
        let is_new = |wanted: &&usize| !watched.iter().any(|(known, _)| known == *wanted);
        Some(state.wanted.iter().filter(is_new).copied().collect())
    }

    fn open(&self, new: &[usize], devices: &mut impl Devices, watched: &mut Vec<(usize, GpuMetrics)>) {
        for &index in new {
            match devices.open(index) {
                Ok(Facts { uuid, name, driver }) => {
                    let metrics = self.metrics.gpu(&format!("cuda:{index}"));
                    metrics.found(&uuid, &name, &driver);
                    if devices.reports(index) {
                        metrics.xid_errors(0);
                    }
                    watched.push((index, metrics));
                }
                Err(reason) => {
                    let mut state = self.lock();
                    state.wanted.retain(|wanted| *wanted != index);
                    if state.told.insert(reason.clone()) {
                        drop(state);
                        tracing::warn!(
                            device = format!("cuda:{index}"),
                            reason,
                            "this GPU has no metrics; serving goes on"
                        );
                    }
                }
            }
        }
    }

    /// Until the next look, the end, or a new device, with an ear on errors.
    fn pause(&self, devices: &mut impl Devices, watched: &[(usize, GpuMetrics)]) {
        let until = Instant::now() + INTERVAL;
        let is_changed = |state: &State| state.is_ending || state.wanted.len() != watched.len();
        loop {
            let began = Instant::now();
            let left = until.saturating_duration_since(began).min(SLICE);
            if left.is_zero() || is_changed(&self.lock()) {
                return;
            }
            if let Some((hit, number)) = devices.xid(left) {
                for (index, metrics) in watched.iter().filter(|(index, _)| hit.contains(index)) {
                    metrics.xid_errors(1);
                    (self.on_xid)(*index, number);
                }
                continue;
            }
            // The driver came back early, or can't wait.
            let rest = left.saturating_sub(began.elapsed());
            let state = self.lock();
            let waited = self.changed.wait_timeout_while(state, rest, |state| !is_changed(state));
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
