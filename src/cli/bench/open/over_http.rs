//! The open loop over HTTP: one thread, a bounded pool of connections that are opened as they are
//! needed, and an epoll that is awaited until the next request's time.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::socket::{Socket, Step};
use super::{Counted, DRAIN, Due, GLANCE, MeasuredOpen, Outcome, Pacer, Plan, nanos, since, wake_in_time};
use crate::cli::bench::connection::Server;
use crate::cli::bench::progress::Progress;

/// An answer that takes longer counts as `timeout`.
const PATIENCE: Duration = Duration::from_mins(1);
/// So many are sent before answers are looked at again.
const BURST: usize = 16;
/// Events taken at once.
const EVENTS: usize = 256;
const SCRATCH: usize = 64 << 10;

/// A pool of connections that send the same request.
pub(in crate::cli::bench) struct Client {
    epoll: OwnedFd,
    address: SocketAddr,
    request: Arc<[u8]>,
    slots: Vec<Slot>,
    /// Slots with nothing in flight, the one used last at the end.
    free: Vec<usize>,
    scratch: Vec<u8>,
}

/// A place for a connection.
#[derive(Default)]
struct Slot {
    socket: Option<Socket>,
    asked: Option<Asked>,
    watches_writing: bool,
}

/// A request in flight.
#[derive(Clone, Copy)]
struct Asked {
    intended: u64,
    sent: u64,
}

/// One measurement under way.
struct Course<'a> {
    plan: &'a Plan,
    pacer: Pacer,
    counted: Counted,
    begun: Instant,
    /// Nothing more is sent.
    is_over: bool,
    glances_at: u64,
}

impl Client {
    /// A pool of at most `in_flight` connections, none of them open.
    ///
    /// # Errors
    /// When the system has no epoll to give.
    pub(in crate::cli::bench) fn new(
        server: &Server,
        request: Arc<[u8]>,
        in_flight: usize,
    ) -> io::Result<Self> {
        let slots = std::iter::repeat_with(Slot::default).take(in_flight).collect();
        wake_in_time();
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            address: server.address,
            request,
            slots,
            free: (0..in_flight).rev().collect(),
            scratch: vec![0; SCRATCH],
        })
    }

    /// Measures: first unmeasured, then measured. Nothing is in flight when `probe` is called.
    ///
    /// # Errors
    /// When the system refuses to watch a socket.
    pub(in crate::cli::bench) fn measure<R>(
        &mut self,
        plan: &Plan,
        progress: &Progress,
        probe: impl Fn() -> R,
    ) -> io::Result<MeasuredOpen<R>> {
        self.run(&plan.warmup(), None)?;
        let before = probe();
        progress.begin();
        let counted = self.run(plan, Some(progress))?;
        Ok(plan.measured(counted, (before, probe())))
    }

    fn run(&mut self, plan: &Plan, progress: Option<&Progress>) -> io::Result<Counted> {
        let mut course = Course {
            plan,
            pacer: plan.pacer(),
            counted: Counted::default(),
            begun: Instant::now(),
            is_over: false,
            glances_at: 0,
        };
        let mut events = Vec::with_capacity(EVENTS);
        let drained = plan.end().saturating_add(nanos(DRAIN));
        loop {
            self.send_due(&mut course)?;
            let now = since(course.begun);
            if now >= course.glances_at {
                self.glance(&mut course, now);
                if let Some(progress) = progress {
                    progress.show(Duration::from_nanos(now), course.counted.sent());
                }
            }
            if course.is_over && (self.is_idle() || now >= drained) {
                break;
            }
            self.wait(&mut events, course.wakes_at().saturating_sub(now))?;
            for event in &events {
                self.proceed(&mut course, *event)?;
            }
        }
        self.give_up(&mut course, 0);
        course.counted.unsent = course.pacer.unsent();
        Ok(course.counted)
    }

    /// Takes the events that there are, or that come within so many nanoseconds.
    fn wait(&self, events: &mut Vec<Event>, nanos: u64) -> io::Result<()> {
        events.clear();
        if nanos > 0 {
            // Not epoll's own timeout: before Linux 5.11 it counts milliseconds.
            let mut fds = [PollFd::new(&self.epoll, PollFlags::IN)];
            match poll(&mut fds, Some(&timespec(nanos))) {
                Ok(0) | Err(Errno::INTR) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
        }
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&timespec(0))) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn is_idle(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// Sends what is due, as far as connections are free.
    fn send_due(&mut self, course: &mut Course) -> io::Result<()> {
        if course.is_over {
            return Ok(());
        }
        for _ in 0..BURST {
            let now = since(course.begun);
            let Some(due) = course.pacer.take(now, || !self.free.is_empty()) else {
                // Those due just before the end have had their turn.
                course.is_over = course.pacer.is_over() || now >= course.plan.end();
                break;
            };
            self.send(course, due, now)?;
        }
        Ok(())
    }

    fn send(&mut self, course: &mut Course, due: Due, now: u64) -> io::Result<()> {
        let Some(index) = self.free.pop() else { return Ok(()) };
        course.counted.sends(due, now);
        course.counted.most_in_flight = course.counted.most_in_flight.max(self.slots.len() - self.free.len());
        let slot = &mut self.slots[index];
        slot.asked = Some(Asked { intended: due.intended, sent: now });
        let is_new = slot.socket.is_none();
        if is_new {
            slot.socket = Socket::open(self.address).ok();
            slot.watches_writing = false;
        }
        let Some(socket) = &mut slot.socket else {
            self.end(course, index, Step::Fault("connect"));
            return Ok(());
        };
        if is_new {
            epoll::add(&self.epoll, &*socket, EventData::new_u64(index as u64), EventFlags::IN)?;
        }
        let step = socket.begin(&self.request);
        self.follow(course, index, step)
    }

    /// The socket of an event is ready for something; what exactly, it tells itself.
    fn proceed(&mut self, course: &mut Course, event: Event) -> io::Result<()> {
        let index = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
        let Some(slot) = self.slots.get_mut(index) else { return Ok(()) };
        let Some(socket) = &mut slot.socket else { return Ok(()) };
        if slot.asked.is_none() {
            if !socket.is_quiet(&mut self.scratch) {
                slot.socket = None;
            }
            return Ok(());
        }
        let step = socket.proceed(&self.request, &mut self.scratch);
        self.follow(course, index, step)
    }

    fn follow(&mut self, course: &mut Course, index: usize, step: Step) -> io::Result<()> {
        let slot = &mut self.slots[index];
        let wants_writing = step == Step::Write;
        // Also after the answer: a socket that can be written to would wake us for ever.
        if let Some(socket) = &slot.socket
            && wants_writing != slot.watches_writing
        {
            let flags = if wants_writing { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(&self.epoll, socket, EventData::new_u64(index as u64), flags)?;
            slot.watches_writing = wants_writing;
        }
        self.end(course, index, step);
        Ok(())
    }

    /// Where the exchange of a slot has ended, it is counted, and the slot is free.
    fn end(&mut self, course: &mut Course, index: usize, step: Step) {
        let slot = &mut self.slots[index];
        let outcome = match step {
            Step::Answered { status, closes } => {
                if closes {
                    slot.socket = None;
                }
                Outcome::Status(status)
            }
            Step::Fault(kind) => {
                slot.socket = None;
                Outcome::Fault(kind)
            }
            Step::Read | Step::Write => return,
        };
        if let Some(asked) = slot.asked.take() {
            course.counted.ends((asked.intended, since(course.begun)), &outcome, course.plan.deadline);
            self.free.push(index);
        }
    }

    fn glance(&mut self, course: &mut Course, now: u64) {
        course.glances_at = now + GLANCE;
        self.give_up(course, nanos(PATIENCE));
    }

    /// Ends what has been in flight for `patience` or longer.
    fn give_up(&mut self, course: &mut Course, patience: u64) {
        let now = since(course.begun);
        for index in 0..self.slots.len() {
            if self.slots[index].asked.is_some_and(|asked| now.saturating_sub(asked.sent) >= patience) {
                self.end(course, index, Step::Fault("timeout"));
            }
        }
    }
}

impl Course<'_> {
    /// When there is something to do even if no socket is ready.
    fn wakes_at(&self) -> u64 {
        let next = if self.is_over { None } else { self.pacer.wakes_at() };
        next.map_or(self.glances_at, |next| next.min(self.glances_at))
    }
}

fn timespec(nanos: u64) -> Timespec {
    let time = Duration::from_nanos(nanos);
    Timespec { tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: time.subsec_nanos().into() }
}
