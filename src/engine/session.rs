//! One session of the runtime: what a worker locks to run a batch.
//!
//! On a CPU it runs in the worker's thread. On a CUDA device it has a thread of its own: the runtime keeps captured
//! graphs and handles by thread, and a thread has one current device. The way there and back takes some
//! microseconds, of runs of a millisecond.

use std::any::Any;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::bound::{Capture, Capturing, Place};
use super::core::{Core, Shared};
use super::stream::Stream;
use super::{Interrupt, Run, RunError};
use crate::tensor::Tensor;

/// A session. Runs one batch at a time; dropped before `main` returns, or the runtime's statics die
/// under it.
pub struct Session(Runner);

enum Runner {
    Here(Box<Core>),
    There(Thread),
}

/// Set once a device of this process is lost.
static DEVICE_LOST: AtomicBool = AtomicBool::new(false);

/// A device of this process is lost. Its memory can't be freed any more: the calls fail, in destructors from which
/// nothing may be thrown. Sessions on devices are given up as they are from then on, and the process is to be left
/// without exit handlers.
pub fn device_lost() {
    DEVICE_LOST.store(true, Ordering::Release);
}

/// Whether [`device_lost`] was called.
pub fn is_device_lost() -> bool {
    DEVICE_LOST.load(Ordering::Acquire)
}

impl Session {
    /// A session that runs on the device at `place`, or, without one, where its provider takes host memory; with the
    /// stream that it runs on, if it is ours.
    pub(super) fn new(
        inner: (ort::session::Session, Option<Stream>),
        shared: &Shared,
        place: Option<(Place, Capture)>,
    ) -> ort::Result<Self> {
        let core = Box::new(Core::new(inner, shared, place)?);
        if place.is_none() {
            return Ok(Self(Runner::Here(core)));
        }
        let thread = Thread::of(core).map_err(|error| ort::Error::new(format!("no thread: {error}")))?;
        Ok(Self(Runner::There(thread)))
    }

    /// Whether shapes that come for the first time are captured as CUDA graphs from now on, where the manifest asks
    /// for graphs. They are not to begin with.
    pub fn capture_new_shapes(&mut self, capturing: Capturing) {
        if let Runner::There(thread) = &self.0 {
            thread.run(move |core| core.capture_new_shapes(capturing));
        }
    }

    /// Runs `inputs`, and gives the device back what the session holds beyond what they need. Does nothing elsewhere.
    ///
    /// # Errors
    /// Those of a run.
    pub fn shrink(&mut self, inputs: &[Tensor]) -> Result<(), RunError> {
        match &self.0 {
            Runner::Here(_) => Ok(()),
            Runner::There(thread) => {
                let inputs = inputs.to_vec();
                thread.run(move |core| core.shrink(&inputs))
            }
        }
    }
}

impl Run for Session {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        match &mut self.0 {
            Runner::Here(core) => core.run(inputs),
            Runner::There(thread) => {
                let inputs = inputs.to_vec();
                thread.run(move |core| core.run(&inputs))
            }
        }
    }

    fn run_with(&mut self, inputs: &[Tensor], optional: &[(usize, Tensor)]) -> Result<Vec<Tensor>, RunError> {
        match &mut self.0 {
            Runner::Here(core) => core.run_with(inputs, optional),
            Runner::There(thread) => {
                let (inputs, optional) = (inputs.to_vec(), optional.to_vec());
                thread.run(move |core| core.run_with(&inputs, &optional))
            }
        }
    }

    fn interrupt(&self) -> Interrupt {
        match &self.0 {
            Runner::Here(core) => core.interrupt(),
            Runner::There(thread) => thread.interrupt.clone(),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("interrupt", &self.interrupt()).finish_non_exhaustive()
    }
}

type Job = Box<dyn FnOnce(&mut Core) + Send>;

/// The thread that a session lives on, until it is dropped.
struct Thread {
    /// None once it is to end.
    jobs: Option<Sender<Job>>,
    handle: Option<JoinHandle<()>>,
    interrupt: Interrupt,
}

impl Thread {
    fn of(core: Box<Core>) -> std::io::Result<Self> {
        let interrupt = core.interrupt();
        let (jobs, received) = channel();
        let handle =
            std::thread::Builder::new().name("session".into()).spawn(move || live(core, &received))?;
        Ok(Self { jobs: Some(jobs), handle: Some(handle), interrupt })
    }

    /// Does `work` there, and panics as it does.
    fn run<T: Send + 'static>(&self, work: impl FnOnce(&mut Core) -> T + Send + 'static) -> T {
        let (answer, answered) = channel::<Result<T, Box<dyn Any + Send>>>();
        let job: Job = Box::new(move |core| {
            let done = catch_unwind(AssertUnwindSafe(|| work(core)));
            // Who asked waits for it.
            drop(answer.send(done));
        });
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        match answered.recv() {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => unreachable!("the thread lives as long as its session: {sent}"),
        }
    }
}

fn live(mut core: Box<Core>, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        job(&mut core);
    }
    if is_device_lost() {
        mem::forget(core);
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.jobs = None;
        // A panic in a job was its caller's; the thread itself has none.
        drop(self.handle.take().map(JoinHandle::join));
    }
}
